"""
Tests of L{asynqueue.base}: its end.
"""

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import QueueRunError, TimeoutError, WorkerError
from tests import calls
from tests.memory import MemoryWorker, Results, SteppedQueue, stopReactor
from tests.test_load import Numbers


class ShutdownTestCase(SynchronousTestCase):
    """
    What the tests below use.
    """

    def make(self, *workers, **kw):
        self.workers = workers or (MemoryWorker(),)
        self.worker = self.workers[0]
        self.queue = SteppedQueue(*self.workers, **kw)
        self.reactor = self.queue.reactor
        return self.queue

    def setUp(self):
        self.make()

    def clean(self):
        """
        Nothing is left that could disturb the reactor, or of the workers.
        """
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        triggers = self.reactor.triggers.get("before", {}).get("shutdown", [])
        self.assertEqual(triggers, [])
        self.assertEqual((len(self.queue), len(self.queue.q)), (0, 0))
        for worker in self.workers:
            self.assertEqual((worker.isUp, worker.tasks), (False, []))


class ShutdownTests(ShutdownTestCase):
    """
    Tests of L{TaskQueue.shutdown}.
    """

    def test_idle(self):
        """
        A queue that does nothing is shut down at once, with or without workers.
        """
        for workers in ((), (MemoryWorker(), MemoryWorker())):
            self.make(*workers)
            self.successResultOf(self.queue.shutdown())
            self.assertFalse(self.queue.isRunning())
            self.assertIs(bool(self.queue), False)
            self.clean()

    def test_running(self):
        """
        What runs finishes, what waits fails with an error that names it, and
        then it is over.
        """
        running = self.queue.call(calls.echo, 1)
        waiting = [self.queue.call(calls.add, i, y=2) for i in range(5)]
        elsewhere = self.queue.call(calls.echo, series="nobody")
        d = self.queue.shutdown()
        for i, each in enumerate(waiting):
            error = self.failureResultOf(each, QueueRunError).value
            self.assertIn(f"tests.calls.add({i}, y=2)", str(error))
        self.failureResultOf(elsewhere, QueueRunError)
        self.assertNoResult(d)
        self.worker.finish()
        self.assertEqual(self.successResultOf(running), 1)
        self.successResultOf(d)
        self.assertEqual(self.worker.begun, [(1,)])
        self.clean()

    def test_twice(self):
        """
        A second call waits for the first, a third comes when it is over.
        """
        self.queue.call(calls.echo)
        ds = [self.queue.shutdown(), self.queue.shutdown()]
        for d in ds:
            self.assertNoResult(d)
        self.worker.finish()
        for d in [*ds, self.queue.shutdown()]:
            self.assertIsNone(self.successResultOf(d))

    def test_againFromCallbacks(self):
        """
        Whoever is told of the end may shut down again, and cannot call any
        more.
        """
        results = Results()

        def again(_):
            results.watch("shutdown", self.queue.shutdown())
            self.assertRaises(QueueRunError, self.queue.call, calls.echo)

        self.queue.call(calls.echo)
        self.queue.call(calls.echo).addErrback(again)
        self.queue.shutdown().addCallback(
            lambda _: results.watch("after", self.queue.shutdown())
        )
        self.worker.finish()
        self.assertEqual(results.all, {"shutdown": [None], "after": [None]})

    def test_timeout(self):
        """
        With a timeout, what has not finished by then is ended, and fails.
        """
        self.make(MemoryWorker(), MemoryWorker(), timeout=3)
        ds = [self.queue.call(calls.add, i) for i in range(2)]
        d = self.queue.shutdown()
        self.workers[0].finish()
        self.reactor.advance(2.9)
        self.assertNoResult(d)
        self.reactor.advance(0.1)
        self.successResultOf(d)
        self.assertEqual(self.successResultOf(ds[0]), 0)
        error = self.failureResultOf(ds[1], WorkerError).value
        self.assertIn("tests.calls.add(1)", str(error))
        self.clean()

    def test_callTimesOut(self):
        """
        A call that times out meanwhile is not tried again.
        """
        d = self.queue.call(calls.echo, timeout=2, retries=5)
        over = self.queue.shutdown()
        self.reactor.advance(2)
        self.failureResultOf(d, TimeoutError)
        self.assertNoResult(over)
        self.worker.die()
        self.successResultOf(over)
        self.clean()

    def test_workerDies(self):
        """
        A worker that dies meanwhile is not started anew, and what it had not
        begun fails.
        """
        running = self.queue.call(calls.echo)
        updating = self.queue.update(calls.add, 1)
        over = self.queue.shutdown()
        self.worker.die()
        for d in (running, updating):
            self.failureResultOf(d, WorkerError)
        self.successResultOf(over)
        self.assertEqual(self.worker.starts, 1)
        self.clean()

    def test_workerComingUp(self):
        """
        A worker that is not up yet is not waited for.
        """
        self.make(MemoryWorker(up=False))
        attached = self.queue.attachWorker(MemoryWorker(up=False))
        waiting, updating = self.queue.call(calls.echo), self.queue.update(calls.echo)
        self.successResultOf(self.queue.shutdown())
        self.failureResultOf(waiting, QueueRunError)
        self.failureResultOf(updating, WorkerError)
        self.assertEqual(self.successResultOf(attached), 2)
        self.clean()

    def test_workerUpdating(self):
        """
        One that runs the updates finishes the one that it has begun, and no
        other.
        """
        self.make(MemoryWorker(up=False))
        updates = [self.queue.update(calls.echo, i) for i in range(2)]
        self.worker.comeUp()
        over = self.queue.shutdown()
        self.failureResultOf(updates[1], WorkerError)
        self.assertNoResult(over)
        self.worker.finish()
        self.assertEqual(self.successResultOf(updates[0]), [0])
        self.successResultOf(over)
        self.assertEqual(self.worker.begun, [(0,)])
        self.clean()

    def test_workerPausing(self):
        """
        One that pauses before it tries to come up again does not any more.
        """
        self.worker.comesUp = False
        self.worker.die()
        self.worker.die()
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.successResultOf(self.queue.shutdown())
        self.clean()

    def test_detachInProgress(self):
        """
        A worker that was being detached is waited for; what becomes of its
        tasks is for whoever detached it.
        """
        for kw, error in (({}, WorkerError), ({"reassign": True}, WorkerError)):
            self.make()
            running = self.queue.call(calls.echo, 1)
            detached = self.queue.detachWorker(self.worker, **kw)
            over = self.queue.shutdown()
            self.assertNoResult(over)
            self.worker.die()
            self.failureResultOf(running, error)
            self.assertEqual(self.successResultOf(detached), [])
            self.successResultOf(over)
            self.clean()

    def test_linger(self):
        """
        It is over when the last worker is gone, in whatever order they go.
        """
        self.make(*(MemoryWorker(lingers=True) for _ in range(3)))
        over = self.queue.shutdown()
        for i in (1, 0, 2):
            self.assertNoResult(over)
            self.workers[i].vanish()
        self.successResultOf(over)
        self.clean()

    def test_load(self):
        """
        The load info ends at zero and is over.
        """
        numbers = Numbers()
        self.queue.q.subscribe(numbers)
        for _ in range(3):
            self.queue.call(calls.echo).addErrback(lambda _: None)
        self.queue.shutdown()
        self.assertEqual((numbers.written[-1], numbers.producer), (0, None))


