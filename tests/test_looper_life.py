"""
How a L{ThreadLooper} begins and ends.
"""

from typing import Any

from twisted.internet.defer import Deferred

from asynqueue.errors import ThreadError, WorkerError
from asynqueue.looper import LooperState
from asynqueue.openings import LINGER
from tests import calls
from tests.looper_case import LooperCase, tidy
from tests.support import BOUND


class LifeTests(LooperCase):
    def test_noThreadAtFirst(self):
        """A looper that is not used has no thread, and stops at once."""
        self.assertIs(self.looper.state, LooperState.FRESH)
        self.assertIsNone(self.looper.thread)
        self.successResultOf(self.looper.stop())
        self.assertIs(self.looper.state, LooperState.STOPPED)

    def test_stop(self):
        """Stopping runs what was asked for, and ends the thread."""
        letGo = self.hold()
        d = self.looper.deferToThread(int)
        stopped = self.looper.stop()
        self.assertIs(self.looper.state, LooperState.STOPPING)
        letGo()
        self.until(stopped)
        self.assertEqual(self.successResultOf(d), 0)
        self.assertIs(self.looper.state, LooperState.STOPPED)
        assert self.looper.thread is not None
        self.assertFalse(self.looper.thread.is_alive())

    def test_stopTwice(self):
        """To stop again is to wait for the same end."""
        letGo = self.hold()
        first, second = self.looper.stop(), self.looper.stop()
        self.assertNoResult(first)
        self.assertNoResult(second)
        letGo()
        self.until(second)
        self.successResultOf(first)
        self.successResultOf(self.looper.stop())

    def test_callAfterStop(self):
        """A looper that was stopped refuses calls."""
        letGo = self.hold()
        stopped = self.looper.stop()
        self.failureResultOf(self.looper.call(int), ThreadError)
        letGo()
        self.until(stopped)
        self.failureResultOf(self.looper.deferToThread(int), ThreadError)

    def test_threadRunning(self):
        """It tells that the looper is of use, until the thread is gone."""
        self.assertTrue(self.looper.threadRunning)
        self.until(self.looper.call(int))
        stopped = self.looper.stop()
        self.assertTrue(self.looper.threadRunning)
        self.until(stopped)
        self.assertFalse(self.looper.threadRunning)

    def test_stopLetsReadersFinish(self):
        """Stopping waits for an iteration that goes on being read."""
        dr = self.until(self.looper.deferToThread(calls.count, 4))
        stopped = self.looper.stop()
        items: list[int] = []
        for d in dr:
            items.append(self.until(d))
            self.reactor.advance(0.9 * LINGER)
        self.assertEqual(items, [0, 1, 2, 3])
        self.until(stopped)

    def test_stopClosesWhatNobodyReads(self):
        """
        Stopping closes, in the thread, what nobody reads; whoever reads on gets
        what he is owed and then an error, and does not hang.
        """
        closedIn: list[Any] = []
        dr = self.until(self.looper.deferToThread(tidy, closedIn))
        stopped = self.looper.stop()
        # By now there is nothing else that it waits for.
        self.reactor.turn()
        self.assertNoResult(stopped)
        self.reactor.advance(LINGER)
        self.until(stopped)
        self.assertEqual(closedIn, [self.looper.thread])
        self.assertEqual(self.until(next(dr)), 0)
        self.failureResultOf(next(dr), WorkerError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_abandonIdle(self):
        """
        A looper that does nothing just now is abandoned as it is stopped, but
        that nobody may read on.
        """
        closedIn: list[Any] = []
        dr = self.until(self.looper.deferToThread(tidy, closedIn))
        self.looper.abandon()
        self.until(self.looper.stop())
        self.assertIs(self.looper.state, LooperState.STOPPED)
        self.assertEqual(closedIn, [self.looper.thread])
        self.until(next(dr))
        self.failureResultOf(next(dr), WorkerError)
        self.looper.abandon()

    def test_abandonFresh(self):
        """One without a thread is only stopped."""
        self.looper.abandon()
        self.assertIs(self.looper.state, LooperState.STOPPED)

    def test_abandonBusy(self):
        """
        One in the middle of a call leaves it: all that waits fails, stop() waits
        no longer, and the thread ends when the call is over, telling nobody. What
        waited is not run, and iterators are closed.
        """
        closedIn: list[Any] = []
        made: list[int] = []
        dr = self.until(self.looper.deferToThread(tidy, closedIn))
        letGo = self.hold()
        waiting = self.looper.deferToThread(made.append, 1)
        item = next(dr)
        stopped = self.looper.stop()
        self.looper.abandon()
        self.assertIs(self.looper.state, LooperState.ABANDONED)
        self.successResultOf(stopped)
        self.successResultOf(self.looper.stop())
        self.failureResultOf(self.held, ThreadError)
        self.failureResultOf(waiting, ThreadError)
        self.assertEqual(self.successResultOf(item), 0)
        self.failureResultOf(next(dr), ThreadError)
        self.failureResultOf(self.looper.call(int), ThreadError)
        letGo()
        assert self.looper.thread is not None
        self.looper.thread.join(BOUND)
        told: Deferred[None] = Deferred()
        self.reactor.callFromThread(told.callback, None)
        self.until(told)
        self.assertEqual(made, [])
        self.assertEqual(closedIn, [self.looper.thread])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_abandonWhileDraining(self):
        """One that waits for a reader waits no longer."""
        dr = self.until(self.looper.deferToThread(calls.count, 4))
        stopped = self.looper.stop()
        self.reactor.turn()
        self.looper.abandon()
        self.until(stopped)
        self.assertEqual(self.until(next(dr)), 0)
        self.failureResultOf(next(dr), WorkerError)
