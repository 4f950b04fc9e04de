"""
Tests of L{asynqueue.base}: updates on workers that come later, or begin anew.
"""

from asynqueue.errors import CrashLoop, WorkerDied
from asynqueue.restarts import MAX_DEATHS, PAUSE
from tests import calls
from tests.test_base_updates import UpdateTestCase, picky


class SavedUpdateTests(UpdateTestCase):
    """
    Tests of updates that are saved.
    """

    def update(self, *args, **kw):
        d = self.queue.update(*args, **kw)
        self.finish()
        return d

    def test_newcomer(self):
        """
        A newcomer does all of them, in order and once, before its first call.
        """
        for name in "ab":
            self.update(calls.echo, name)
        worker = self.attach()
        self.queue.call(calls.echo, "x", series="s")
        self.queue.qualifyWorker(worker, "s")
        self.assertNoResult(self.attached)
        self.finish()
        self.assertEqual(self.successResultOf(self.attached), 3)
        self.assertEqual(self.begun()[2], ["a", "b", "x"])

    def test_firstWorker(self):
        """
        So does the first worker of all.
        """
        self.make(0)
        self.queue.update(calls.echo, "u")
        waiting = self.queue.call(calls.echo, "x")
        self.attach(instant=True)
        self.assertEqual(self.successResultOf(waiting), "x")
        self.assertEqual(self.begun(), [["u", "x"]])

    def test_ephemeral(self):
        """
        What is ephemeral is for those that are there, in the life that they
        are in.
        """
        self.update(calls.echo, "u", ephemeral=True)
        self.attach(instant=True)
        self.workers[0].die()
        self.assertEqual(self.begun(), [["u"], ["u"], []])

    def test_restart(self):
        """
        A worker that begins anew does them again, before any call; once in each
        life.
        """
        for name in "ab":
            self.update(calls.echo, name)
        for _ in range(2):
            self.workers[0].die()
            self.queue.call(calls.echo, "x")
            self.queue.call(calls.echo, "x")
            self.finish()
        self.assertEqual(self.begun()[0], ["a", "b"] + ["a", "b", "x"] * 2)

    def test_whileComingUp(self):
        """
        One that is made while a worker comes up is done when it is, once, and
        is waited for.
        """
        self.update(calls.echo, "old")
        worker = self.attach(up=False)
        ds = [self.queue.update(calls.echo, name) for name in "ab"]
        self.finish()
        for d in ds:
            self.assertNoResult(d)
        worker.comeUp()
        self.queue.update(calls.echo, "c")
        self.finish()
        self.assertEqual(self.successResultOf(ds[0]), ["a"] * 3)
        self.assertEqual(self.successResultOf(self.attached), 3)
        self.assertEqual(self.begun()[2], ["old", "a", "b", "c"])

    def test_neverUp(self):
        """
        It fails with the reason if the worker never comes up.
        """
        worker = self.attach(up=False)
        d = self.queue.update(calls.echo)
        self.finish()
        worker.die()
        self.failureResultOf(self.attached, WorkerDied)
        self.failureResultOf(d, WorkerDied)

    def test_series(self):
        """
        Those of a series are for newcomers that are qualified for it, and for
        workers that become so, before they get any call of it.
        """
        self.attach(series=["x"])
        self.update(calls.echo, "u", series="x")
        self.update(calls.echo, "v", series="y")
        waiting = self.queue.call(calls.echo, "call", series="y")
        self.attach(series=["x"], instant=True)
        self.queue.qualifyWorker(self.workers[0], "y")
        self.finish()
        self.assertEqual(self.successResultOf(waiting), "call")
        self.assertEqual(self.begun(), [["v", "call"], [], ["u"], ["u"]])

    def test_failedEverywhere(self):
        """
        One that failed on all workers is not kept for others.
        """
        self.failureResultOf(self.update(calls.boom, "u"), ValueError)
        self.attach(instant=True)
        self.assertEqual(self.successResultOf(self.attached), 3)
        self.assertEqual(self.begun()[2], [])

    def test_failedSomewhere(self):
        """
        One that failed on some is kept.
        """
        allowed = ["one for one of them"]
        self.failureResultOf(self.update(picky, allowed), IndexError)
        allowed.append("one for the newcomer")
        self.attach(instant=True)
        self.assertEqual(self.successResultOf(self.attached), 3)
        self.assertEqual(allowed, [])

    def test_newcomerFails(self):
        """
        A newcomer that fails on one takes no calls: it is refused with that
        error, and stopped.
        """
        allowed = ["one", "two"]
        self.update(picky, allowed)
        worker = self.attach(instant=True)
        self.failureResultOf(self.attached, IndexError)
        self.assertEqual(len(self.queue), 2)
        self.assertTrue(worker.isStopping)
        self.assertFalse(worker.isUp)

    def test_restartFails(self):
        """
        A worker that fails on one in a new life is tried again in other lives,
        with growing pauses, each of which begins with all updates; then it is
        given up.
        """
        self.make(1)
        worker = self.workers[0]
        self.update(calls.echo, "a")
        self.update(picky, ["one"])
        waiting = self.queue.call(calls.echo, "x", doLast=True)
        self.finish()
        self.assertEqual(self.successResultOf(waiting), "x")
        worker.instant = True
        worker.die()
        waiting = self.queue.call(calls.echo, "y")
        for n in range(1, MAX_DEATHS - 1):
            self.assertEqual(worker.starts, n + 1)
            self.assertNoResult(waiting)
            self.queue.reactor.advance(PAUSE * 2 ** (n - 1) - 0.01)
            self.assertEqual(worker.starts, n + 1)
            self.queue.reactor.advance(0.01)
        error = self.failureResultOf(waiting, CrashLoop).value
        self.assertIsInstance(error.__cause__, IndexError)
        self.assertEqual(self.begun()[0], ["a", [], "x"] + ["a", []] * (MAX_DEATHS - 1))
        self.assertTrue(worker.isStopping)

    def test_restartFailsOnce(self):
        """
        If it does not fail the next time, it goes on.
        """
        self.make(1)
        allowed = ["one"]
        self.update(picky, allowed)
        self.workers[0].instant = True
        self.workers[0].die()
        allowed.append("two")
        waiting = self.queue.call(calls.echo, "x")
        self.queue.reactor.advance(0.1)
        self.assertEqual(self.successResultOf(waiting), "x")

    def test_diesOfIt(self):
        """
        A worker that dies of one that the others can do is tried again no more
        often than others.
        """
        d = self.queue.update(calls.echo, "u")
        for _ in range(MAX_DEATHS - 1):
            self.assertEqual(self.queue.workers(), self.workers)
            self.workers[0].die()
            self.queue.reactor.advance(1)
        self.assertEqual(self.queue.workers(), self.workers)
        self.workers[0].die()
        self.assertEqual(self.queue.workers(), self.workers[1:])
        self.finish(self.workers[1])
        self.failureResultOf(d, WorkerDied)
        self.assertEqual(self.queue.reactor.getDelayedCalls(), [])