class ReactorStopsTests(ShutdownTestCase):
    """
    Tests of what happens when the reactor stops before the queue was shut down.
    """

    def test_stops(self):
        """
        The queue is shut down, and the reactor waits for it.
        """
        running, waiting = (self.queue.call(calls.echo, i) for i in range(2))
        (d,) = stopReactor(self.reactor)
        self.failureResultOf(waiting, QueueRunError)
        self.assertNoResult(d)
        self.assertNoResult(self.queue.shutdown())
        self.worker.finish()
        self.assertEqual(self.successResultOf(running), 0)
        self.successResultOf(d)
        self.clean()

    def test_grace(self):
        """
        It waits no longer than the grace; then what still runs is ended.
        """
        for kw, grace in (({}, 5), ({"grace": 2}, 2), ({"grace": 2, "timeout": 9}, 2)):
            self.make(MemoryWorker(), MemoryWorker(), **kw)
            ds = [self.queue.call(calls.echo, i) for i in range(2)]
            (d,) = stopReactor(self.reactor)
            self.workers[1].finish()
            self.reactor.advance(grace - 0.1)
            self.assertNoResult(d)
            self.reactor.advance(0.1)
            self.successResultOf(d)
            self.failureResultOf(ds[0], WorkerError)
            self.assertEqual(self.successResultOf(ds[1]), 1)
            self.clean()

    def test_duringShutdown(self):
        """
        It waits for a shutdown that is going on already, no longer than the
        grace.
        """
        running = self.queue.call(calls.echo)
        over = self.queue.shutdown()
        (d,) = stopReactor(self.reactor)
        self.reactor.advance(5)
        for each in (over, d):
            self.successResultOf(each)
        self.failureResultOf(running, WorkerError)
        self.clean()

    def test_afterShutdown(self):
        """
        A queue that was shut down is not in its way.
        """
        self.successResultOf(self.queue.shutdown())
        self.assertEqual(stopReactor(self.reactor), [])

    def test_whileDetaching(self):
        """
        A worker that is being detached is bounded by the grace too.
        """
        running = self.queue.call(calls.echo)
        detached = self.queue.detachWorker(self.worker)
        (d,) = stopReactor(self.reactor)
        self.reactor.advance(5)
        self.successResultOf(d)
        self.assertEqual(len(self.successResultOf(detached)), 1)
        self.failureResultOf(running, WorkerError)
        self.clean()
