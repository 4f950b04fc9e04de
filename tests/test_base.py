"""
Tests of L{asynqueue.base}: workers, and calls that cannot be made.
"""

import sys
from io import StringIO

from twisted.python import threadable
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.base import TaskQueue
from asynqueue.errors import (
    ImplementationError,
    InvariantError,
    QueueRunError,
    WorkerDied,
    WorkerError,
)
from asynqueue.producers import ListConsumer
from tests import calls
from tests.memory import MemoryWorker, SteppedQueue


class WorkersTests(SynchronousTestCase):
    """
    Tests of attaching workers to a queue.
    """

    def test_empty(self):
        """
        A queue without workers runs, but has nothing to run anything with.
        """
        queue = SteppedQueue()
        self.assertEqual((len(queue), bool(queue)), (0, False))
        self.assertTrue(queue.isRunning())
        self.assertEqual((queue.workers(), queue.workers(1)), ([], None))

    def test_attach(self):
        """
        Workers can be given at once and later, and get IDs from 1; each can be
        had by its own.
        """
        workers = [MemoryWorker() for _ in range(3)]
        queue = SteppedQueue(*workers[:2])
        self.assertEqual(self.successResultOf(queue.attachWorker(workers[2])), 3)
        self.assertEqual((len(queue), bool(queue)), (3, True))
        self.assertEqual(queue.workers(), workers)
        self.assertIs(queue.workers(2), workers[1])
        self.assertIsNone(queue.workers(4))

    def test_attachTwice(self):
        """
        A worker that is attached again is the same.
        """
        worker = MemoryWorker()
        queue = SteppedQueue(worker)
        self.assertEqual(self.successResultOf(queue.attachWorker(worker)), 1)
        self.assertEqual(queue.workers(), [worker])

    def test_slow(self):
        """
        Attaching is over when the worker is up.
        """
        worker = MemoryWorker(up=False)
        queue = SteppedQueue()
        d = queue.attachWorker(worker)
        self.assertNoResult(d)
        worker.comeUp()
        self.assertEqual(self.successResultOf(d), 1)

    def test_neverUp(self):
        """
        It fails if the worker does not come up, and the worker is gone. A
        worker that the queue was made with says so by its calls, and is no
        error that nobody handled.
        """
        worker = MemoryWorker(up=False)
        queue = SteppedQueue()
        d = queue.attachWorker(worker)
        worker.die()
        self.failureResultOf(d, WorkerDied)
        self.assertEqual((queue.workers(), worker.isStopping), ([], True))
        worker = MemoryWorker(up=False)
        queue = SteppedQueue(worker)
        worker.die()
        self.failureResultOf(queue.call(calls.echo), WorkerDied)

    def test_notAWorker(self):
        """
        What is no worker, or is one with impossible qualifications, is refused.
        """
        queue = SteppedQueue()
        self.assertRaises(ImplementationError, queue.attachWorker, object())
        worker = MemoryWorker()
        worker.iQualified = ("x",)
        self.assertRaises(InvariantError, queue.attachWorker, worker)
        self.assertRaises(ImplementationError, SteppedQueue, object())
        self.assertEqual(len(queue), 0)

    def test_anothers(self):
        """
        A worker that another queue has is refused, until it has left that one.
        """
        worker = MemoryWorker()
        queue, other = SteppedQueue(worker), SteppedQueue()
        error = self.assertRaises(ImplementationError, other.attachWorker, worker)
        self.assertIn("another queue", str(error))
        self.assertEqual(self.successResultOf(queue.attachWorker(worker)), 1)
        self.successResultOf(queue.detachWorker(worker))
        # It is not refused. A worker of this kind that was stopped never comes up.
        self.failureResultOf(other.attachWorker(worker), WorkerError)

    def test_elsewhere(self):
        """
        A call in another thread than the reactor's is refused, and told what to use.
        """
        queue = SteppedQueue(MemoryWorker(instant=True))
        self.patch(threadable, "ioThread", None)
        self.assertEqual(self.successResultOf(queue.call(calls.echo, 1)), 1)
        self.patch(threadable, "ioThread", -1)
        for call in (queue.call, queue.update):
            error = self.assertRaises(RuntimeError, call, calls.echo, 1)
            self.assertIn("blockingCallFromThread", str(error))
            self.assertIn("tests.calls.echo", str(error))

    def test_called(self):
        """
        Whoever gives the result of the call instead is told how it is written.
        """
        queue = SteppedQueue(MemoryWorker())
        error = self.assertRaises(TypeError, queue.call, calls.echo(1))
        self.assertIn("call(f, x), not call(f(x))", str(error))

    def test_qualify(self):
        """
        Calls of a series that nobody is qualified for wait, alone, until a
        worker is; neither others nor its class are qualified by that.
        """
        one, two = MemoryWorker(instant=True), MemoryWorker(instant=True)
        queue = SteppedQueue(one, two)
        waiting = [queue.call(calls.echo, i, series="x") for i in range(3)]
        for i in range(5):
            self.assertEqual(self.successResultOf(queue.call(calls.echo, i)), i)
        for d in waiting:
            self.assertNoResult(d)
        queue.qualifyWorker(two, "x")
        self.assertEqual([self.successResultOf(d) for d in waiting], [0, 1, 2])
        self.assertEqual(two.begun[-3:], [(0,), (1,), (2,)])
        self.assertEqual((one.iQualified, two.iQualified), ([], ["x"]))
        self.assertEqual(MemoryWorker.cQualified, ["memory", "local"])
        self.assertEqual(MemoryWorker().iQualified, [])

    def test_qualifyBusy(self):
        """
        A worker that is busy takes calls of the series when it is free; one that
        is qualified already stays as it is.
        """
        worker = MemoryWorker(["y"])
        queue = SteppedQueue(worker)
        queue.call(calls.echo, 1)
        d = queue.call(calls.echo, 2, series="x")
        for series in ("x", "x", "y", "local", None):
            queue.qualifyWorker(worker, series)
        self.assertEqual(worker.iQualified, ["y", "x"])
        worker.finish()
        worker.finish()
        self.assertEqual(self.successResultOf(d), 2)

    def test_series(self):
        """
        A call of a series runs only on a worker that is qualified for it, by
        itself or by its class; any worker runs those of none.
        """
        workers = [MemoryWorker(["x"]), MemoryWorker(["x", "y"])]
        queue = SteppedQueue(*workers)
        for series in ("y", "x", "x", "local", "y", None):
            queue.call(calls.echo, series, series=series)
        for i in (0, 1, 1, 0):
            workers[i].finish()
        self.assertEqual(workers[0].begun, [("x",), ("x",), (None,)])
        self.assertEqual(workers[1].begun, [("y",), ("y",), ("local",)])


