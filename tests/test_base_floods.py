"""
Tests of L{asynqueue.base}: very many calls, each of which is over at once.
"""

import sys

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.producers import ListConsumer
from tests import calls
from tests.memory import MemoryWorker, SteppedQueue

N = 4000
"""
How many calls: four times as many as frames fit on the stack. (A real process gets
20,000, in C{tests.test_process}.)
"""


def depth():
    """
    @return: How many frames there are on the stack.
    """
    frame, n = sys._getframe(), 0
    while frame.f_back is not None:
        frame, n = frame.f_back, n + 1
    return n


class FloodTests(SynchronousTestCase):
    """
    However many calls there are, and however quickly they end, all come to
    their end, in order, and without recursion.
    """

    def setUp(self):
        self.done = []

    def make(self, n=1, up=True):
        self.workers = [MemoryWorker(instant=True, up=up) for _ in range(n)]
        self.queue = SteppedQueue(*self.workers)
        return self.queue

    def call(self, i, **kw):
        return self.queue.call(calls.echo, i, **kw).addCallback(self.done.append)

    def check(self, n=N):
        self.assertEqual(self.done, list(range(n)))
        self.assertEqual(sum(len(worker.begun) for worker in self.workers), n)
        self.assertEqual(len(self.queue.q), 0)

    def test_atOnce(self):
        """
        Thousands that are made before a worker is up, for one worker and for
        eight, which come up one by one.
        """
        for n in (1, 8):
            self.setUp()
            self.make(n, up=False)
            for i in range(N):
                self.call(i)
            self.assertEqual(len(self.queue.q), N)
            for worker in self.workers:
                worker.comeUp()
            self.check()

    def test_asTheyCome(self):
        """
        Thousands that are made while workers are ready.
        """
        for n in (1, 8):
            self.setUp()
            self.make(n)
            for i in range(N):
                self.call(i)
            self.check()

    def test_oneAfterAnother(self):
        """
        Thousands one after another, each made when the one before it is over.
        """

        @inlineCallbacks
        def generator():
            for i in range(N):
                yield self.call(i)

        async def coroutine():
            for i in range(N):
                await self.call(i)

        for run in (generator, lambda: Deferred.fromCoroutine(coroutine())):
            for up in (True, False):
                self.setUp()
                self.make(up=up)
                d = run()
                if not up:
                    self.assertNoResult(d)
                    self.workers[0].comeUp()
                self.successResultOf(d)
                self.check()

    def test_loopsSideBySide(self):
        """
        Eight such loops at once on eight workers.
        """

        @inlineCallbacks
        def loop(first):
            for i in range(first, N, 8):
                yield self.call(i)

        self.make(8, up=False)
        ds = [loop(i) for i in range(8)]
        for worker in self.workers:
            worker.comeUp()
        for d in ds:
            self.successResultOf(d)
        self.assertEqual(len(self.done), N)
        self.assertEqual(sorted(self.done), list(range(N)))

    def test_fromCallbacks(self):
        """
        Thousands of which each is made in the callback of the one before it, at
        one and the same depth of the stack.
        """
        depths = set()

        def more(_):
            depths.add(depth())
            if len(self.done) < N:
                self.call(len(self.done)).addCallback(more)

        self.make(up=False)
        self.call(0).addCallback(more)
        self.workers[0].comeUp()
        self.check()
        self.assertLess(max(depths) - min(depths), 10)

    def test_fromEveryCallback(self):
        """
        10,000 of which each makes another in its callback.
        """
        self.make(8, up=False)
        for i in range(N // 2):
            self.call(i).addCallback(lambda _, i=i: self.call(N // 2 + i) and None)
        for worker in self.workers:
            worker.comeUp()
        self.assertEqual(sorted(self.done), list(range(N)))

    def test_failures(self):
        """
        Thousands that fail.
        """
        self.make(up=False)
        ds = [self.queue.call(calls.boom, i) for i in range(N)]
        self.workers[0].comeUp()
        for i, d in enumerate(ds):
            self.done.append(self.failureResultOf(d, ValueError).value.args[0])
            self.assertEqual(self.done[-1], i)
        self.check()

    def test_steadyLoad(self):
        """
        Thousands that end one by one while others wait, some of them cancelled.
        """
        worker = MemoryWorker()
        self.workers = [worker]
        self.queue = SteppedQueue(worker)
        ds = [self.call(i) for i in range(N)]
        for d in ds[1::2]:
            d.addErrback(lambda _: None).cancel()
        self.assertEqual(len(self.queue.q), N // 2 - 1)
        while worker.tasks:
            worker.finish()
        self.assertEqual(self.done, list(range(0, N, 2)))
        self.assertEqual(len(worker.begun), N // 2)

    def test_shutdown(self):
        """
        Thousands that wait when the queue is shut down.
        """
        self.make(up=False)
        ds = [self.queue.call(calls.echo, i) for i in range(N)]
        self.successResultOf(self.queue.shutdown())
        for d in ds:
            d.addErrback(lambda _: self.done.append(len(self.done)))
        self.assertEqual(len(self.done), N)

    def test_items(self):
        """
        An iterator of thousands of items that are there already, to a consumer and to
        a loop.
        """
        self.make()
        consumer = ListConsumer()
        self.queue.call(calls.count, N, consumer=consumer)
        self.assertEqual(self.successResultOf(consumer()), list(range(N)))

        async def loop():
            async for item in await self.queue.call(calls.count, N):
                self.done.append(item)

        self.successResultOf(Deferred.fromCoroutine(loop()))
        self.assertEqual(self.done, list(range(N)))
