"""
Contenders, without their libraries.
"""

import os
import pickle
import sys
from concurrent.futures import Future
from importlib import metadata
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.trial.unittest import SynchronousTestCase

import asynqueue
from asynqueue import ampoules, chores, contenders, process, rivals
from asynqueue.contender import Cannot
from asynqueue.contenders import CONTENDERS, Ancestor, Asynqueue
from asynqueue.deferator import Deferator


class FakeQueue:
    """
    I call functions here.
    """

    def __init__(self, workers, **kw):
        self.made = (workers, kw)
        self.isDown = False

    def call(self, f, *args):
        result = f(*args)
        return succeed(Deferator(result) if f is chores.count else result)

    def shutdown(self):
        self.isDown = True
        return succeed(None)


class FakeReactor:
    """
    I keep what threads want me to call.
    """

    def __init__(self):
        self.calls = []

    def callFromThread(self, f, *args):
        self.calls.append((f, args))

    def run(self):
        for f, args in self.calls:
            f(*args)


class OursTests(SynchronousTestCase):
    def setUp(self):
        self.patch(process, "ProcessQueue", FakeQueue)

    def start(self, kind):
        found = kind(3, "spawn")
        found.start()
        return found

    def test_settings(self):
        """Each way of asynqueue makes its queue, with the start method."""
        ways: dict[str, dict[str, Any]] = {
            "asynqueue": {},
            "reactor": {"poller": "reactor"},
            "prefetch": {"prefetch": 16},
        }
        for name, settings in ways.items():
            queue = self.start(CONTENDERS[name])._queue
            self.assertEqual(queue.made, (3, {"context": "spawn", **settings}))

    def test_call(self):
        """Calls are made, and the queue is shut down."""
        ours = self.start(Asynqueue)
        self.assertEqual(self.successResultOf(ours.call(pow, 2, 5)), 32)
        self.successResultOf(ours.stop())
        self.assertTrue(ours._queue.isDown)

    def test_read(self):
        """Items are counted, both in the new way and in that of the ancestor."""
        for kind in (Asynqueue, Ancestor):
            ours = kind(3, "spawn")
            ours._queue = FakeQueue(3)
            d = Deferred.fromCoroutine(ours.read(chores.count, 7))
            self.assertEqual(self.successResultOf(d), 7)

    def test_othersCannot(self):
        """The others have no such thing, and say so."""
        d = Deferred.fromCoroutine(CONTENDERS["pool"](1, "spawn").read(chores.count, 7))
        self.assertIn("no remote iterators", str(self.failureResultOf(d, Cannot).value))

    def test_version(self):
        """Neither asynqueue nor its ancestor need be installed to be measured."""

        def version(name):
            raise metadata.PackageNotFoundError(name)

        self.patch(metadata, "version", version)
        self.assertEqual(Asynqueue.version(), asynqueue.__version__)
        self.assertEqual(Ancestor.version(), "(not installed)")
        self.assertRegex(CONTENDERS["executor"].version(), r"^3\.\d+")


class Library:
    """
    I stand for any other library: what makes a pool in it, and the pool.

    @ivar made: What the pool was made with.
    """

    def __init__(self):
        self.ended = []

    def __call__(self, *args, **kw):
        self.made = args, kw
        return self

    # By these names they make pools.
    ProcessPool = ProcessPoolExecutor = property(lambda self: self)

    def start(self):
        pass

    def submit(self, f, *args):
        self.future = Future()
        return self.future

    def schedule(self, f, args):
        return self.submit(f, *args)

    def apply_async(self, f, args, callback, error_callback):
        self.callbacks = callback, error_callback

    def doWork(self, command, call):
        if command is not ampoules.Call:
            raise AssertionError(f"There is no {command}")
        return succeed(ampoules.Callee().call(call))

    def shutdown(self):
        self.ended.append("shut down")

    def close(self):
        self.ended.append("closed")

    def join(self):
        self.ended.append("joined")

    def stop(self):
        self.ended.append("stopped")
        return succeed(None)


