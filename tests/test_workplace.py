"""
Tests of L{asynqueue.workplace} as a L{TaskQueue} is one: what waits is cancelled
and counted. Its workers and its end are tested in C{test_base_*}.
"""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import (
    ImplementationError,
    QueueRunError,
    TimeoutError,
    WorkerError,
)
from tests import calls
from tests.memory import MemoryWorker, Results, SteppedQueue
from tests.test_load import Numbers


class WaitingTestCase(SynchronousTestCase):
    """
    What the tests below use: a worker that is busy with the call 0, and calls
    that wait behind it.
    """

    def setUp(self):
        self.worker = MemoryWorker(["x"])
        self.queue = SteppedQueue(self.worker)
        self.load = Numbers()
        self.queue.subscribe(self.load)
        self.results = Results()
        self.call(0)

    def call(self, number, **kw):
        self.results.watch(number, self.queue.call(calls.echo, number, **kw))

    def work(self):
        """
        Lets the worker do all that it is given.
        """
        while self.worker.tasks:
            self.worker.finish()

    def tearDown(self):
        self.work()
        self.assertEqual(self.results[0], [0])
        for number, results in self.results.all.items():
            self.assertEqual(len(results), 1, number)
        self.assertEqual((len(self.queue.q), [0, *self.load.written][-1]), (0, 0))
        self.assertEqual(self.worker.cancelled, [])
        self.assertEqual(self.queue.reactor.getDelayedCalls(), [])

    def assertCancelled(self, *numbers):
        for number in numbers:
            (failure,) = self.results[number]
            self.assertIs(failure.type, CancelledError)


class CancelTests(WaitingTestCase):
    """
    Tests of C{cancelSeries} and C{cancelAll}, of the queue and of its I{q}.
    """

    def test_series(self):
        """
        Of one call that runs and ten that wait, all ten are cancelled, not every
        other one, and the one that runs is left alone, with a series or without.
        """
        for n, (series, cancelSeries) in enumerate(
            [
                ("x", self.queue.cancelSeries),
                ("x", self.queue.q.cancelSeries),
                (None, self.queue.cancelSeries),
                (None, self.queue.q.cancelSeries),
            ]
        ):
            running, *waiting = range(100 * n + 1, 100 * n + 12)
            self.work()
            for number in (running, *waiting):
                self.call(number, series=series)
            self.assertEqual(self.load.written[-1], 10)
            self.assertEqual(cancelSeries(series), 10)
            self.assertEqual(self.load.written[-1], 0)
            self.assertCancelled(*waiting)
            self.assertEqual(cancelSeries(series), 0)
            self.work()
            self.assertEqual(self.results[running], [running])
            self.assertEqual(self.worker.begun[-1], (running,))

    def test_otherSeries(self):
        """
        Calls of other series stay, whatever their haste.
        """
        for number in range(1, 21):
            self.call(
                number,
                series="x" if number % 2 else None,
                niceness=number % 7,
                doNext=number % 3 == 0,
                doLast=number % 5 == 0,
            )
        self.assertEqual(self.queue.cancelSeries("x"), 10)
        self.assertEqual(self.load.written[-1], 10)
        self.assertCancelled(*range(1, 21, 2))
        self.work()
        for number in range(2, 21, 2):
            self.assertEqual(self.results[number], [number])

    def test_all(self):
        """
        All that waits is cancelled, in whatever series, even one that nobody is
        qualified for, and the queue goes on.
        """
        for cancelAll in (self.queue.cancelAll, self.queue.q.cancelAll):
            numbers = range(len(self.results.all), len(self.results.all) + 12)
            for number in numbers:
                self.call(number, series=(None, "x", "nobody")[number % 3])
            self.assertEqual(cancelAll(), 12)
            self.assertCancelled(*numbers)
            self.assertEqual((self.load.written[-1], cancelAll()), (0, 0))
        self.call("after")
        self.work()
        self.assertEqual(self.results["after"], ["after"])
        self.assertEqual(self.worker.begun, [(0,), ("after",)])

    def test_unhashable(self):
        """
        What cannot be a series is refused.
        """
        self.assertRaises(TypeError, self.queue.cancelSeries, [])

    def test_secondTry(self):
        """
        A call that waits for its second try is cancelled too.
        """
        self.worker.finish()
        self.call("slow", timeout=1)
        self.queue.reactor.advance(1)
        self.worker.cancelled.clear()
        self.assertEqual(self.load.written[-1], 1)
        self.assertEqual(self.queue.cancelAll(), 1)
        self.assertCancelled("slow")
        self.worker.finish()

    def test_fromErrback(self):
        """
        Calls that are made because others were cancelled are run.
        """
        d = self.queue.call(calls.echo, 1)
        d.addErrback(lambda _: self.call("instead"))
        self.queue.cancelAll()
        self.assertIsNone(self.successResultOf(d))
        self.work()
        self.assertEqual(self.results["instead"], ["instead"])

    def test_updates(self):
        """
        Updates do not wait in the queue, and are not cancelled with it.
        """
        d = self.queue.update(calls.echo, "u")
        self.assertEqual(self.queue.cancelAll(), 0)
        self.work()
        self.assertEqual(self.successResultOf(d), ["u"])

    def test_afterShutdown(self):
        """
        When the queue was shut down, nothing waits that could be cancelled.
        """
        self.results.watch("over", self.queue.shutdown())
        self.assertEqual(
            (self.queue.cancelSeries(None), self.queue.cancelAll()), (0, 0)
        )

    def test_duringShutdown(self):
        """
        Whoever cancels everything when a call fails because the queue is shut
        down takes no other call's one outcome.
        """
        failed = self.queue.call(calls.echo, 1)
        failed.addErrback(lambda _: self.queue.cancelAll())
        waiting = self.queue.call(calls.echo, 2)
        self.results.watch("over", self.queue.shutdown())
        self.assertEqual(self.successResultOf(failed), 0)
        self.failureResultOf(waiting, QueueRunError)


