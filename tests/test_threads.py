"""
Calls made in a thread, by a worker, through a queue, and past it.
"""

import threading
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import workers
from asynqueue.deferator import Deferator
from asynqueue.errors import ThreadError, TimeoutError, WorkerError
from asynqueue.openings import LINGER
from asynqueue.producers import ListConsumer
from asynqueue.threads import ThreadQueue, ThreadWorker
from tests import calls
from tests.looper_case import tidy
from tests.support import BOUND
from tests.threads_case import QueueCase


class ThreadQueueTests(QueueCase):
    def setUp(self):
        super().setUp()
        self.queue = self.makeQueue()

    def test_attributes(self):
        """It has one worker, and a Deferred of its ID."""
        self.assertEqual(self.queue.workers(), [self.queue.worker])
        self.assertIsInstance(self.queue.worker, ThreadWorker)
        self.assertEqual(self.queue.worker.cQualified, ["thread", "local"])
        self.assertEqual(self.until(self.queue.d), self.queue.worker.ID)

    def test_keywords(self):
        """The worker's keywords are taken, the others are the queue's."""
        queue = self.makeQueue(raw=True, series=["x"], timeout=3)
        self.assertEqual(queue.timeout, 3)
        d = queue.call(calls.count, 3, series="x")
        self.assertEqual(list(self.until(d)), [0, 1, 2])
        self.assertRaises(TypeError, ThreadQueue, nonsense=1)

    def test_inThread(self):
        """Calls run in the worker's thread, one and the same."""
        found = {self.until(self.queue.call(threading.get_ident)) for _ in range(3)}
        self.assertEqual(found, {self.queue.worker.t.thread.ident})

    def test_keywordsOfCall(self):
        """A call may have keywords by names that the thread has a use for."""
        d = self.queue.call(dict, f=1, self=2, callTuple=3)
        self.assertEqual(self.until(d), {"f": 1, "self": 2, "callTuple": 3})

    def test_order(self):
        """
        Calls made with doNext and doLast run before and after all others, and
        those of either kind in the order in which they were made. (Once 0, 1, 3,
        7, 11, 10, 9, 6, 8, 5, 2, 4.)
        """
        order: list[int] = []
        self.hold(self.queue)
        ds = [
            self.queue.call(order.append, i, doNext=i % 3 == 0, doLast=i % 3 == 1)
            for i in range(12)
        ]
        self.gate.set()
        for d in ds:
            self.until(d)
        self.assertEqual(order, [0, 3, 6, 9, 2, 5, 8, 11, 1, 4, 7, 10])

    def test_errorsMidway(self):
        """
        A generator that raises gives the items before it and then its error,
        through a loop and through a consumer. (Once it ended like any other.)
        """
        items: list[int] = []
        dr = self.until(self.queue.call(calls.brittle, 3))
        self.assertIsInstance(dr, Deferator)
        with self.assertRaises(ValueError):
            for d in dr:
                items.append(self.until(d))
        self.assertEqual(items, [0, 1, 2])
        consumer = ListConsumer()
        d = self.queue.call(calls.brittle, 3, consumer=consumer)
        self.assertRaises(ValueError, self.until, d)
        self.assertEqual(self.until(consumer()), [0, 1, 2])
        self.assertEqual(self.until(self.queue.call(int)), 0)

    def test_timeout(self):
        """
        A call that takes too long fails, once and at once: to try it again would
        be to wait for the first try. Its late result is dropped, and the queue
        lives on. (Once that was the end of the queue.)
        """
        d, after = self.hold(self.queue, timeout=2), self.queue.call(int)
        self.reactor.advance(2)
        self.failureResultOf(d, TimeoutError)
        self.assertNoResult(after)
        self.gate.set()
        self.assertEqual(self.until(after), 0)

    def test_cancelRunning(self):
        """
        A running call that is cancelled fails at once. The next is made when it
        is over, and its result is dropped.
        """
        d, after = self.hold(self.queue), self.queue.call(int)
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertNoResult(after)
        self.gate.set()
        self.assertEqual(self.until(after), 0)

    def test_cancelWaiting(self):
        """A waiting call that is cancelled is not made."""
        made: list[int] = []
        self.hold(self.queue)
        ds = [self.queue.call(made.append, i) for i in range(3)]
        ds[1].cancel()
        self.failureResultOf(ds[1], CancelledError)
        self.gate.set()
        self.until(ds[2])
        self.assertEqual(made, [0, 2])

    def test_earlyBreak(self):
        """
        A loop that is left early closes the generator, in the thread, and keeps
        no shutdown.
        """
        closedIn: list[Any] = []
        dr = self.until(self.queue.call(tidy, closedIn))
        for d in dr:
            self.until(d)
            break
        stopped = self.queue.shutdown()
        while not self.reactor.getDelayedCalls():
            self.reactor.turn()
        self.reactor.advance(LINGER)
        self.until(stopped)
        self.assertEqual(closedIn, [self.queue.worker.t.thread])
        self.until(next(dr))
        self.failureResultOf(next(dr), WorkerError)


