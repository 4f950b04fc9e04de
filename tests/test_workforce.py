"""
Tests of L{asynqueue.workforce}.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import ImplementationError, InvariantError
from asynqueue.messages import Status
from asynqueue.task import Task
from asynqueue.workforce import TaskHandler
from tests import calls
from tests.fakes import Reactor
from tests.memory import MemoryWorker, makeTask


class TaskHandlerTests(SynchronousTestCase):
    """
    Tests of L{TaskHandler} without a queue.
    """

    def setUp(self):
        self.reactor = Reactor()
        self.handler = TaskHandler(self.reactor)

    def hire(self, *args, **kw):
        worker = MemoryWorker(*args, **kw)
        self.ID = self.successResultOf(self.handler.hire(worker))
        return worker

    def test_hire(self):
        """
        Workers get IDs from 1, and keep them.
        """
        for ID in (1, 2):
            worker = self.hire()
            self.assertEqual((self.ID, worker.ID), (ID, ID))
            self.assertIs(self.handler.workers[ID], worker)
        self.assertEqual(self.successResultOf(self.handler.hire(worker)), 2)
        self.assertEqual(list(self.handler.workers), [1, 2])

    def test_noWorker(self):
        """
        What is no worker, or an impossible one, is refused and not kept.
        """
        self.assertRaises(ImplementationError, self.handler.hire, object())
        for attribute in ("iQualified", "cQualified"):
            worker: Any = MemoryWorker()
            setattr(worker, attribute, "x")
            self.assertRaises(InvariantError, self.handler.hire, worker)
        self.assertEqual(self.handler.workers, {})

    def test_waitsForWorker(self):
        """
        A task waits for a worker that is qualified for it.
        """
        tasks = [Task(calls.echo, (s,), {}, 1, s) for s in ("x", None)]
        ds = [self.handler(task) for task in tasks]
        plain = self.hire()
        self.successResultOf(ds[1])
        self.assertNoResult(ds[0])
        qualified = self.hire(["x"])
        self.successResultOf(ds[0])
        self.assertEqual((plain.begun, qualified.begun), ([(None,)], [("x",)]))

    def test_isReadyFor(self):
        """
        It tells whether a worker is ready for a series, and when one has become
        so.
        """
        told: list[bool] = []
        self.handler.whenReady = lambda: told.append(self.handler.isReadyFor("x"))
        self.assertFalse(self.handler.isReadyFor("x"))
        worker = self.hire(["x"])
        self.handler(makeTask(calls.echo))
        self.assertFalse(self.handler.isReadyFor("x"))
        worker.finish()
        self.assertEqual(told, [True, True])
        self.assertFalse(self.handler.isReadyFor("y"))

    def test_roster(self):
        """
        It knows who is qualified for what: everybody for what has no series.
        """
        plain, special = self.hire(), self.hire(["x"])
        for series, workers in (
            (None, [plain, special]),
            ("local", [plain, special]),
            ("x", [special]),
            ("y", []),
        ):
            self.assertEqual(self.handler.roster(series), workers, series)
        self.assertEqual(self.handler.roster(), [plain, special])

    def test_qualifyStranger(self):
        """
        A worker can be qualified before it is hired.
        """
        worker = MemoryWorker()
        self.handler.qualify(worker, "x")
        self.handler.hire(worker)
        self.assertEqual(self.handler.roster("x"), [worker])

    def test_terminate(self):
        """
        A worker is gone when it has done what it has.
        """
        worker = self.hire()
        task = makeTask(calls.echo, 1)
        self.handler(task)
        d = self.handler.terminate(1)
        self.assertEqual((self.handler.workers, self.handler.roster()), ({}, []))
        self.assertEqual(self.handler.leaving(), [worker])
        self.assertNoResult(d)
        worker.finish()
        self.assertEqual(self.successResultOf(d), [])
        self.assertEqual(self.handler.leaving(), [])
        self.assertEqual(self.successResultOf(task.d), (Status.RESULT, 1))
        self.assertEqual(self.successResultOf(self.handler.terminate(1)), [])

    def test_unfinished(self):
        """
        What it has not done is for whoever let it go to end, if it was made to
        crash, or had no more time.
        """
        for kw, seconds in (({"crash": True}, 0), ({"timeout": 3}, 3)):
            worker = self.hire()
            task = makeTask(calls.echo, 1)
            self.handler(task)
            d = self.handler.terminate(worker.ID, **kw)
            self.reactor.advance(seconds)
            self.assertEqual(self.successResultOf(d), [task])
            self.assertFalse(task.isOver())
            self.assertIsNone(task.holder)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_reassign(self):
        """
        Or waits for another worker.
        """
        self.hire()
        tasks = [makeTask(calls.echo, i) for i in range(2)]
        for task in tasks:
            self.handler(task)
        d = self.handler.terminate(1, crash=True, reassign=True)
        self.assertEqual(self.successResultOf(d), [])
        worker = self.hire(instant=True)
        self.assertEqual(worker.begun, [(1,), (0,)])

    def test_shutdown(self):
        """
        All workers go when they have done what they have.
        """
        workers = [self.hire() for _ in range(2)]
        tasks = [makeTask(calls.echo, i) for i in range(2)]
        for task in tasks:
            self.handler(task)
        self.assertTrue(self.handler.isRunning)
        d = self.handler.shutdown(5)
        self.assertFalse(self.handler.isRunning)
        workers[0].finish()
        self.assertNoResult(d)
        self.reactor.advance(5)
        self.assertEqual(self.successResultOf(d), [tasks[1]])

    def test_shutdownWithWaiting(self):
        """
        Tasks that wait for a worker are given back, as no more will come.
        """
        task = makeTask(calls.echo)
        d = self.handler(task)
        self.assertEqual(self.successResultOf(self.handler.shutdown()), [task])
        self.assertNoResult(d)

    def test_foreignTasks(self):
        """
        Tasks of any class that have what a worker needs can be handed over and
        given back.
        """

        class Foreign:
            callTuple, series, d = (calls.echo, (1,), {}), None, Deferred()

            def startTimer(self):
                pass

            def isOver(self):
                return False

        self.hire()
        task = Foreign()
        self.successResultOf(self.handler(task))
        d = self.handler.terminate(1, crash=True)
        self.assertEqual(self.successResultOf(d), [task])

    def test_update(self):
        """
        The statuses and results of an update come in the order of the workers.
        """
        workers = [self.hire() for _ in range(2)]
        d = self.handler.update(makeTask(calls.echo, 1))
        workers[1].fail(ValueError())
        workers[0].finish()
        results = self.successResultOf(d)
        self.assertEqual(
            [status for status, _ in results], [Status.RESULT, Status.ERROR]
        )
        self.assertEqual(len(self.handler.updateTasks), 1)
