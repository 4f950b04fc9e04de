"""
A pool of threads that all share who need one.
"""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.python import threadable
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase

import asynqueue
from asynqueue.errors import WorkerError
from asynqueue.threadpool import GRACE, PoolUser, inReactorThread, thePool
from asynqueue.trackers import DeferredTracker
from tests import deeds
from tests.bridged import PoolCase
from tests.support import BOUND, threads


class User(PoolUser):
    """
    One who uses the pool of a reactor of its own.
    """

    def __init__(self, reactor):
        self._reactor = reactor


class UserCase(PoolCase):
    def setUp(self):
        super().setUp()
        self.user = User(self.reactor)

    def call(self, f, /, *args, **kw):
        return thePool(self.reactor).call(f, *args, **kw)

    def hold(self, n=1):
        """
        Has threads of the pool wait.

        @return: The Deferreds of the calls, and what to call to let them go on.
        """
        gate = threading.Event()
        self.addCleanup(gate.set)
        begun = threading.Semaphore(0)

        def wait():
            begun.release()
            return gate.wait(BOUND)

        calls = [self.call(wait) for _ in range(n)]
        for _ in range(n):
            self.assertTrue(begun.acquire(timeout=BOUND))
        return calls, gate.set


class CallTests(UserCase):
    def test_results(self):
        """A call ends with what it returns, or fails with what it raises."""
        self.assertEqual(self.reactor.until(self.call(int, "7", base=8)), 7)
        self.assertRaises(ValueError, self.reactor.until, self.call(int, "x"))

    def test_exit(self):
        """What is meant to end a thread or the program ends the call alone."""
        for error in (SystemExit(7), KeyboardInterrupt()):
            d = self.call(next, deeds.items(error))
            e = self.assertRaises(WorkerError, self.reactor.until, d)
            self.assertIn(type(error).__name__, str(e))

    def test_threads(self):
        """It is made in a daemon thread, which is not the reactor's."""
        thread = self.reactor.until(self.call(threading.current_thread))
        self.assertTrue(thread.daemon)
        self.assertIn("asynqueue", thread.name)
        self.assertIsNot(thread, threading.current_thread())

    def test_cancelled(self):
        """A call that nobody waits for any more does no harm."""
        (d,), letGo = self.hold()
        d.addErrback(lambda _: None)
        d.cancel()
        letGo()
        self.assertEqual(self.reactor.until(self.call(int)), 0)

    def test_noThread(self):
        """If there can be no thread, the call fails; the pool can be shut down."""

        def start(self):
            raise RuntimeError("can't start new thread")

        self.patch(threading.Thread, "start", start)
        self.failureResultOf(self.call(int), RuntimeError)
        self.doCleanups()

    def test_inReactorThread(self):
        """The reactor's thread is told from others."""
        self.assertTrue(inReactorThread())
        self.assertFalse(self.reactor.until(self.call(inReactorThread)))

    def test_inReactorThreadBefore(self):
        """Before the reactor runs, it is taken to be the main thread's."""
        self.patch(threadable, "ioThread", None)
        self.assertTrue(inReactorThread())
        self.assertFalse(self.reactor.until(self.call(inReactorThread)))


class SizeTests(UserCase):
    def test_defaults(self):
        """Unless told otherwise, a pool has from 2 to 10 threads."""
        self.assertEqual((PoolUser.minThreads, PoolUser.maxThreads), (2, 10))
        pool = self.user.pool
        self.assertIsInstance(pool, ThreadPool)
        self.assertTrue(pool.started)
        self.assertEqual((pool.min, pool.max), (2, 10))

    def test_setup(self):
        """
        The number can be set before there is a pool, and later (which raised
        AttributeError in the ancestor), for all who share it.
        """
        for maxThreads in (5, 3, 1):
            PoolUser.setup(maxThreads, self.reactor)
            self.assertEqual(self.user.pool.max, maxThreads)
        PoolUser.setup(None, self.reactor)
        self.assertEqual(self.user.pool.max, 1)

    def test_setupUntilShutdown(self):
        """What was set is forgotten when the pool is shut down."""
        PoolUser.setup(3, self.reactor)
        self.endPool()
        self.assertEqual(self.user.pool.max, 10)

    def test_setupRefused(self):
        """A number of threads is an integer above 0."""
        for bad in (0, -1, 2.0, True, "3"):
            e = self.assertRaises(ValueError, PoolUser.setup, bad, self.reactor)
            self.assertIn(repr(bad), str(e))

    def test_most(self):
        """No more threads run at a time than there may be; the rest have to wait."""
        PoolUser.setup(3, self.reactor)
        running: list[int] = []
        most: list[int] = []
        lock = threading.Lock()

        def run(k):
            with lock:
                running.append(k)
                most.append(len(running))
            with lock:
                running.remove(k)
            return k

        held, letGo = self.hold(3)
        results = gatherResults([self.call(run, k) for k in range(20)])
        self.assertEqual(most, [])
        letGo()
        self.assertEqual(self.reactor.until(results), list(range(20)))
        self.assertLessEqual(max(most), 3)
        self.assertEqual(self.reactor.until(gatherResults(held)), [True] * 3)

    def test_apart(self):
        """Each reactor has a pool of its own."""
        self.assertIs(self.user.pool, User(self.reactor).pool)
        other = type(self.reactor)()
        self.assertIsNot(self.user.pool, User(other).pool)
        other.until(PoolUser.shutdown(other))