class BadCallTests(SynchronousTestCase):
    """
    Tests of calls that cannot be made: each is an error at once that names
    what is wrong, and harms nothing.
    """

    def setUp(self):
        self.worker = MemoryWorker(instant=True)
        self.queue = SteppedQueue(self.worker)

    def tearDown(self):
        self.assertEqual((self.worker.begun, len(self.queue.q)), ([], 0))
        self.assertEqual(self.successResultOf(self.queue.call(calls.echo, 1)), 1)

    def refused(self, exception, text, f=calls.echo, **kw):
        with self.assertRaises(exception) as raised:
            self.queue.call(f, **kw)
        self.assertIn(text, str(raised.exception))

    def test_niceness(self):
        """
        A niceness is an integer from -20 to 20.
        """
        for niceness in (-21, 21, True, 1.0, "3", None):
            self.refused(ValueError, repr(niceness), niceness=niceness)

    def test_notCallable(self):
        """
        What is called has to be callable.
        """
        for f in (None, 3, "tests.calls.echo"):
            self.refused(TypeError, repr(f), f)

    def test_consumer(self):
        """
        A consumer has to be one.
        """
        for consumer in (object(), [], ListConsumer):
            self.refused(TypeError, "IConsumer", consumer=consumer)

    def test_timeout(self):
        """
        A timeout is above zero.
        """
        for timeout in (0, -1, float("nan")):
            self.refused(ValueError, repr(timeout), timeout=timeout)

    def test_retries(self):
        """
        The number of retries is an integer from zero.
        """
        for retries in (-1, True, 1.0, None):
            self.refused(ValueError, repr(retries), retries=retries)

    def test_series(self):
        """
        A series is hashable.
        """
        self.refused(TypeError, "unhashable", series=[])

    def test_update(self):
        """
        The same goes for updates, which take no consumer either.
        """
        self.assertRaises(TypeError, self.queue.update, 3)
        self.assertRaises(ValueError, self.queue.update, calls.echo, timeout=0)
        consumer = ListConsumer()
        for kw in ({"consumer": consumer}, {"consumer": None}):
            self.assertRaises(ValueError, self.queue.update, calls.echo, **kw)

    def test_afterShutdown(self):
        """
        A call that is made after the queue was shut down is refused by its
        name.
        """
        queue = SteppedQueue(MemoryWorker())
        self.successResultOf(queue.shutdown())
        for call in (queue.call, queue.update):
            with self.assertRaises(QueueRunError) as raised:
                call(calls.add, 1, y=2)
            self.assertIn("tests.calls.add(1, y=2)", str(raised.exception))
        self.assertRaises(QueueRunError, queue.attachWorker, MemoryWorker())


class TextTests(SynchronousTestCase):
    """
    Tests of I{returnFailure=False}.
    """

    def setUp(self):
        self.patch(sys, "stderr", StringIO())

    def test_queueAndCall(self):
        """
        It can be set for the queue and for each call, which counts for more.
        """
        for ofQueue, ofCall, asText in (
            (False, None, True),
            (True, False, True),
            (False, True, False),
            (True, None, False),
        ):
            queue = SteppedQueue(MemoryWorker(instant=True), returnFailure=ofQueue)
            d = queue.call(calls.boom, "bang", returnFailure=ofCall)
            if asText:
                self.assertIn("bang", self.successResultOf(d))
            else:
                self.failureResultOf(d, ValueError)

    def test_reactorStops(self):
        """
        It stops the reactor in a second, unless the queue is shut down in that
        time.
        """
        for shutdown in (False, True):
            queue: TaskQueue = SteppedQueue(
                MemoryWorker(instant=True), returnFailure=False
            )
            reactor = vars(queue)["reactor"]
            queue.call(calls.boom)
            if shutdown:
                self.successResultOf(queue.shutdown())
            reactor.advance(1)
            self.assertEqual(reactor.hasStopped, not shutdown)
