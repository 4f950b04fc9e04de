"""
Tests of L{asynqueue.base}: taking workers away.
"""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import TimeoutError, WorkerDied, WorkerError
from tests import calls
from tests.memory import MemoryWorker, Results, SteppedQueue


class DetachTests(SynchronousTestCase):
    """
    Tests of L{TaskQueue.detachWorker}: whatever becomes of the worker, each
    call has one outcome, on the Deferred that its caller has.
    """

    def setUp(self):
        self.make()

    def make(self, n=2, **kw):
        self.results = Results()
        self.workers = [MemoryWorker() for _ in range(n)]
        self.queue = SteppedQueue(*self.workers, **kw)
        for i in range(n):
            self.results.watch(i, self.queue.call(calls.echo, i))

    def outcomes(self):
        return [self.results[i] for i in range(len(self.workers))]

    def failed(self, i, error):
        """
        @return: The exception of the one outcome of a running call, which is a
            failure.
        """
        (failure,) = self.results[i]
        failure.trap(error)
        return failure.value

    def test_unknown(self):
        """
        A worker that the queue does not have is gone already.
        """
        for worker in (MemoryWorker(), 77, None, "x"):
            self.assertEqual(self.successResultOf(self.queue.detachWorker(worker)), [])
        self.assertEqual(len(self.queue), 2)

    def test_graceful(self):
        """
        A worker finishes what it has, takes no more, and is gone; it can be
        named by itself or by its ID.
        """
        for name in (lambda: self.workers[0], lambda: self.workers[0].ID):
            self.make()
            d = self.queue.detachWorker(name())
            self.assertEqual(self.queue.workers(), self.workers[1:])
            waiting = self.queue.call(calls.echo, "x")
            self.assertNoResult(d)
            self.workers[0].finish()
            self.assertEqual(self.successResultOf(d), [])
            self.assertEqual(self.workers[0].begun, [(0,)])
            for _ in range(2):
                self.workers[1].finish()
            self.assertEqual(self.outcomes(), [[0], [1]])
            self.assertEqual(self.successResultOf(waiting), "x")

    def test_lastOne(self):
        """
        When the last is gone, calls wait until another is attached.
        """
        for worker in self.workers:
            self.queue.detachWorker(worker)
            worker.finish()
        waiting = self.queue.call(calls.echo, "x")
        self.assertNoResult(waiting)
        self.assertIs(bool(self.queue), False)
        self.queue.attachWorker(MemoryWorker(instant=True))
        self.assertEqual(self.successResultOf(waiting), "x")

    def test_timeout(self):
        """
        The queue's timeout bounds it; then what has not finished fails.
        """
        self.make(timeout=2)
        d = self.queue.detachWorker(self.workers[0])
        self.queue.reactor.advance(1.9)
        self.assertNoResult(d)
        self.queue.reactor.advance(0.1)
        self.assertEqual(len(self.successResultOf(d)), 1)
        self.failed(0, WorkerError)
        self.assertEqual(self.queue.reactor.getDelayedCalls(), [])

    def test_crash(self):
        """
        A worker that is made to crash does not finish, and its call fails with
        an error that names it.
        """
        d = self.queue.detachWorker(self.workers[0], crash=True)
        (task,) = self.successResultOf(d)
        self.assertEqual(task.callTuple[1], (0,))
        error = self.failed(0, WorkerError)
        self.assertIn("tests.calls.echo(0)", str(error))
        self.workers[1].finish()
        self.assertEqual(self.workers[1].begun, [(1,)])

    def test_reassign(self):
        """
        What it did not do can be done by another, and is that call's one
        outcome.
        """
        d = self.queue.detachWorker(self.workers[0], reassign=True, crash=True)
        self.assertEqual(self.successResultOf(d), [])
        self.assertEqual(self.outcomes(), [[], []])
        for _ in range(2):
            self.workers[1].finish()
        self.assertEqual(self.outcomes(), [[0], [1]])
        self.assertEqual(self.workers[1].begun, [(1,), (0,)])

    def test_reassignKeepsItsPlace(self):
        """
        A call that is reassigned goes before those made after it.
        """
        for i in "ab":
            self.queue.call(calls.echo, i)
        self.queue.detachWorker(self.workers[0], reassign=True, crash=True)
        while self.workers[1].tasks:
            self.workers[1].finish()
        self.assertEqual(self.workers[1].begun, [(1,), (0,), ("a",), ("b",)])

    def test_cancelledBeforeReassigned(self):
        """
        A call that is cancelled, or whose time is up, while its worker is
        going is not run by another.
        """
        for end, error in (("cancel", CancelledError), ("advance", TimeoutError)):
            self.make()
            worker = MemoryWorker(["x"], lingers=True)
            self.queue.attachWorker(worker)
            d = self.queue.call(calls.echo, "x", series="x", timeout=5, retries=0)
            gone = self.queue.detachWorker(worker, reassign=True, crash=True)
            self.queue.qualifyWorker(self.workers[0], "x")
            if end == "cancel":
                d.cancel()
            else:
                self.queue.reactor.advance(5)
            worker.vanish()
            self.successResultOf(gone)
            self.workers[0].finish()
            if end == "cancel":
                self.failureResultOf(d, error)
                self.assertEqual(self.workers[0].begun, [(0,)])
            else:
                # Its time does not count while nobody has it.
                self.workers[0].finish()
                self.assertEqual(self.successResultOf(d), "x")

    def test_updatesAreNotReassigned(self):
        """
        An update that it did not do fails; the others have done theirs.
        """
        for kw in ({}, {"reassign": True}):
            self.make()
            d = self.queue.update(calls.echo, "update")
            for worker in self.workers:
                self.assertEqual(len(worker.tasks), 2)
            self.queue.detachWorker(self.workers[0], crash=True, **kw)
            while self.workers[1].tasks:
                self.workers[1].finish()
            self.failureResultOf(d, WorkerError)
            self.assertEqual(self.workers[1].begun.count(("update",)), 1)

    def test_dies(self):
        """
        If the worker dies instead, what it had begun fails, and what it had not
        is done by another if it was to be.
        """
        for reassign in (False, True):
            self.make()
            held = self.workers[0]
            d = self.queue.detachWorker(held, reassign=reassign)
            held.die()
            self.assertEqual(self.successResultOf(d), [])
            self.failed(0, WorkerDied)
            self.assertEqual(held.starts, 1)

    def test_twice(self):
        """
        Who takes it away again waits for the first, and may make it crash; its
        tasks are the first one's.
        """
        one = self.queue.detachWorker(self.workers[0])
        two = self.queue.detachWorker(self.workers[0].ID)
        for d in (one, two):
            self.assertNoResult(d)
        three = self.queue.detachWorker(self.workers[0], crash=True)
        self.assertEqual(len(self.successResultOf(one)), 1)
        for d in (two, three):
            self.assertEqual(self.successResultOf(d), [])
        self.failed(0, WorkerError)
        self.assertEqual(self.successResultOf(self.queue.detachWorker(1)), [])

    def test_comingUp(self):
        """
        One that is not up yet can be taken away; whoever attached it is told
        its ID.
        """
        worker = MemoryWorker(up=False)
        attached = self.queue.attachWorker(worker)
        updated = self.queue.update(calls.echo)
        self.assertEqual(self.successResultOf(self.queue.detachWorker(worker)), [])
        self.assertEqual(self.successResultOf(attached), 3)
        for each in self.workers:
            each.finish()
            each.finish()
        self.failureResultOf(updated, WorkerError)
        worker.comeUp()
        self.assertEqual(worker.begun, [])

    def test_fromItsOwnUpdate(self):
        """
        One that is taken away when it has just run an update takes no call
        after that.
        """
        self.make(1)
        worker = self.workers[0]
        worker.finish()
        worker.comesUp = False
        worker.die()
        self.queue.update(calls.echo, "u").addCallback(
            lambda _: self.queue.detachWorker(worker)
        )
        waiting = self.queue.call(calls.echo, "waiting")
        worker.comeUp()
        worker.finish()
        self.assertNoResult(waiting)
        self.assertEqual(len(self.queue), 0)
        self.assertNotIn(("waiting",), worker.begun)

    def test_wontStop(self):
        """
        A worker that cannot be stopped is gone all the same, and the log tells.
        """

        class Stuck(MemoryWorker):
            def stop(self):
                return super().stop().addCallback(lambda _: 1 // 0)

        worker = Stuck()
        self.queue.attachWorker(worker)
        self.assertEqual(self.successResultOf(self.queue.detachWorker(worker)), [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
