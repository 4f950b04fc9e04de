"""
Tests of L{asynqueue.assignments}.
"""

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.assignments import AssignmentFactory, entrust, release
from asynqueue.task import Task
from tests import calls
from tests.memory import MemoryWorker, makeTask


class AssignmentTests(SynchronousTestCase):
    """
    Tests of L{AssignmentFactory}, L{entrust} and L{release}.
    """

    def setUp(self):
        self.free: list[MemoryWorker] = []
        self.factory = AssignmentFactory(lambda worker, _: self.free.append(worker))
        self.worker, self.other = MemoryWorker(), MemoryWorker()

    def test_workerFirst(self):
        """
        A worker that is ready gets the next task of a series that it is ready
        for, and then no other before it is ready again.
        """
        for series in (None, "x"):
            self.assertFalse(self.factory.request(self.worker, series))
        self.assertTrue(self.factory.isWaiting(self.worker))
        self.assertTrue(self.factory.isWaitedFor("x"))
        d = self.factory.new(makeTask(calls.echo, 1))
        self.assertIsNone(self.successResultOf(d))
        self.assertFalse(self.factory.isWaiting(self.worker))
        self.assertFalse(self.factory.isWaitedFor("x"))
        self.assertNoResult(self.factory.new(makeTask(calls.echo, 2)))
        self.assertEqual((self.worker.begun, self.free), ([(1,)], []))
        self.worker.finish()
        self.assertEqual((self.worker.begun, self.free), ([(1,)], [self.worker]))

    def test_taskFirst(self):
        """
        Tasks wait for workers in their order, but those that are over by then
        get none.
        """
        tasks = [makeTask(calls.echo, i) for i in range(3)]
        ds = [self.factory.new(task) for task in tasks]
        tasks[0].d.addErrback(lambda _: None).cancel()
        self.assertTrue(self.factory.request(self.worker, None))
        self.assertTrue(self.factory.request(self.other, None))
        self.assertEqual((self.worker.begun, self.other.begun), ([(1,)], [(2,)]))
        self.assertEqual([d.called for d in ds], [False, True, True])

    def test_lastReady(self):
        """
        The worker that became ready last gets the task, but before one that has not
        done any yet.
        """
        for worker in (self.worker, self.other):
            self.factory.request(worker, None)
        self.factory.new(makeTask(calls.echo, 1))
        self.assertEqual((self.other.begun, self.worker.begun), ([(1,)], []))
        self.other.finish()
        self.factory.wait(self.other, [None], isFresh=True)
        for i in (2, 3):
            self.factory.new(makeTask(calls.echo, i))
        self.assertEqual((self.other.begun, self.worker.begun), ([(1,), (3,)], [(2,)]))

    def test_cancelRequests(self):
        """
        A worker that is ready for nothing any more gets nothing.
        """
        for series in (None, "x"):
            self.factory.request(self.worker, series)
        self.factory.cancelRequests(self.worker)
        self.assertNoResult(self.factory.new(makeTask(calls.echo)))
        self.assertFalse(self.factory.isWaitedFor("x"))

    def test_abandon(self):
        """
        When no worker will come any more, those tasks that waited and are not
        over are given back, once.
        """
        tasks = [Task(calls.echo, (), {}, 1, n % 2) for n in range(4)]
        for task in tasks:
            self.factory.new(task)
        tasks[0].d.addErrback(lambda _: None).cancel()
        self.assertEqual(self.factory.abandon(), [tasks[2], tasks[1], tasks[3]])
        self.assertEqual(self.factory.abandon(), [])
        self.assertFalse(self.factory.request(self.worker, 1))

    def test_timeCountsFromThere(self):
        """
        A task's time begins when a worker gets it.
        """
        clock = Clock()
        task = Task(calls.echo, (), {}, 1, None, timeout=1, reactor=clock)
        self.factory.new(task)
        clock.advance(10)
        self.factory.request(self.worker, None)
        clock.advance(0.9)
        self.assertFalse(task.isOver())
        clock.advance(0.1)
        self.assertTrue(task.isOver())
        self.assertEqual(self.worker.cancelled, [task])

    def test_holder(self):
        """
        Only a worker that can abandon tasks is asked to.
        """

        class Stubborn:
            def run(self, task):
                return succeed(None)

        task = makeTask(calls.echo)
        task.holder = self.worker
        entrust(task, Stubborn())
        self.assertIsNone(task.holder)
        ready = entrust(task, self.worker)
        self.assertIs(task.holder, self.worker)
        self.assertIsInstance(ready, Deferred)

    def test_release(self):
        """
        A task that a worker gives back is nobody's, and its time stands still;
        one of another class is left as it is.
        """
        clock = Clock()
        task = Task(calls.echo, (), {}, 1, None, timeout=1, reactor=clock)
        entrust(task, self.worker)
        release(task)
        clock.advance(1)
        self.assertIsNone(task.holder)
        self.assertFalse(task.isOver())
        release(object())