class RivalsTests(SynchronousTestCase):
    def setUp(self):
        self.reactor = FakeReactor()
        self.library = Library()
        self.patch(rivals, "deferToThread", maybeDeferred)
        starter = SimpleNamespace(ProcessStarter=lambda **kw: kw)
        modules: dict[str, Any] = {
            "ampoule": self.library,
            "ampoule.main": starter,
            "ampoule.pool": self.library,
            "loky": self.library,
            "pebble": self.library,
        }
        patched = mock.patch.dict(sys.modules, modules)
        patched.start()
        self.addCleanup(patched.stop)

    def make(self, name):
        """
        @return: A contender whose library was replaced by mine.
        """
        found: Any = CONTENDERS[name](2, "spawn")
        if name == "executor":
            self.patch(found, "_make", self.library)
        elif name == "pool":
            self.patch(found, "_context", SimpleNamespace(Pool=self.library))
        found.start()
        found._reactor = self.reactor
        return found

    def settle(self, d, tell, told):
        """
        Has a call end in what would be another thread.
        """
        tell(told)
        self.assertNoResult(d)
        self.reactor.run()
        self.reactor.calls.clear()

    def test_futures(self):
        """A future's end reaches the reactor, and not before."""
        for name in ("executor", "pebble", "loky"):
            pool = self.make(name)
            d = pool.call(chores.echo, 5)
            self.settle(d, self.library.future.set_result, 5)
            self.assertEqual(self.successResultOf(d), 5)
            d = pool.call(chores.echo, 5)
            self.settle(d, self.library.future.set_exception, ValueError("bad"))
            self.failureResultOf(d, ValueError)

    def test_pool(self):
        """So does a callback."""
        pool = self.make("pool")
        d = pool.call(chores.echo, 5)
        self.settle(d, self.library.callbacks[0], 5)
        self.assertEqual(self.successResultOf(d), 5)
        d = pool.call(chores.echo, 5)
        self.settle(d, self.library.callbacks[1], ValueError("bad"))
        self.failureResultOf(d, ValueError)

    def test_workers(self):
        """Each is made with the number of workers, and ended in its own way."""
        for name, how in [
            ("executor", ["shut down"]),
            ("loky", ["shut down"]),
            ("pebble", ["closed", "joined"]),
            ("pool", ["closed", "joined"]),
        ]:
            pool = self.make(name)
            self.assertEqual(self.library.made[0][0], 2)
            self.successResultOf(pool.stop())
            self.assertEqual(self.library.ended, how)
            self.library.ended.clear()

    def test_method(self):
        """The start method is passed on where it can be."""
        self.make("pebble")
        context = self.library.made[1]["context"]
        self.assertEqual(context.get_start_method(), "spawn")
        context = rivals.Pool(2, "spawn")._context
        self.assertEqual(context.get_start_method(), "spawn")

    def test_ampoule(self):
        """A call goes there and back in a command, to processes that stay."""
        pool = self.make("ampoule")
        settings = self.library.made[1]
        self.assertEqual([settings[name] for name in ("min", "max")], [2, 2])
        self.assertEqual(settings["recycleAfter"], 0)
        self.assertEqual(self.successResultOf(pool.call(pow, 2, 5)), 32)
        self.successResultOf(pool.stop())
        self.assertEqual(self.library.ended, ["stopped"])

    def test_ampouleTooLarge(self):
        """One that AMP cannot take is not tried."""
        pool = self.make("ampoule")
        error = self.assertRaises(Cannot, pool.call, chores.echo, bytes(2**16))
        self.assertIn("64 KiB", str(error))

    def test_ampouleEnds(self):
        """The far side knows the command that ends it, by its own name."""
        self.assertEqual(ampoules.Shutdown.commandName, b"Shutdown")
        self.assertEqual(ampoules.Callee().shutdown(), {})

    def test_notInstalled(self):
        """What is not installed is an error that names it."""
        with mock.patch.dict(sys.modules, {"loky": None}):
            error = self.assertRaises(ImportError, CONTENDERS["loky"], 2, "spawn")
        self.assertIn("loky", str(error))


class ChoresTests(SynchronousTestCase):
    def test_all(self):
        """Each does what it says."""
        self.assertEqual(chores.echo("x"), "x")
        self.assertGreaterEqual(chores.nap(0.001), 0.001)
        self.assertEqual(chores.spin(5), 10)
        self.assertEqual(list(chores.count(3)), [0, 1, 2])
        self.assertEqual(chores.identify(0), os.getpid())

    def test_picklable(self):
        """Each can be sent to a process."""
        for f in (chores.nothing, chores.nap, chores.spin, chores.count):
            self.assertIs(pickle.loads(pickle.dumps(f)), f)

    def test_names(self):
        """All contenders have a title of their own."""
        titles = {each.title for each in contenders.CONTENDERS.values()}
        self.assertEqual(len(titles), len(contenders.CONTENDERS))