class LoadTests(WaitingTestCase):
    """
    Tests of C{subscribe}: the load info tells how many calls wait, and ends at
    zero when none does.
    """

    def setUp(self):
        super().setUp()
        self.load.written.clear()

    def test_calls(self):
        """
        Five calls behind one that runs count up to five and down to zero, each
        once.
        """
        for number in range(1, 6):
            self.call(number)
        self.work()
        self.assertEqual(self.load.written, [1, 2, 3, 4, 5, 4, 3, 2, 1, 0])

    def test_idle(self):
        """
        A call that a worker is ready for waits for no time to speak of.
        """
        self.work()
        for number in range(1, 4):
            self.call(number)
            self.work()
        self.assertEqual(self.load.written, [1, 0] * 3)

    def test_singleCancel(self):
        """
        A call that is cancelled by itself waits no longer; one that runs did not
        wait.
        """
        d = self.queue.call(calls.echo, 1)
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(self.load.written, [1, 0])

    def test_givenUp(self):
        """
        The same goes for calls that fail because nobody will ever run them.
        """
        other = MemoryWorker(["y"], up=False)
        self.queue.attachWorker(other).addErrback(lambda _: None)
        for number in range(1, 4):
            self.call(number, series="y")
        other.die()
        self.call(4, series="y")
        self.assertEqual(self.load.written, [1, 2, 3, 0])

    def test_again(self):
        """
        A call that is given back, or tried again, waits again.
        """
        self.worker.finish()
        self.call("slow", timeout=1, retries=0)
        self.worker.comesUp = False
        self.worker.die(read=False)
        self.assertEqual(self.load.written, [1, 0, 1])
        self.worker.comeUp()
        self.queue.reactor.advance(1)
        self.worker.cancelled.clear()
        self.assertIs(self.results["slow"][0].type, TimeoutError)
        self.assertEqual(self.load.written, [1, 0, 1, 0])

    def test_shutdown(self):
        """
        It is over with the queue, which takes no subscribers after that.
        """
        self.queue.call(calls.echo).addErrback(lambda _: None)
        self.results.watch("over", self.queue.shutdown())
        self.assertEqual((self.load.written, self.load.producer), ([1, 0], None))
        self.assertRaises(QueueRunError, self.queue.subscribe, Numbers())
        self.queue.unsubscribe(self.load)

    def test_pauseAndUnsubscribe(self):
        """
        One subscriber may pause and another may go, and neither concerns the
        third.
        """
        paused, gone = Numbers(), Numbers()
        for consumer in (paused, gone):
            self.queue.subscribe(consumer)
        paused.producer.pauseProducing()
        self.queue.unsubscribe(gone)
        for number in range(1, 4):
            self.call(number)
        paused.producer.resumeProducing()
        self.work()
        self.assertEqual(self.load.written, [1, 2, 3, 2, 1, 0])
        self.assertEqual(paused.written, [3, 2, 1, 0])
        self.assertEqual((gone.written, gone.producer), ([], None))

    def test_notAConsumer(self):
        """
        What is no consumer is refused.
        """
        self.assertRaises(ImplementationError, self.queue.subscribe, [])

    def impatient(self):
        """
        Subscribes one who shuts the queue down as soon as a call waits.
        """

        class Impatient(Numbers):
            def write(consumer, data):
                if data == 1:
                    self.results.watch("over", self.queue.shutdown())

        self.queue.subscribe(Impatient())

    def test_shutdownWhenTold(self):
        """
        A subscriber may do whatever it likes when it is told, even shut the
        queue down: each call has its one outcome.
        """
        self.impatient()
        self.failureResultOf(self.queue.call(calls.echo), QueueRunError)

    def test_shutdownWhenReturned(self):
        """
        The same if it is told of calls that a worker gives back.
        """
        tasks = [self.queue.newTask(calls.echo, (n,), {}) for n in range(2)]
        self.impatient()
        self.queue.th.whenReturned(tasks)
        errors = [self.successResultOf(task.d)[1] for task in tasks]
        self.assertEqual(
            [type(error) for error in errors], [QueueRunError, WorkerError]
        )
