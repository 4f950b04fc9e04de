"""
Calls that run one by one in one thread.
"""

import gc
import threading
import weakref
from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import ThreadError
from asynqueue.looper import LooperState, ThreadLooper, deferUntilEnded
from asynqueue.messages import Status
from asynqueue.reactors import theReactor
from tests import deeds
from tests.support import BOUND, SteppedReactor, leavesNothing


class Thing:
    """Something to hold on to."""


class LooperCase(SynchronousTestCase):
    def setUp(self):
        leavesNothing(self)
        self.reactor = SteppedReactor()
        self.looper = ThreadLooper(reactor=self.reactor)
        self.addCleanup(lambda: self.reactor.until(self.looper.stop()))

    def until(self, d):
        return self.reactor.until(d)

    def hold(self):
        """
        Has the thread wait.

        @return: What to call to let it go on.
        """
        gate = threading.Event()
        self.looper.deferToThread(gate.wait, BOUND)
        self.addCleanup(gate.set)
        return gate.set


class CallTests(LooperCase):
    def test_results(self):
        """A call has the status and result that it came to, an error too."""
        self.assertEqual(self.until(self.looper.call(int, "7")), (Status.RESULT, 7))
        status, error = self.until(self.looper.call(int, "x"))
        self.assertIs(status, Status.ERROR)
        self.assertIsInstance(error, ValueError)

    def test_deferToThread(self):
        """Its Deferred fires with the value, or fails with the exception."""
        self.assertEqual(self.until(self.looper.deferToThread(int, "7")), 7)
        d = self.looper.deferToThread(int, "x")
        self.assertRaises(ValueError, self.until, d)

    def test_oneThread(self):
        """All calls run in one thread, which is not the reactor's."""
        threads = {
            self.until(self.looper.deferToThread(threading.current_thread))
            for _ in range(3)
        }
        self.assertEqual(threads, {self.looper.thread})
        self.assertNotIn(threading.current_thread(), threads)

    def test_daemon(self):
        """The thread keeps no interpreter from exiting."""
        self.until(self.looper.call(int))
        assert self.looper.thread is not None
        self.assertTrue(self.looper.thread.daemon)

    def test_order(self):
        """Calls run in order, but for those that are to be next."""
        order: list[str] = []
        letGo = self.hold()
        self.looper.call(order.append, "a")
        last = self.looper.call(order.append, "b")
        self.looper.call(order.append, "c", doNext=True)
        self.looper.call(order.append, "d", doNext=True)
        letGo()
        self.until(last)
        self.assertEqual(order, ["d", "c", "a", "b"])

    def test_deliveredByReactor(self):
        """A result is delivered by the reactor, and not before it is due."""
        d = self.looper.deferToThread(int)
        fired: list[object] = []
        d.addBoth(fired.append)
        self.assertEqual(fired, [])
        self.until(d)
        self.assertEqual(fired, [0])

    def test_raw(self):
        """Iterators are told from values, unless the looper or the call is raw."""
        for own, asked, status in (
            (False, None, Status.ITERATION),
            (False, True, Status.RESULT),
            (True, None, Status.RESULT),
            (True, False, Status.ITERATION),
        ):
            looper = ThreadLooper(own, self.reactor)
            self.assertIs(self.until(looper.call(iter, [], raw=asked))[0], status)
            self.until(looper.stop())

    def test_keywords(self):
        """A call may have keywords of any name but the looper's own two."""
        kw: dict[str, Any] = {"f": 1, "self": 2, "args": 3}
        self.assertEqual(self.until(self.looper.call(deeds.keywords, **kw))[1], kw)
        d = self.looper.deferToThread(deeds.keywords, doNext=1, **kw)
        self.assertEqual(self.until(d), {"doNext": 1, **kw})

    def test_exit(self):
        """An exception that means to end the thread does not."""
        for error in (SystemExit(), KeyboardInterrupt()):
            d = self.looper.deferToThread(next, deeds.items(error))
            self.assertRaises(type(error), self.until, d)
        self.assertEqual(self.until(self.looper.deferToThread(int)), 0)

    def test_deferred(self):
        """A call that returns a Deferred ends with what that comes to."""
        self.assertEqual(self.until(self.looper.deferToThread(succeed, 5)), 5)

    def test_cancelled(self):
        """A call that nobody waits for any more does no harm."""
        d = self.looper.deferToThread(int)
        d.addErrback(lambda _: None)
        d.cancel()
        self.assertEqual(self.until(self.looper.deferToThread(int)), 0)

    def test_holdsNothing(self):
        """Neither the arguments nor the result are held when a call is over."""
        thing = Thing()
        gone = weakref.ref(thing)
        self.until(self.looper.deferToThread(lambda x: x, thing).addBoth(lambda _: 1))
        # By now the thread waits for its next job.
        self.until(self.looper.deferToThread(int))
        del thing
        gc.collect()
        self.assertIsNone(gone())


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

    def test_deferUntilEnded(self):
        """To wait for a thread is to look at it in each turn until it is gone."""
        gate = threading.Event()
        thread = threading.Thread(target=gate.wait, args=(BOUND,))
        thread.start()
        d = deferUntilEnded(thread, self.reactor)
        self.reactor.turn()
        self.assertNoResult(d)
        gate.set()
        thread.join()
        self.reactor.turn()
        self.successResultOf(d)


class TheReactorTests(SynchronousTestCase):
    def test_given(self):
        """A reactor that is given is used."""
        reactor = SteppedReactor()
        self.assertIs(theReactor(reactor), reactor)

    def test_installed(self):
        """Without one, it is the one that is installed."""
        from twisted.internet import reactor

        self.assertIs(theReactor(), reactor)
