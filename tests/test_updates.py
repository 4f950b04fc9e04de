"""
Tests of L{asynqueue.updates}: what workers are given that come to be qualified for
other series, and those that see to updates themselves.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import TimeoutError, WorkerDied, WorkerError
from asynqueue.restarts import PAUSE
from tests import calls
from tests.crew import CrewWorker, LedWorker
from tests.memory import MemoryWorker, SteppedQueue


class UpdatesTestCase(SynchronousTestCase):
    """
    What the tests below use.
    """

    def make(self, *workers):
        self.queue = SteppedQueue(*workers)
        self.worker: Any = workers[0] if workers else None

    def attach(self, worker):
        self.worker = worker
        self.attached = self.queue.attachWorker(worker)

    def finish(self):
        """
        Has the worker finish what it has and what it gets.
        """
        while self.worker.running:
            self.worker.finish()

    def begun(self):
        """
        @return: The first arguments of what the worker has begun.
        """
        return [args[0] for args in self.worker.begun]


class SeriesTests(UpdatesTestCase):
    """
    Tests of updates of a series that a worker comes to be qualified for by itself.
    """

    def setUp(self):
        self.make(CrewWorker(["x"]), MemoryWorker(["y"], instant=True))
        self.queue.update(calls.echo, "ux", series="x")
        self.queue.update(calls.echo, "uy", series="y")
        self.queue.update(calls.echo, "once", series="y", ephemeral=True)
        self.finish()

    def have(self, *series):
        """
        Has the worker be qualified for other series, and tell of it.
        """
        self.worker.iQualified = list(series)
        self.worker.tell()

    def test_before(self):
        """
        They are run before any call of it.
        """
        self.queue.detachWorker(2)
        waiting = self.queue.call(calls.echo, "call", series="y")
        self.have("x", "y")
        self.finish()
        self.assertEqual(self.begun(), ["ux", "uy", "call"])
        self.assertEqual(self.successResultOf(waiting), "call")

    def test_once(self):
        """
        They are run once in each life, however often it comes to be qualified; what
        it has missed meanwhile is made up for.
        """
        for series in ("xy", "x", "xy"):
            self.have(*series)
            self.finish()
        self.assertEqual(self.begun(), ["ux", "uy"])
        self.have("x")
        self.queue.update(calls.echo, "v", series="y")
        self.have("x", "y")
        self.finish()
        self.assertEqual(self.begun(), ["ux", "uy", "v"])
        self.worker.die()
        self.finish()
        self.assertEqual(self.begun()[3:], ["ux", "uy", "v"])

    def test_whileComingUp(self):
        """
        A series that comes while it begins anew counts with the others, even in the
        middle of the updates.
        """
        self.worker.die()
        self.assertEqual(self.begun(), ["ux", "ux"])
        self.have("x", "y")
        late = self.queue.update(calls.echo, "late", series="y")
        self.finish()
        self.assertEqual(self.begun(), ["ux", "ux", "uy", "late"])
        self.assertEqual(self.successResultOf(late), ["late", "late"])

    def test_forgotten(self):
        """
        Nothing is kept of an update that failed everywhere.
        """
        (employee, _) = self.queue.th._employees.values()
        d = self.queue.update(calls.boom, "bad", series="x")
        self.finish()
        self.failureResultOf(d, ValueError)
        self.assertEqual(len(employee._updates._given), 1)
        self.have()
        self.have("x")
        self.assertEqual(self.begun(), ["ux", "bad"])


class UpdatableTests(UpdatesTestCase):
    """
    Tests of a worker that sees to it itself that all it runs tasks on run the
    updates.
    """

    def test_lasting(self):
        """
        It is told whether an update lasts, and ends it as any other worker does.
        """
        self.make(LedWorker())
        ds = [
            self.queue.update(calls.echo, "a"),
            self.queue.update(calls.echo, "b", ephemeral=True),
        ]
        self.assertEqual(self.worker.updates, [("a", True), ("b", False)])
        self.finish()
        self.assertEqual([self.successResultOf(d) for d in ds], [["a"], ["b"]])

    def test_beforeHiring(self):
        """
        Those that are saved it is given first, one by one, as lasting.
        """
        self.make()
        for name in "ab":
            self.queue.update(calls.echo, name)
        self.queue.update(calls.echo, "gone", ephemeral=True)
        waiting = self.queue.call(calls.echo, "call")
        self.attach(LedWorker())
        self.assertEqual(self.worker.updates, [("a", True)])
        self.finish()
        self.assertEqual(self.worker.updates, [("a", True), ("b", True)])
        self.assertEqual(self.begun(), ["a", "b", "call"])
        self.successResultOf(self.attached)
        self.successResultOf(waiting)

    def test_whileComingUp(self):
        """
        Those that are made while it comes up it is given when it is up, with the
        same word.
        """
        self.make(LedWorker(up=False))
        ds = [
            self.queue.update(calls.echo, "a"),
            self.queue.update(calls.echo, "b", ephemeral=True),
        ]
        self.worker.comeUp()
        self.finish()
        self.assertEqual(self.worker.updates, [("a", True), ("b", False)])
        for d in ds:
            self.successResultOf(d)

    def test_beginningAnew(self):
        """
        In each life it is given those that last, once, and those that it gave back.
        """
        self.make(LedWorker())
        self.queue.update(calls.echo, "a")
        self.queue.update(calls.echo, "b", ephemeral=True)
        self.finish()
        ds = [
            self.queue.update(calls.echo, "c", ephemeral=True),
            self.queue.update(calls.echo, "d"),
            self.queue.update(calls.echo, "e", ephemeral=True),
        ]
        self.worker.updates.clear()
        self.worker.die()
        self.finish()
        self.assertEqual(self.worker.updates, [("a", True), ("d", True), ("e", False)])
        self.failureResultOf(ds[0], WorkerDied)
        for d in ds[1:]:
            self.successResultOf(d)
        self.worker.die()
        self.queue.reactor.advance(PAUSE)
        self.finish()
        self.assertEqual(self.worker.updates[3:], [("a", True), ("d", True)])

    def test_failed(self):
        """
        One that failed everywhere is not saved, and lasts no more when it begins
        anew.
        """
        self.make(LedWorker())
        d = self.queue.update(calls.boom, "bad")
        self.finish()
        self.failureResultOf(d, ValueError)
        self.worker.updates.clear()
        self.worker.die()
        self.assertEqual(self.worker.updates, [])

    def test_failedAtHiring(self):
        """
        A newcomer on which a saved one fails never takes calls.
        """
        self.make(MemoryWorker())
        self.queue.update(calls.boom, "bad").addErrback(lambda _: None)
        self.attach(LedWorker())
        self.finish()
        self.failureResultOf(self.attached, ValueError)

    def test_timeout(self):
        """
        It counts the time of an update itself, and is asked to abandon it.
        """
        self.make(LedWorker(hands=1))
        self.queue.call(calls.echo, 1)
        d = self.queue.update(calls.echo, "u", timeout=3)
        self.queue.reactor.advance(60)
        self.worker.finish()
        self.queue.reactor.advance(3)
        self.failureResultOf(d, TimeoutError)
        self.assertEqual(len(self.worker.cancelled), 1)

    def test_letGo(self):
        """
        One that it has not done when it is let go fails.
        """
        self.make(LedWorker())
        d = self.queue.update(calls.echo, "u")
        self.queue.detachWorker(1, crash=True)
        self.failureResultOf(d, WorkerError)
