"""
Calls made in the reactor's thread, by a worker and through a queue.
"""

import threading
from typing import Any

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    fail,
    inlineCallbacks,
    succeed,
)
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.asyncworker import AsyncWorker
from asynqueue.deferator import Deferator
from asynqueue.errors import TimeoutError, WorkerError
from asynqueue.messages import Status
from asynqueue.null import NullQueue
from asynqueue.producers import ListConsumer
from tests import calls, deeds
from tests.fakes import Reactor, makeTask
from tests.test_base_floods import N, depth


class AsyncWorkerTests(SynchronousTestCase):
    def setUp(self):
        self.reactor = Reactor()
        self.worker = AsyncWorker(reactor=self.reactor)

    def run_(self, f, *args, **kw):
        """
        @return: A Deferred of the status and result that a call comes to.
        """
        task = makeTask(f, *args, **kw)
        self.worker.run(task)
        return task.d

    def outcome(self, f, *args, **kw):
        return self.successResultOf(self.run_(f, *args, **kw))

    def test_qualified(self):
        """All of its kind are qualified for two series."""
        self.assertEqual(self.worker.cQualified, ["async", "local"])

    def test_here(self):
        """A call is made at once, in this very thread."""
        self.assertEqual(
            self.outcome(threading.current_thread),
            (Status.RESULT, threading.current_thread()),
        )

    def test_deferred(self):
        """A Deferred is awaited; what it comes to is the result, also an error."""
        waiting: Deferred[int] = Deferred()
        d, after = self.run_(lambda: waiting), self.run_(int, "7")
        self.assertNoResult(d)
        self.assertNoResult(after)
        waiting.callback(3)
        self.assertEqual(self.successResultOf(d), (Status.RESULT, 3))
        self.assertEqual(self.successResultOf(after), (Status.RESULT, 7))
        status, error = self.outcome(fail, ValueError("late"))
        self.assertIs(status, Status.ERROR)
        self.assertIsInstance(error, ValueError)

    def test_coroutine(self):
        """So is a coroutine."""
        waiting: Deferred[int] = Deferred()

        async def double():
            return 2 * await waiting

        d = self.run_(double)
        self.assertNoResult(d)
        waiting.callback(3)
        self.assertEqual(self.successResultOf(d), (Status.RESULT, 6))

        async def broken():
            raise ValueError(await succeed("inside"))

        status, error = self.outcome(broken)
        self.assertIs(status, Status.ERROR)
        self.assertEqual(error.args, ("inside",))

    def test_exit(self):
        """
        What would end the program is an error that names it, be it raised at
        once or later.
        """
        for f in (calls.bye, lambda: fail(SystemExit(7))):
            status, error = self.outcome(f)
            self.assertIs(status, Status.ERROR)
            self.assertIsInstance(error, WorkerError)
            self.assertEqual(str(error), "SystemExit: 7")

    def test_traceback(self):
        """An error still knows where it was raised."""
        _, error = self.outcome(calls.boom)
        names = []
        traceback = error.__traceback__
        while traceback is not None:
            names.append(traceback.tb_frame.f_code.co_name)
            traceback = traceback.tb_next
        self.assertEqual(names[-1], "boom")

    def test_iteratorLater(self):
        """An iterator that a Deferred comes to is one too, unless it is to be raw."""
        status, dr = self.outcome(succeed, iter("ab"))
        self.assertIs(status, Status.ITERATION)
        self.assertIsInstance(dr, Deferator)
        status, iterator = self.outcome(succeed, iter("ab"), raw=True)
        self.assertEqual((status, list(iterator)), (Status.RESULT, ["a", "b"]))

    def test_iteratorWithoutName(self):
        """One that cannot even be named is an error of its call, and no more."""

        class Nameless(deeds.Sticky):
            def __repr__(self):
                raise RuntimeError("no name")

        status, error = self.outcome(Nameless)
        self.assertIs(status, Status.ERROR)
        self.assertIsInstance(error, RuntimeError)
        self.assertEqual(self.outcome(int), (Status.RESULT, 0))

    def test_iteratorAfterStop(self):
        """A Deferator can be read to its end when the worker has been stopped."""
        _, dr = self.outcome(calls.count, 3)
        self.successResultOf(self.worker.stop())
        self.assertEqual([self.successResultOf(d) for d in dr], [0, 1, 2])

    def test_cancel(self):
        """
        To cancel a running call is to cancel what it waits for, which frees the
        worker when it lets itself be cancelled.
        """
        cancelled: list[Any] = []
        waiting: Deferred[None] = Deferred(cancelled.append)
        d, after = self.run_(lambda: waiting), self.run_(int)
        self.worker.cancel(self.worker.tasks[0])
        self.assertEqual(cancelled, [waiting])
        self.assertNoResult(d)
        self.assertEqual(self.successResultOf(after), (Status.RESULT, 0))

    def test_cancelStubborn(self):
        """A coroutine that goes on when it is cancelled is waited for."""
        more: Deferred[None] = Deferred()

        async def stubborn():
            try:
                await Deferred()
            except CancelledError:
                await more

        d, after = self.run_(stubborn), self.run_(int)
        self.worker.cancel(self.worker.tasks[0])
        self.assertNoResult(after)
        more.callback(None)
        self.successResultOf(after)
        self.assertNoResult(d)

    def test_crash(self):
        """To crash is to cancel what it waits for, too, and to stop."""
        cancelled: list[Any] = []
        d = self.run_(lambda: Deferred(cancelled.append))
        stopped = self.worker.stop()
        self.assertNoResult(stopped)
        self.assertEqual([task.d for task in self.worker.crash()], [d])
        self.assertEqual(len(cancelled), 1)
        self.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertNoResult(d)


