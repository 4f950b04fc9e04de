"""
Iterators whose items are taken in a L{ThreadLooper}'s thread.
"""

import gc
import threading
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs

from asynqueue.deferator import Deferator
from asynqueue.errors import ImplementationError, WorkerError
from asynqueue.messages import Status
from asynqueue.producers import IterationProducer, ListConsumer
from tests import calls, deeds
from tests.looper_case import LooperCase, tidy
from tests.support import BOUND


class IteratorTests(LooperCase):
    def iterate(self, f, *args):
        """
        @return: The L{Deferator} that a call comes to.
        """
        status, dr = self.until(self.looper.call(f, *args))
        self.assertIs(status, Status.ITERATION)
        self.assertIsInstance(dr, Deferator)
        return dr

    def read(self, dr):
        """
        @return: What its items come to, an exception the last.
        """
        results: list[Any] = []
        try:
            for d in dr:
                results.append(self.until(d))
        except Exception as e:
            results.append(e)
        return results

    def test_items(self):
        """
        An iterator of a call comes as a Deferator; one without items, too.
        """
        for n in (0, 1, 5):
            dr = self.iterate(calls.count, n)
            self.assertEqual(self.read(dr), list(range(n)))
            self.assertIs(self.successResultOf(dr.d), True)

    def test_inThread(self):
        """All items, the first too, are taken in the thread."""
        dr = self.iterate(lambda: (threading.current_thread() for _ in range(3)))
        self.assertEqual(self.read(dr), [self.looper.thread] * 3)

    def test_raises(self):
        """
        A generator that raises gives the items before it and then its error, not
        an end like any other; the looper goes on.
        """
        for n in (1, 3):
            dr = self.iterate(calls.brittle, n)
            *items, error = self.read(dr)
            self.assertEqual(items, list(range(n)))
            self.assertIsInstance(error, ValueError)
            self.assertIs(self.successResultOf(dr.d), False)
        status, error = self.until(self.looper.call(calls.brittle, 0))
        self.assertIs(status, Status.ERROR)
        self.assertIn("ValueError", error)

    def test_exits(self):
        """One that raises what would end the thread gives an error that names it."""
        dr = self.iterate(deeds.items, 1, SystemExit(4))
        item, error = self.read(dr)
        self.assertEqual(item, 1)
        self.assertIsInstance(error, WorkerError)
        self.assertIn("SystemExit: 4", str(error))

    def test_callsBetween(self):
        """A call runs between two items, in the order in which they were asked for."""
        order: list[str] = []

        def notes():
            for i in range(3):
                order.append(f"item {i}")
                yield i

        dr = self.iterate(notes)
        letGo = self.hold()
        self.looper.deferToThread(order.append, "call")
        item = next(dr)
        last = self.looper.deferToThread(order.append, "last")
        letGo()
        self.until(item)
        self.until(last)
        self.assertEqual(order, ["item 0", "call", "item 1", "last"])
        dr.stop()

    def test_stopped(self):
        """stop() closes the generator, in the thread."""
        closedIn: list[Any] = []
        dr = self.iterate(tidy, closedIn)
        self.until(next(dr))
        dr.stop()
        self.until(self.looper.call(int))
        self.assertEqual(closedIn, [self.looper.thread])

    def untilClosed(self, closedIn):
        """
        Waits for a generator that nobody has any more to be closed.
        """
        gc.collect()
        while not closedIn:
            self.until(self.looper.call(int))
        self.assertEqual(closedIn, [self.looper.thread])

    def test_collected(self):
        """So does letting go of the Deferator."""
        closedIn: list[Any] = []
        dr = self.iterate(tidy, closedIn)
        for d in dr:
            self.until(d)
            break
        del dr, d
        self.untilClosed(closedIn)

    def test_cancelled(self):
        """So does cancelling the call, when it is too late not to make it."""
        closedIn: list[Any] = []
        begun = threading.Event()

        def iterate():
            begun.set()
            return tidy(closedIn)

        d = self.looper.call(iterate)
        self.assertTrue(begun.wait(BOUND))
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.untilClosed(closedIn)

    def test_closingFails(self):
        """What a generator raises when it is closed is logged."""
        dr = self.iterate(deeds.Sticky)
        with capturedLogs() as events:
            dr.stop()
            self.until(self.looper.call(int))
        (event,) = [e for e in events if "not to be closed" in str(e.get("error"))]
        self.assertIn("Sticky", event["call"])


class ConsumerTests(LooperCase):
    def test_consumer(self):
        """
        With a consumer, deferToThread writes it all items and fires with it, in
        the queue's own name too. (Once a NameError, and a shutdown that never
        came.)
        """
        consumer = ListConsumer()
        d = self.looper.deferToThread(calls.count, 5, consumer=consumer)
        self.assertIs(self.until(d), consumer)
        self.assertEqual(self.until(consumer()), list(range(5)))

    def test_consumerBroken(self):
        """The iterator's error comes to whoever called; the consumer has its end."""
        consumer = ListConsumer()
        d = self.looper.deferToThread(calls.brittle, 2, consumer=consumer)
        self.assertRaises(ValueError, self.until, d)
        self.assertEqual(self.until(consumer()), [0, 1])

    def test_consumerOfNothing(self):
        """A consumer of what is no iterator has its end too."""
        consumer = ListConsumer()
        d = self.looper.deferToThread(int, consumer=consumer)
        self.assertEqual(self.until(d), 0)
        self.assertEqual(self.until(consumer()), [])

    def test_noConsumer(self):
        """What is no consumer is refused at once."""
        self.assertRaises(
            TypeError, self.looper.deferToThread, calls.count, 5, consumer=object()
        )
        self.assertIsNone(self.looper.thread)

    def test_dr2ip(self):
        """
        A Deferator becomes a producer: one to run, or with a consumer a Deferred
        of that, when it has all items.
        """
        consumer = ListConsumer()
        dr = self.until(self.looper.deferToThread(calls.count, 3))
        self.assertIs(self.until(self.looper.dr2ip(dr, consumer)), consumer)
        self.assertEqual(self.until(consumer()), [0, 1, 2])
        dr = self.until(self.looper.deferToThread(calls.count, 3))
        producer = self.looper.dr2ip(dr)
        self.assertIsInstance(producer, IterationProducer)
        producer.registerConsumer(ListConsumer())
        self.until(producer.run())
        self.assertRaises(TypeError, self.looper.dr2ip, iter("abc"))
        self.assertRaises(ImplementationError, self.looper.dr2ip, dr, object())