class DeferToThreadTests(QueueCase):
    """
    Past the queue, in the thread of its worker.
    """

    def setUp(self):
        super().setUp()
        self.queue = self.makeQueue()

    def test_past(self):
        """A call waits for the one that runs, and passes those that wait."""
        order: list[str] = []
        self.hold(self.queue)
        last = self.queue.call(order.append, "queued")
        self.queue.deferToThread(order.append, "past")
        self.gate.set()
        self.until(last)
        self.assertEqual(order, ["past", "queued"])

    def test_errors(self):
        """It fails with what was raised."""
        self.assertRaises(ValueError, self.until, self.queue.deferToThread(calls.boom))

    def test_consumer(self):
        """
        A consumer gets the items, and the queue can be shut down after. (Once a
        NameError, and then it could not.)
        """
        consumer = ListConsumer()
        d = self.queue.deferToThread(calls.count, 5, consumer=consumer)
        self.assertIs(self.until(d), consumer)
        self.assertEqual(self.until(consumer()), list(range(5)))
        self.until(self.queue.shutdown())

    def test_refused(self):
        """After the queue was shut down it fails, and says why."""
        self.until(self.queue.shutdown())
        error = self.failureResultOf(self.queue.deferToThread(int), ThreadError)
        self.assertIn("int()", str(error.value))


class ShutdownTests(QueueCase):
    def test_unused(self):
        """A queue that was not used has no thread to be rid of."""
        queue = self.makeQueue()
        self.until(queue.shutdown())
        self.assertIsNone(queue.worker.t.thread)
        self.assertFalse(queue.worker.t.threadRunning)

    def test_waits(self):
        """Shutting down lets the call that runs finish, and ends the thread."""
        queue = self.makeQueue()
        d, waiting = self.hold(queue), queue.call(int)
        stopped = queue.shutdown()
        self.failureResultOf(waiting)
        self.assertNoResult(stopped)
        self.gate.set()
        self.until(stopped)
        self.assertEqual(self.successResultOf(d), "held")
        self.assertFalse(queue.worker.t.thread.is_alive())

    def test_impatient(self):
        """
        It waits no longer than the queue's timeout. The call fails; the thread,
        which cannot be killed, ends when the call is over, and tells nobody.
        """
        queue = self.makeQueue(timeout=3)
        d, past = self.hold(queue), queue.deferToThread(int)
        stopped = queue.shutdown()
        self.reactor.advance(3)
        self.until(stopped)
        self.failureResultOf(d, WorkerError)
        self.failureResultOf(past, ThreadError)
        self.assertTrue(queue.worker.t.thread.is_alive())
        self.gate.set()
        queue.worker.t.thread.join(BOUND)
        # All that it has left to tell.
        told: Deferred[None] = Deferred()
        self.reactor.callFromThread(told.callback, None)
        self.until(told)

    def test_reader(self):
        """A consumer gets all its items though the queue is shut down meanwhile."""
        queue = self.makeQueue()
        consumer = ListConsumer()
        written = queue.deferToThread(calls.count, 50, consumer=consumer)
        d = queue.call(calls.count, 50, consumer=(other := ListConsumer()))
        self.until(queue.call(int))
        self.until(queue.shutdown())
        for each, its in ((written, consumer), (d, other)):
            self.until(each)
            self.assertEqual(self.until(its()), list(range(50)))

    def test_detach(self):
        """
        A worker that is made to crash gives its call back, to be made by another.
        It is not tried less often for that.
        """
        queue = self.makeQueue(timeout=3)
        d = self.hold(queue, timeout=1, retries=1)
        other = AttachedWorker(reactor=self.reactor)
        self.until(queue.attachWorker(other))
        self.gate.set()
        self.until(queue.detachWorker(queue.worker, crash=True, reassign=True))
        self.assertEqual(self.until(d), "held")
        self.assertEqual([task.retries for task in other.given], [1])
        queue.worker.t.thread.join(BOUND)
        self.until(queue.shutdown())


class AttachedWorker(ThreadWorker):
    """
    A worker that keeps what it is given.
    """

    def begin(self, task):
        self.given = [task]
        return super().begin(task)


class AddressTests(SynchronousTestCase):
    def test_workers(self):
        """All workers can be had from one address."""
        self.assertIs(workers.ThreadWorker, ThreadWorker)
        self.assertEqual(
            workers.__all__, ["AsyncWorker", "IWorker", "ProcessWorker", "ThreadWorker"]
        )