class NullQueueTests(SynchronousTestCase):
    def setUp(self):
        self.reactor = Reactor()
        self.queue = NullQueue(reactor=self.reactor)

    def tearDown(self):
        self.successResultOf(self.queue.shutdown())
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.triggers["before"]["shutdown"], [])

    def test_errors(self):
        """
        A call that fails frees the worker: the next is made, and the queue can be
        shut down. (Once the lock was never released.)
        """
        for f in (calls.boom, lambda: fail(ValueError("boom"))):
            self.failureResultOf(self.queue.call(f), ValueError)
        self.assertEqual(self.successResultOf(self.queue.call(int)), 0)

    def test_keywords(self):
        """The worker's keywords are taken, the others are the queue's."""
        queue = NullQueue(raw=True, series=["x"], timeout=3, reactor=self.reactor)
        self.assertEqual(queue.timeout, 3)
        d = queue.call(calls.numbers, 3, series="x")
        self.assertEqual(list(self.successResultOf(d)), [0, 1, 2])
        self.assertRaises(TypeError, NullQueue, nonsense=1)
        self.successResultOf(queue.shutdown())

    def test_cancel(self):
        """A running call that is cancelled fails at once, and the next is made."""
        d, after = self.queue.call(Deferred), self.queue.call(int)
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(self.successResultOf(after), 0)

    def test_timeout(self):
        """A call that waits for too long is tried again, and then fails."""
        made: list[Deferred[None]] = []

        def never():
            made.append(Deferred())
            return made[-1]

        d, after = self.queue.call(never, timeout=2), self.queue.call(int)
        self.reactor.advance(2)
        self.assertNoResult(d)
        self.assertEqual(len(made), 2)
        self.reactor.advance(2)
        self.failureResultOf(d, TimeoutError)
        self.assertEqual(self.successResultOf(after), 0)

    def test_shutdown(self):
        """Shutting down waits for the call that runs, and fails those that wait."""
        waiting: Deferred[int] = Deferred()
        d = self.queue.call(lambda: waiting)
        stopped = self.queue.shutdown()
        self.assertNoResult(stopped)
        waiting.callback(1)
        self.assertEqual(self.successResultOf(d), 1)
        self.successResultOf(stopped)

    def test_shutdownImpatient(self):
        """It does so no longer than the queue's timeout."""
        self.queue.timeout = 3
        d = self.queue.call(Deferred)
        stopped = self.queue.shutdown()
        self.reactor.advance(3)
        self.successResultOf(stopped)
        self.failureResultOf(d, WorkerError)

    def test_consumer(self):
        """The items of a long iterator are written without recursion."""
        consumer = ListConsumer()
        d = self.queue.call(calls.count, N, consumer=consumer)
        self.assertIs(self.successResultOf(d), consumer)
        self.assertEqual(self.successResultOf(consumer()), list(range(N)))

    def test_atOnce(self):
        """Thousands of instant calls, made while one runs, nest no deeper than few."""
        waiting: Deferred[None] = Deferred()
        self.queue.call(lambda: waiting)
        depths: list[int] = []
        ds = [self.queue.call(lambda: depths.append(depth())) for _ in range(N)]
        waiting.callback(None)
        for d in ds:
            self.successResultOf(d)
        self.assertEqual(len(depths), N)
        self.assertLess(max(depths) - min(depths), 5)

    def test_oneAfterAnother(self):
        """So do thousands of them one after another."""
        depths: list[int] = []

        @inlineCallbacks
        def loop(waiting):
            yield self.queue.call(lambda: waiting)
            for _ in range(N):
                yield self.queue.call(lambda: depths.append(depth()))

        waiting: Deferred[None] = Deferred()
        d = loop(waiting)
        waiting.callback(None)
        self.successResultOf(d)
        self.assertEqual(len(depths), N)
        self.assertLess(max(depths) - min(depths), 50)
