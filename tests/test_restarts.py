"""
Tests of L{asynqueue.restarts}: what makes a crash loop, and how it ends.
"""

import copy
import pickle
import signal

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import CrashLoop, StartFailed, WorkerDied
from asynqueue.restarts import LONGEST, MAX_DEATHS, MERCY, PAUSE, STABLE, Restarts
from tests import calls
from tests.memory import MemoryWorker, SteppedQueue


class RestartsTests(SynchronousTestCase):
    """
    Tests of L{Restarts} by itself.
    """

    def setUp(self):
        self.clock = Clock()

    def make(self, maxDeaths):
        self.restarts = Restarts(maxDeaths, self.clock)

    def die(self, n=1, inCall=False, code=3):
        for _ in range(n):
            self.restarts.died(WorkerDied("gone", 7, code), inCall)

    def test_pauses(self):
        """
        The first has none; from the second on they double, up to the longest.
        """
        self.make(None)
        pauses = []
        for _ in range(12):
            self.die()
            pauses.append(self.restarts.pause)
        self.assertEqual(pauses[:4], [0, PAUSE, 2 * PAUSE, 4 * PAUSE])
        self.assertEqual(pauses[-2:], [LONGEST, LONGEST])

    def test_forEver(self):
        """
        Without a bound there are never too many.
        """
        self.make(None)
        self.die(5000)
        self.assertEqual((self.restarts.tooMany, self.restarts.pause), (False, LONGEST))

    def test_bound(self):
        """
        As many as the bound says are too many, no fewer.
        """
        self.make(3)
        self.die(2)
        self.assertFalse(self.restarts.tooMany)
        self.die()
        self.assertTrue(self.restarts.tooMany)

    def test_finished(self):
        """
        A finished call has them count anew.
        """
        self.make(3)
        for _ in range(3):
            self.die(2)
            self.die(2 * MERCY - 1, inCall=True)
            self.restarts.finished()
            self.assertEqual((self.restarts.deaths, self.restarts.pause), (0, 0))

    def test_inCalls(self):
        """
        Those in the middle of calls count, but not much.
        """
        self.make(3)
        self.die(2 * MERCY, inCall=True)
        self.assertEqual((self.restarts.tooMany, self.restarts.deaths), (False, 2))
        self.die(MERCY, inCall=True)
        self.assertTrue(self.restarts.tooMany)
        self.assertIn(f"{3 * MERCY} times", str(self.restarts.error(None)))

    def test_stable(self):
        """
        A process that was up for long has done its duty, idle or not.
        """
        self.make(3)
        for _ in range(5):
            self.die()
            self.assertEqual(self.restarts.deaths, 1)
            self.restarts.cameUp()
            self.clock.advance(STABLE)
        self.restarts.cameUp()
        self.clock.advance(STABLE - 1)
        self.die()
        self.die()
        self.assertTrue(self.restarts.tooMany)

    def test_error(self):
        """
        It tells how often, how the last ones ended, and what to look at; it can
        be copied and pickled.
        """
        self.make(7)
        self.die(2, code=1)
        self.die(3, code=3)
        self.die(1, code=-signal.SIGKILL)
        self.restarts.died(ValueError("no"))
        error = self.restarts.error("<worker>")
        for text in (
            "<worker>",
            "7 times",
            "code 3 (3 times), then signal 9 (SIGKILL)",
        ):
            self.assertIn(text, str(error))
        self.assertIn("ValueError: no. Look at", str(error))
        self.assertIsInstance(error.__cause__, ValueError)
        for same in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
            self.assertIsInstance(same, WorkerDied)
            self.assertEqual((same.times, same.exitCodes), (7, [3, 3, 3, -9]))
            self.assertEqual((same.pid, same.exitCode), (None, None))


class LoopTests(SynchronousTestCase):
    """
    Tests of a queue whose workers die.
    """

    def make(self, *workers, **kw):
        self.queue = SteppedQueue(*workers, **kw)
        self.reactor = self.queue.reactor

    def rest(self):
        """
        Lets a worker that pauses begin anew.
        """
        self.reactor.advance(LONGEST)

    def test_keyword(self):
        """
        The queue's keyword sets the bound, and is checked.
        """
        for maxDeaths in (1, 2, 9):
            worker = MemoryWorker(instant=True)
            self.make(worker, maxDeaths=maxDeaths)
            for _ in range(maxDeaths):
                self.assertEqual(self.queue.workers(), [worker])
                worker.die()
                self.rest()
            self.assertEqual(self.queue.workers(), [])
            error = self.failureResultOf(self.queue.call(calls.echo), CrashLoop).value
            self.assertEqual((error.times, error.exitCode), (maxDeaths, -9))
        for wrong in (0, 1.5, True, "x"):
            self.assertRaises(ValueError, self.make, maxDeaths=wrong)

    def test_forEver(self):
        """
        C{None} has it begin anew for ever.
        """
        worker = MemoryWorker()
        self.make(worker, maxDeaths=None)
        d = self.queue.call(calls.echo, 1)
        for _ in range(10 * MAX_DEATHS):
            worker.die(read=False)
            self.rest()
        worker.finish()
        self.assertEqual(self.successResultOf(d), 1)

    def test_firstCalls(self):
        """
        If every call kills the worker, each fails, with growing pauses between,
        until the worker is given up; the rest fail with the reason.
        """
        worker = MemoryWorker()
        self.make(worker, maxDeaths=3)
        ds = [self.queue.call(calls.echo, i) for i in range(3 * MERCY + 2)]
        for n, d in enumerate(ds[:-2], 1):
            self.assertTrue(worker.isUp)
            worker.die()
            self.failureResultOf(d, WorkerDied)
            if 2 * MERCY <= n < 3 * MERCY:
                self.assertFalse(worker.isUp)
                self.reactor.advance(PAUSE)
        for d in ds[-2:]:
            error = self.failureResultOf(d, CrashLoop).value
            self.assertEqual(error.times, 3 * MERCY)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_mixed(self):
        """
        Calls that kill it do no harm to the many between them.
        """
        worker = MemoryWorker()
        self.make(worker, maxDeaths=1)
        ds = [self.queue.call(calls.echo, i) for i in range(420)]
        for i, d in enumerate(ds):
            if i % 21 == 0:
                worker.die()
                self.failureResultOf(d, WorkerDied)
            else:
                worker.finish()
                self.assertEqual(self.successResultOf(d), i)

    def test_onPurpose(self):
        """
        A process that is ended because a call has timed out or was cancelled
        does not count.
        """
        worker = MemoryWorker()
        self.make(worker, maxDeaths=1)
        for _ in range(MERCY + 1):
            d = self.queue.call(calls.echo)
            d.addErrback(lambda _: None)
            d.cancel()
            worker.die()
            self.assertTrue(worker.isUp)
        self.assertEqual(self.queue.workers(), [worker])

    def test_shutdownInPause(self):
        """
        Shutting down ends a pause.
        """
        worker = MemoryWorker()
        self.make(worker)
        worker.die()
        worker.die()
        self.assertEqual((worker.isUp, len(self.reactor.getDelayedCalls())), (False, 1))
        self.successResultOf(self.queue.shutdown())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_causeIsTold(self):
        """
        The error has what told of the last death as its cause.
        """
        worker = MemoryWorker()
        self.make(worker, maxDeaths=2)
        worker.comesUp = False
        worker.die()
        d = self.queue.call(calls.echo)
        worker.die()
        error = self.failureResultOf(d, CrashLoop).value
        self.assertIsInstance(error.__cause__, WorkerDied)
        self.assertNotIsInstance(error, StartFailed)