class ShutdownTests(UserCase):
    def test_threadsEnd(self):
        """When it is shut down, its threads and its trigger are gone."""
        self.reactor.until(self.call(int))
        pool = self.user.pool
        begun = list(pool.threads)
        self.assertEqual(len(self.reactor.triggers), 1)
        self.reactor.until(PoolUser.shutdown(self.reactor))
        self.assertEqual([t for t in begun if t.is_alive()], [])
        self.assertEqual(self.reactor.triggers, [])

    def test_again(self):
        """After that, who needs a pool gets a new one."""
        first = self.user.pool
        self.reactor.until(PoolUser.shutdown(self.reactor))
        self.assertIsNot(self.user.pool, first)
        self.assertEqual(self.reactor.until(self.call(int)), 0)

    def test_waits(self):
        """It waits for the calls that are made in it, and those that wait."""
        PoolUser.setup(1, self.reactor)
        (first,), letGo = self.hold()
        second = self.call(int)
        d = PoolUser.shutdown(self.reactor)
        self.reactor.settle()
        self.assertNoResult(d)
        letGo()
        self.reactor.until(d)
        self.assertTrue(self.successResultOf(first))
        self.assertEqual(self.successResultOf(second), 0)

    def test_twice(self):
        """To shut it down again is to wait for the same end."""
        _, letGo = self.hold()
        first = PoolUser.shutdown(self.reactor)
        second = PoolUser.shutdown(self.reactor)
        self.reactor.settle()
        self.assertNoResult(second)
        letGo()
        self.reactor.until(first)
        self.successResultOf(second)

    def test_none(self):
        """If there is none, there is nothing to wait for."""
        self.successResultOf(PoolUser.shutdown(self.reactor))
        PoolUser.setup(3, self.reactor)
        d = PoolUser.shutdown(self.reactor)
        self.successResultOf(d)

    def test_meanwhile(self):
        """A call made while it is shut down is made in a new pool."""
        old = self.user.pool
        _, letGo = self.hold()
        d = PoolUser.shutdown(self.reactor)
        self.assertEqual(self.reactor.until(self.call(int)), 0)
        self.assertIsNot(self.user.pool, old)
        letGo()
        self.reactor.until(d)
        self.assertFalse(self.user.pool.joined)

    def test_dtp(self):
        """The tracker counts calls, and is the same for all who share the pool."""
        tracker = self.user.dtp
        self.assertIsInstance(tracker, DeferredTracker)
        self.assertIs(tracker, User(self.reactor).dtp)
        (d,), letGo = self.hold()
        self.assertEqual(tracker.dCount, 1)
        letGo()
        self.reactor.until(d)
        self.assertEqual(tracker.dCount, 0)

    def test_reactorStops(self):
        """A reactor that stops waits for its end."""
        _, letGo = self.hold()
        (d,) = self.reactor.stopping()
        self.reactor.settle()
        self.assertNoResult(d)
        letGo()
        self.reactor.until(d)

    def test_grace(self):
        """A call that does not end keeps a reactor from stopping for a while only."""
        _, letGo = self.hold()
        begun = list(self.user.pool.threads)
        (d,) = self.reactor.stopping()
        self.reactor.settle()
        self.reactor.advance(GRACE - 0.001)
        self.assertNoResult(d)
        self.reactor.advance(0.001)
        self.successResultOf(d)
        # Left to themselves, they still end when they can.
        letGo()
        for _ in range(4):
            self.reactor.turn()
        for thread in begun:
            thread.join(BOUND)
            self.assertFalse(thread.is_alive())


class GlobalTests(TestCase):
    """
    Without a reactor, it is the global one's pool.
    """

    def setUp(self):
        before = threads()
        self.addCleanup(lambda: self.assertEqual(threads(), before))
        self.addCleanup(PoolUser.shutdown)

    async def check(self):
        d = PoolUser.deferToThreadInPool(int, "10", base=3)
        self.assertEqual(PoolUser.dtp.dCount, 1)
        self.assertEqual(await d, 3)
        self.assertEqual(await PoolUser().deferToThreadInPool(int, "7"), 7)
        with self.assertRaises(ValueError):
            await PoolUser.deferToThreadInPool(int, "x")
        self.assertTrue(PoolUser().pool.started)
        await PoolUser.shutdown()
        self.assertEqual(await PoolUser.deferToThreadInPool(int), 0)

    def test_global(self):
        """Calls are made by class or instance, and after a shutdown again."""
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(self.check())

    def test_refused(self):
        """What cannot be called is refused at once."""
        bad: Any = 5
        self.assertRaises(TypeError, PoolUser.deferToThreadInPool, bad)


class ExitTests(SynchronousTestCase):
    """
    No thread of the pool keeps the interpreter from exiting.
    """

    def run_(self, program):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(asynqueue.__file__).parents[1],
            timeout=BOUND,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_withoutReactor(self):
        """A program ends though a call in the pool does not."""
        self.run_(
            "import threading\n"
            "from asynqueue.threadpool import PoolUser\n"
            "PoolUser.deferToThreadInPool(threading.Event().wait)\n"
        )

    def test_reactorStops(self):
        """
        When the reactor stops, those who wait for items in threads that the program
        waits for are told, those in the pool too.
        """
        out = self.run_(
            "from twisted.internet import reactor, threads\n"
            "from asynqueue.bridges import Consumerator, Filerator\n"
            "from asynqueue.ordered import OrderedItemProducer\n"
            "def read(items):\n"
            "    try: list(items)\n"
            "    except Exception as e: print(type(e).__name__ + chr(10), end='')\n"
            "for bridge in (Consumerator(), Filerator()):\n"
            "    threads.deferToThread(read, bridge)\n"
            "begun = OrderedItemProducer().start(read)\n"
            "begun.addCallback(lambda _: reactor.stop())\n"
            "reactor.run()\n"
        )
        self.assertEqual(out, ["CancelledError"] * 3)
