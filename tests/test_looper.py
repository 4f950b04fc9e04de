"""
Calls that run one by one in one thread.
"""

import gc
import threading
import weakref
from typing import Any
from unittest import mock

from twisted.internet.defer import CancelledError, succeed
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.deferator import Deferator
from asynqueue.deferreds import deferUntilEnded
from asynqueue.errors import ThreadError, WorkerError
from asynqueue.looper import ThreadLooper
from asynqueue.messages import Status
from asynqueue.reactors import theReactor
from tests import deeds
from tests.looper_case import LooperCase
from tests.support import BOUND, SteppedReactor


class Thing:
    """Something to hold on to."""


class CallTests(LooperCase):
    def test_results(self):
        """A call has the status and result that it came to, an error too."""
        self.assertEqual(self.until(self.looper.call(int, "7")), (Status.RESULT, 7))
        status, error = self.until(self.looper.call(int, "x"))
        self.assertIs(status, Status.ERROR)
        for text in ("ValueError", "'x'", "builtins.int('x')", "Traceback"):
            self.assertIn(text, error)

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
        """
        Calls run in order, but for those that are to be next, which have an order
        of their own.
        """
        order: list[str] = []
        letGo = self.hold()
        self.looper.call(order.append, "a")
        last = self.looper.call(order.append, "b")
        self.looper.call(order.append, "c", doNext=True)
        self.looper.deferToThread(order.append, "d", doNext=True)
        letGo()
        self.until(last)
        self.assertEqual(order, ["c", "d", "a", "b"])

    def test_firstIsFirst(self):
        """
        What an idle thread is given counts as begun: none that is to be next
        passes it, however slowly the thread wakes up.
        """
        for _ in range(50):
            order: list[str] = []
            gate = threading.Event()

            def first(order=order, gate=gate):
                order.append("first")
                gate.wait(BOUND)

            self.looper.call(first)
            last = self.looper.call(order.append, "last")
            self.looper.call(order.append, "next", doNext=True)
            gate.set()
            self.until(last)
            self.assertEqual(order, ["first", "next", "last"])
            # By now the thread is idle.
            self.until(self.looper.call(int))

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
            found, result = self.until(looper.call(iter, [], raw=asked))
            self.assertIs(found, status)
            self.assertIs(
                type(result),
                Deferator if status is Status.ITERATION else type(iter([])),
            )
            self.until(looper.stop())

    def test_keywords(self):
        """A call may have keywords of any name but the looper's own."""
        kw: dict[str, Any] = {"f": 1, "self": 2, "args": 3}
        self.assertEqual(self.until(self.looper.call(deeds.keywords, **kw))[1], kw)
        d = self.looper.deferToThread(deeds.keywords, **kw)
        self.assertEqual(self.until(d), kw)
        kw = {"doNext": 1, "raw": 2}
        d = self.looper.runCall((deeds.keywords, (), kw))
        self.assertEqual(self.until(d)[1], kw)

    def test_exit(self):
        """
        An exception that means to end the thread does not, nor can it end what
        gets it instead, which names it.
        """
        for error in (SystemExit(7), KeyboardInterrupt()):
            d = self.looper.deferToThread(next, deeds.items(error))
            raised = self.assertRaises(WorkerError, self.until, d)
            self.assertIn(type(error).__name__, str(raised))
            self.assertIs(raised.__cause__, error)
        self.assertEqual(self.until(self.looper.deferToThread(int)), 0)

    def test_notCallable(self):
        """What cannot be called is refused at once."""
        for run in (self.looper.call, self.looper.deferToThread):
            self.assertRaises(TypeError, run, 7)
        self.assertIsNone(self.looper.thread)

    def test_deferred(self):
        """A call that returns a Deferred ends with what that comes to."""
        self.assertEqual(self.until(self.looper.deferToThread(succeed, 5)), 5)

    def test_cancelWaiting(self):
        """A call that is cancelled before its turn is not made."""
        made: list[int] = []
        letGo = self.hold()
        ds = [self.looper.deferToThread(made.append, i) for i in range(3)]
        ds[1].cancel()
        self.failureResultOf(ds[1], CancelledError)
        letGo()
        self.until(ds[2])
        self.assertEqual(made, [0, 2])

    def test_cancelRunning(self):
        """The result of a call that is cancelled while it runs is dropped."""
        gate, begun = threading.Event(), threading.Event()

        def wait():
            begun.set()
            gate.wait(BOUND)
            raise ValueError("nobody is to hear of this")

        d = self.looper.deferToThread(wait)
        self.assertTrue(begun.wait(BOUND))
        d.cancel()
        self.failureResultOf(d, CancelledError)
        gate.set()
        self.assertEqual(self.until(self.looper.deferToThread(int)), 0)

    def test_noThread(self):
        """Where there can be no more threads, a call fails, and the next may not."""
        with mock.patch.object(threading.Thread, "start") as start:
            start.side_effect = RuntimeError("can't start new thread")
            error = self.failureResultOf(self.looper.call(int), ThreadError).value
            self.assertIs(error.__cause__, start.side_effect)
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


class DeferUntilEndedTests(LooperCase):
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
