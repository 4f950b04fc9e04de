"""
Tests of L{asynqueue.base}: calls.
"""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.deferator import Deferator
from asynqueue.producers import ListConsumer
from tests import calls
from tests.memory import MemoryWorker, SteppedQueue
from tests.test_load import Numbers


class CallTests(SynchronousTestCase):
    """
    Tests of L{TaskQueue.call}.
    """

    def setUp(self):
        self.worker = MemoryWorker()
        self.queue = SteppedQueue(self.worker)

    def test_result(self):
        """
        A call's arguments and keywords reach it, whatever the keywords are
        called, and its value is the result.
        """
        d = self.queue.call(dict, func=1, self=2, args=3, kw=4)
        self.worker.finish()
        self.assertEqual(
            self.successResultOf(d), {"func": 1, "self": 2, "args": 3, "kw": 4}
        )

    def test_ownKeywords(self):
        """
        The keywords that are the queue's do not reach the call.
        """
        d = self.queue.call(
            dict,
            niceness=1,
            series=None,
            timeout=10,
            doNext=True,
            doLast=True,
            consumer=None,
            raw=True,
            returnFailure=True,
            retries=0,
            x=1,
        )
        self.worker.finish()
        self.assertEqual(self.successResultOf(d), {"x": 1})

    def test_error(self):
        """
        What a call raises is what its Deferred fails with.
        """
        d = self.queue.call(calls.boom, "bang")
        self.worker.finish()
        self.assertEqual(self.failureResultOf(d, ValueError).value.args, ("bang",))

    def test_iterator(self):
        """
        An iterator comes as a Deferator, unless the call is raw.
        """
        results = []
        for raw in (None, False, True):
            d = self.queue.call(calls.count, 2, raw=raw)
            self.worker.finish()
            results.append(self.successResultOf(d))
        for dr in results[:2]:
            self.assertIsInstance(dr, Deferator)
        self.assertEqual(list(results[2]), [0, 1])

    def test_consumer(self):
        """
        A consumer gets the items.
        """
        consumer = ListConsumer()
        d = self.queue.call(calls.count, 3, consumer=consumer)
        self.worker.finish()
        self.assertIs(self.successResultOf(d), consumer)
        self.assertEqual(self.successResultOf(consumer()), [0, 1, 2])

    def test_cancelConsumption(self):
        """
        Cancelling a call whose items are being consumed closes the iterator,
        and is no error in itself even if errors are to be texts.
        """
        for returnFailure in (True, False):
            consumer = ListConsumer(processItem=lambda item: Deferred())
            iterator = calls.count(9)
            d = self.queue.call(
                lambda it=iterator: it, consumer=consumer, returnFailure=returnFailure
            )
            self.worker.finish()
            d.cancel()
            self.failureResultOf(d, CancelledError)
            self.assertEqual(list(iterator), [])
            self.assertIsNone(consumer.producer)
        self.assertEqual(self.queue.reactor.getDelayedCalls(), [])

    def test_niceness(self):
        """
        Calls run in the order of their serials times what their niceness comes
        to.
        """
        self.queue.call(calls.echo, "in hand")
        for niceness in (20, 0, -20, 0, 10, -10):
            self.queue.call(calls.echo, niceness, niceness=niceness)
        # Their serials are 2 to 7, times 17, 5, 1, 5, 10 and 2.
        self.assertEqual(self.order(), [-20, -10, 0, 0, 20, 10])

    def test_nextAndLast(self):
        """
        Next is next and last is last, in the order of the calls among
        themselves; next wins.
        """
        self.queue.call(calls.echo, "in hand")
        named: dict[str, Any] = {
            "last": {"doLast": True, "niceness": -20},
            "a": {"niceness": -20},
            "next": {"doNext": True, "niceness": 20},
            "last 2": {"doLast": True},
            "next 2": {"doNext": True, "doLast": True},
            "b": {},
        }
        for name, kw in named.items():
            self.queue.call(calls.echo, name, **kw)
        self.assertEqual(self.order(), ["next", "next 2", "a", "b", "last", "last 2"])

    def test_longLife(self):
        """
        They still are after 300,000 calls.
        """
        for _ in range(300_000):
            self.queue.taskFactory.new(calls.echo, (), {}, 20)
        self.queue.call(calls.echo, "in hand")
        self.queue.call(calls.echo, "last", doLast=True)
        self.queue.call(calls.echo, "nice", niceness=20)
        self.queue.call(calls.echo, "usual")
        self.queue.call(calls.echo, "next", doNext=True)
        self.assertEqual(self.order(), ["next", "usual", "nice", "last"])

    def order(self):
        """
        @return: A list of the calls that wait, in the order in which they run.
        """
        while self.worker.tasks:
            self.worker.finish()
        return [args[0] for args in self.worker.begun[1:]]

    def test_noLookahead(self):
        """
        A worker has one call at a time, so one that is more urgent can still
        overtake those that wait.
        """
        for i in range(5):
            self.queue.call(calls.echo, i)
        self.assertEqual((len(self.worker.tasks), len(self.queue.q)), (1, 4))

    def test_load(self):
        """
        The load info counts the calls that wait, and ends at zero.
        """
        numbers = Numbers()
        self.queue.q.subscribe(numbers)
        for i in range(3):
            self.queue.call(calls.echo, i)
        self.order()
        self.assertEqual(numbers.written, [1, 0, 1, 2, 1, 0])
