"""
Tests of L{asynqueue.base}: updates on workers that are there.
"""

import sys
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.deferator import Deferator
from asynqueue.errors import WorkerDied
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
    Tests of L{TaskQueue.update}.
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
        Or has the texts of errors among its results, where errors are texts, by
        the queue's word or its own, which counts for more.
        """
        self.patch(sys, "stderr", StringIO())
        for ofQueue, own in ((False, None), (True, False)):
            self.make(returnFailure=ofQueue)
            d = self.queue.update(picky, ["one for one of them"], returnFailure=own)
            self.finish()
            one, other = self.successResultOf(d)
            self.assertEqual(one, "one for one of them")
            self.assertIn("IndexError", other)
        self.make(returnFailure=False)
        d = self.queue.update(picky, [], returnFailure=True)
        self.finish()
        self.failureResultOf(d, IndexError)

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
