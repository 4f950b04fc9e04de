"""
Calls that wait in the pipes of real processes.
"""

import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, gatherResults, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from asynqueue.errors import WorkerDied
from asynqueue.process import ProcessQueue
from tests import ahead
from tests.support import leavesNothing


class ThreadPollerTests(TestCase):
    poller = "thread"

    @inlineCallbacks
    def setUp(self):  # type: ignore[override]
        # The reactor opens a pipe when it begins to run; so it has to run by now.
        yield deferLater(reactor, 0)
        leavesNothing(self)

    def makeQueue(self, prefetch, N=2):
        queue = ProcessQueue(N, prefetch=prefetch, poller=self.poller)
        self.addCleanup(queue.shutdown)
        self.path = os.path.abspath(self.mktemp())
        return queue

    def marks(self):
        """
        @return: The numbers of the calls that have run, in order.
        """
        return sorted(map(int, Path(self.path).read_text().split()))

    @inlineCallbacks
    def test_exactlyOnce(self):
        """Of calls among some that kill their process each runs once, none is lost."""
        queue = self.makeQueue(8)
        good, bad = [], []
        for n in range(300):
            good.append(queue.call(ahead.leaveMark, self.path, n))
            if n % 30 == 0:
                bad.append(self.assertFailure(queue.call(os._exit, 1), WorkerDied))
        yield gatherResults([*good, *bad])
        self.assertEqual(self.marks(), list(range(300)))

    @inlineCallbacks
    def test_stranded(self):
        """Those behind a call that is long run on the other worker, once each."""
        queue = self.makeQueue(8)
        gate = self.path + " gate"
        yield gatherResults([queue.call(os.getpid) for _ in range(2)])
        long = queue.call(ahead.waitFor, gate)
        quick = [queue.call(ahead.leaveMark, self.path, n) for n in range(16)]
        yield gatherResults(quick)
        self.assertNoResult(long)
        Path(gate).touch()
        yield long
        self.assertEqual(self.marks(), list(range(16)))

    @inlineCallbacks
    def test_frozen(self):
        """Those behind a process that is stopped run elsewhere, too."""
        queue = self.makeQueue(8)
        yield gatherResults([queue.call(os.getpid) for _ in range(2)])
        frozen = queue.call(ahead.freeze)
        quick = [queue.call(ahead.leaveMark, self.path, n) for n in range(16)]
        yield gatherResults(quick)
        frozen.cancel()
        yield self.assertFailure(frozen, CancelledError)
        self.assertEqual(self.marks(), list(range(16)))

    @inlineCallbacks
    def test_cancel(self):
        """One that is cancelled in the pipe never runs; its process lives on."""
        queue = self.makeQueue(8, N=1)
        pid = yield queue.call(os.getpid)
        gate = self.path + " gate"
        long = queue.call(ahead.waitFor, gate)
        behind = [queue.call(ahead.leaveMark, self.path, n) for n in range(8)]
        yield deferLater(reactor, 0.01)
        for n in (0, 3, 7):
            behind[n].cancel()
            yield self.assertFailure(behind[n], CancelledError)
        Path(gate).touch()
        yield gatherResults([long, *[behind[n] for n in (1, 2, 4, 5, 6)]])
        self.assertEqual(self.marks(), [1, 2, 4, 5, 6])
        self.assertEqual((yield queue.call(os.getpid)), pid)


class ReactorPollerTests(ThreadPollerTests):
    poller = "reactor"
