"""
Tests of L{asynqueue.base}: updates.
"""

import sys
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.employment import ATTEMPTS
from asynqueue.errors import WorkerDied
from asynqueue.iteration import Deferator
from tests import calls
from tests.memory import MemoryWorker, SteppedQueue


def picky(allowed):
    """
    Raises, unless a list has something to pop.
    """
    return allowed.pop()


class UpdateTestCase(SynchronousTestCase):
    """
    What the tests below use.
    """

    def setUp(self):
        self.make()

    def make(self, n=2, **kw):
        self.workers = [MemoryWorker() for _ in range(n)]
        self.queue = SteppedQueue(*self.workers, **kw)

    def attach(self, **kw):
        worker = MemoryWorker(**kw)
        self.workers.append(worker)
        self.attached = self.queue.attachWorker(worker)
        return worker

    def finish(self, *workers):
        """
        Has workers, or all, finish what they have and what they get.
        """
        while busy := [w for w in workers or self.workers if w.isUp and w.tasks]:
            busy[0].finish()

    def begun(self):
        """
        @return: For each worker, a list of the first arguments of what it has
            begun.
        """
        return [[args[0] for args in worker.begun] for worker in self.workers]


class UpdateTests(UpdateTestCase):
    """
    Tests of L{TaskQueue.update} on workers that are there.
    """

    def test_all(self):
        """
        All workers do it, at once, and the results come in their order.
        """
        d = self.queue.update(id, self.queue)
        self.assertEqual([len(worker.tasks) for worker in self.workers], [1, 1])
        self.workers[1].finish(b"r", "second")
        self.assertNoResult(d)
        self.workers[0].finish(b"r", "first")
        self.assertEqual(self.successResultOf(d), ["first", "second"])

    def test_beforeCalls(self):
        """
        Each does it before any call that it has not yet got.
        """
        for i in range(6):
            self.queue.call(calls.echo, i)
        self.queue.update(calls.echo, "u")
        self.finish()
        self.assertEqual([begun[1] for begun in self.begun()], ["u", "u"])

    def test_keywords(self):
        """
        Its arguments and keywords reach it, whatever they are called, but for
        those that are the queue's.
        """
        d = self.queue.update(
            dict, ephemeral=True, sequential=False, timeout=5, raw=True, func=1, self=2
        )
        self.finish()
        self.assertEqual(self.successResultOf(d), [{"func": 1, "self": 2}] * 2)

    def test_sequential(self):
        """
        One does it after the other, if it has to be so.
        """
        d = self.queue.update(calls.echo, "u", sequential=True)
        self.assertEqual([len(worker.tasks) for worker in self.workers], [1, 0])
        self.workers[0].finish()
        self.assertEqual([len(worker.tasks) for worker in self.workers], [0, 1])
        self.assertNoResult(d)
        self.workers[1].finish()
        self.assertEqual(self.successResultOf(d), ["u", "u"])

    def test_series(self):
        """
        Only those qualified for its series do it.
        """
        self.attach(series=["x"])
        d = self.queue.update(calls.echo, "u", series="x")
        self.finish()
        self.assertEqual(self.successResultOf(d), ["u"])
        self.assertEqual(self.begun(), [[], [], ["u"]])

    def test_nobody(self):
        """
        Without workers there are no results.
        """
        self.make(0)
        self.assertEqual(self.successResultOf(self.queue.update(calls.echo)), [])

    def test_error(self):
        """
        It fails with the first error there is, when all have done it.
        """
        d = self.queue.update(picky, ["one for one of them"])
        self.workers[0].finish()
        self.assertNoResult(d)
        self.workers[1].finish()
        self.failureResultOf(d, IndexError)

    def test_errorText(self):
        """
        Or has the texts of errors among its results, where errors are texts.
        """
        self.patch(sys, "stderr", StringIO())
        self.make(returnFailure=False)
        d = self.queue.update(picky, ["one for one of them"])
        self.finish()
        one, other = self.successResultOf(d)
        self.assertEqual(one, "one for one of them")
        self.assertIn("IndexError", other)

    def test_iterators(self):
        """
        Iterators come as Deferators, unless it is raw.
        """
        for raw, klass in ((None, Deferator), (True, type(calls.count(1)))):
            d = self.queue.update(calls.count, 1, raw=raw)
            self.finish()
            for result in self.successResultOf(d):
                self.assertIsInstance(result, klass)

    def test_death(self):
        """
        A worker that dies in the middle of it has failed on it; one that dies
        before does it in its next life, as the same update.
        """
        self.queue.call(calls.echo, 1).addErrback(lambda _: None)
        d = self.queue.update(calls.echo, "u")
        self.workers[0].die()
        self.finish()
        self.assertEqual(self.successResultOf(d), ["u", "u"])
        self.assertEqual(self.begun(), [[1, "u"], ["u"]])
        d = self.queue.update(calls.echo, "v")
        self.workers[0].die()
        self.finish(self.workers[1])
        self.failureResultOf(d, WorkerDied)

    def test_orderAfterDeath(self):
        """
        Several that a worker had not begun are done in their order in its next
        life, before those that were made meanwhile.
        """
        worker = self.workers[0]
        self.queue.call(calls.echo, 1).addErrback(lambda _: None)
        ds = [self.queue.update(calls.echo, i, ephemeral=True) for i in "abc"]
        worker.comesUp = False
        worker.die()
        ds += [self.queue.update(calls.echo, i, ephemeral=True) for i in "de"]
        worker.comeUp()
        worker.finish()
        worker.die()
        self.queue.reactor.advance(1)
        worker.comeUp()
        self.finish()
        self.assertEqual(self.begun()[0], [1, "a", "b", "c", "d", "e"])
        self.failureResultOf(ds.pop(1), WorkerDied)
        for d in ds:
            self.successResultOf(d)


class SavedUpdateTests(UpdateTestCase):
    """
    Tests of updates on workers that come later, or begin anew.
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
        for n in range(1, ATTEMPTS):
            self.assertEqual(worker.starts, n + 1)
            self.assertNoResult(waiting)
            self.queue.reactor.advance(0.1 * 2 ** (n - 1) - 0.01)
            self.assertEqual(worker.starts, n + 1)
            self.queue.reactor.advance(0.01)
        self.failureResultOf(waiting, IndexError)
        self.assertEqual(self.begun()[0], ["a", [], "x"] + ["a", []] * ATTEMPTS)
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
        for _ in range(ATTEMPTS):
            self.assertEqual(self.queue.workers(), self.workers)
            self.workers[0].die()
            self.queue.reactor.advance(1)
        self.assertEqual(self.queue.workers(), self.workers)
        self.workers[0].die()
        self.assertEqual(self.queue.workers(), self.workers[1:])
        self.finish(self.workers[1])
        self.failureResultOf(d, WorkerDied)
        self.assertEqual(self.queue.reactor.getDelayedCalls(), [])
