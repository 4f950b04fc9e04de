"""
Tests of I{maxCalls} and I{maxMemory}: real worker processes that are replaced.
"""

import os
from itertools import pairwise

import psutil
from twisted.internet import reactor
from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from asynqueue.process import ProcessQueue, ProcessWorker
from tests import bases, calls, leaks
from tests.support import leavesNothing


class RecyclingTests(TestCase):
    """
    Tests of queues whose workers are replaced. Each leaves nothing behind.
    """

    @inlineCallbacks
    def setUp(self):  # type: ignore[override]
        # Once it runs, the reactor has a pipe for itself.
        yield deferLater(reactor, 0)
        leavesNothing(self)

    def make(self, *args, **kw):
        queue = ProcessQueue(*args, **kw)
        self.addCleanup(queue.shutdown)
        return queue

    @inlineCallbacks
    def untilReplaced(self, queue, worker, f, *args):
        """
        Makes calls, one after the other, until a worker was replaced.

        @return: A Deferred of their results.
        """
        results = []
        while worker in queue.workers():
            results.append((yield queue.call(f, *args)))
            yield deferLater(reactor, 0.001)
        return results

    @inlineCallbacks
    def test_maxCalls(self):
        """
        After so many calls another process does the next ones.
        """
        queue = self.make(1, maxCalls=3, callStats=True)
        pids, n = [], 0
        while n < 20:
            for _ in range(3):
                pids.append((yield queue.call(os.getpid)))
                n += 1
            [worker] = queue.workers()
            pids += yield self.untilReplaced(queue, worker, os.getpid)
            self.assertEqual((queue.workers()[0].ID, len(queue)), (1, 1))
        self.assertGreaterEqual(len(set(pids)), 5)
        # None comes back once it was replaced.
        changes = sum(a != b for a, b in pairwise(pids))
        self.assertEqual(changes, len(set(pids)) - 1)
        self.assertEqual(len((yield queue.stats())), len(pids))

    @inlineCallbacks
    def test_nothingLost(self):
        """
        Of many calls at once none is lost, and each has its own result.
        """
        queue = self.make(2, maxCalls=3)
        for _ in range(3):
            xs = list(range(300))
            results = yield gatherResults([queue.call(calls.echo, x) for x in xs])
            self.assertEqual(results, xs)
            self.assertEqual(len(queue), 2)

    @inlineCallbacks
    def test_updates(self):
        """
        Each process has run the updates before its first call.
        """
        tally = bases.Tally()
        queue = self.make(1, maxCalls=1)
        yield queue.update(tally.begin, 100)
        for _ in range(3):
            [worker] = queue.workers()
            self.assertEqual((yield queue.call(tally.count)), 101)
            yield self.untilReplaced(queue, worker, tally.count)

    @inlineCallbacks
    def test_iterator(self):
        """
        An iterator that is open in the old process is read to its end, however
        slowly it is read.
        """
        queue = self.make(1, maxCalls=1)
        [worker] = queue.workers()
        iterator = yield queue.call(leaks.slowly, 3, 0)
        first = yield next(iterator)
        pids = yield self.untilReplaced(queue, worker, os.getpid)
        yield deferLater(reactor, 1.5)
        self.assertTrue(psutil.pid_exists(first))
        rest = []
        for d in iterator:
            rest.append((yield d))
        self.assertEqual(rest, [first, first])
        self.assertNotEqual((yield queue.call(os.getpid)), first)
        self.assertEqual(set(pids), {first})

    @inlineCallbacks
    def test_maxMemory(self):
        """
        A process that has grown too large is replaced by one that is small.
        """
        queue = self.make(1, maxMemory=100 << 10)
        pids = []
        for _ in range(2):
            [worker] = queue.workers()
            for _ in range(3):
                pids.append((yield queue.call(leaks.leak, 30)))
            # At most every 0.1 second is looked.
            pids += yield self.untilReplaced(queue, worker, os.getpid)
            [worker] = queue.workers()
            self.assertLess(worker.memUsage(), 60 << 10)
        self.assertEqual(len(set(pids)), 2)

    @inlineCallbacks
    def test_shutdown(self):
        """
        Shutting down when a successor is on its way leaves nothing.
        """
        for n in range(4):
            queue = ProcessQueue(2, maxCalls=1)
            yield gatherResults([queue.call(calls.echo) for _ in range(4)])
            yield deferLater(reactor, 0.03 * n)
            yield queue.shutdown()

    def test_badInput(self):
        """
        What is no number of calls or kilobytes is refused.
        """
        for kw in ({"maxCalls": 0}, {"maxCalls": 1.5}, {"maxMemory": "1 GB"}):
            self.assertRaises(ValueError, ProcessQueue, 1, **kw)
            self.assertRaises(ValueError, ProcessWorker, **kw)
