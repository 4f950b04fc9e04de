"""
What pickles calls and results: what the default does not, and cloudpickle does.
"""

import os
import pickle
import socket
import subprocess
import sys
import threading
from multiprocessing import Pipe
from pathlib import Path
from unittest import mock, skipIf

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.contents import OUT_OF_BAND
from asynqueue.messages import Hello, dumps, pack, unpack
from asynqueue.picklable import notPicklable
from asynqueue.picklers import PICKLERS, findPickler
from asynqueue.process import ProcessQueue, ProcessWorker
from tests import calls, deeds, far
from tests.support import BOUND, crossed, hideMain, leavesNothing

try:
    import cloudpickle
except ImportError:
    cloudpickle = None

needsCloudpickle = skipIf(cloudpickle is None, "cloudpickle is not installed")

PROGRAM = """
from twisted.internet.task import react
from asynqueue import ProcessQueue

class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b

def swapped(pair):
    return Pair(pair.b, pair.a)

async def main(reactor, *keywords):
    queue = ProcessQueue(1, **dict(keyword.split("=") for keyword in keywords))
    pair = await queue.call(swapped, Pair(1, 2))
    print(type(pair) is Pair, pair.a, pair.b)
    await queue.shutdown()

if __name__ == "__main__":
    import sys
    react(main, sys.argv[1:])
"""


def adder(n):
    """
    @return: A function that cannot be found by name.
    """
    return lambda x: x + n


def failing(message):
    """Raises an exception that cannot be found by name, and whose argument cannot."""

    class Local(Exception):
        pass

    raise Local(message, lambda: message)


def adders(n):
    """A generator of functions."""
    yield from map(adder, range(n))


class FindTests(SynchronousTestCase):
    def test_pickle(self):
        """The default pickles what multiprocessing can hand over."""
        self.assertEqual(pickle.loads(dumps([1], findPickler("pickle"))), [1])

    def test_unknown(self):
        """An unknown name is refused by all who take one, with those that are."""
        for f in (
            lambda: findPickler("dill"),
            lambda: ProcessWorker(pickler="dill"),
            lambda: ProcessQueue(1, pickler="dill"),
        ):
            error = self.assertRaises(ValueError, f)
            self.assertIn("'dill'", str(error))
            for name in PICKLERS:
                self.assertIn(name, str(error))

    def test_notInstalled(self):
        """What is not installed is refused, with what installs it."""
        for f in (
            lambda: findPickler("cloudpickle"),
            lambda: ProcessWorker(pickler="cloudpickle"),
            lambda: ProcessQueue(1, pickler="cloudpickle"),
        ):
            with mock.patch.dict(sys.modules, {"cloudpickle": None}):
                error = self.assertRaises(ImportError, f)
            self.assertIn("pip install 'asynqueue[cloudpickle]'", str(error))

    def test_extra(self):
        """What is said to install it is there to be installed."""
        project = Path(__file__).parent.parent / "pyproject.toml"
        self.assertIn("\ncloudpickle = [", project.read_text())

    def test_saysSo(self):
        """Whoever gives a lambda without asking is told what to ask for."""
        local = adder(1)
        error = self.assertRaises((AttributeError, pickle.PicklingError), dumps, local)
        text = str(notPicklable((calls.echo, (local,), {}), error))
        self.assertIn("argument 1", text)
        self.assertIn("pickler='cloudpickle'", text)


@needsCloudpickle
class CloudpickleTests(SynchronousTestCase):
    def setUp(self):
        self.makePickler = findPickler("cloudpickle")

    def cross(self, obj):
        """
        @return: An object as it arrives.
        """
        return unpack(crossed(pack(Hello(1), obj, self.makePickler)))[1]()

    def test_functions(self):
        """Lambdas, closures and partly local methods cross."""

        class Local:
            def method(self, x):
                return adder(1)(x)

        for f in (adder(1), Local().method, lambda x: adder(1)(x)):
            self.assertEqual(self.cross(f)(2), 3)

    def test_localClass(self):
        """A class that cannot be found by name comes back as itself."""

        class Local(Exception):
            pass

        arrived = self.cross([Local, Local("here")])
        self.assertIs(arrived[0], Local)
        self.assertIs(type(arrived[1]), Local)

    def test_byName(self):
        """What can be found by name still crosses as a name."""
        self.assertIs(self.cross(adder), adder)
        self.assertLess(len(dumps(adder, self.makePickler)), 100)

    def test_handedOver(self):
        """Sockets and connections are handed over, as by default."""
        for near, end in (socket.socketpair(), Pipe()):
            with near, end, self.cross([end, adder(1)])[0] as arrived:
                self.assertIsNot(arrived, end)
                self.assertEqual(type(arrived), type(end))

    def test_outOfBand(self):
        """Large buffers go out of band."""
        packet = pack(
            Hello(1),
            [adder(1), bytes(OUT_OF_BAND), pickle.PickleBuffer(bytearray(OUT_OF_BAND))],
            self.makePickler,
        )
        self.assertEqual([len(part) for part in packet[2:]], 2 * [OUT_OF_BAND])

    def test_culprit(self):
        """What it cannot pickle either is named, and not what it can."""
        lock = threading.Lock()
        callTuple = (adder(1), (lock,), {})
        error = self.assertRaises(TypeError, dumps, callTuple, self.makePickler)
        text = str(notPicklable(callTuple, error, self.makePickler))
        self.assertIn("argument 1", text)


class QueueTests(TestCase):
    """
    Queues of real processes.
    """

    @inlineCallbacks
    def setUp(self):  # type: ignore[override]
        # The reactor opens a pipe when it begins to run; so it has to run by now.
        yield deferLater(reactor, 0)
        leavesNothing(self)

    def makeQueue(self, **kw):
        queue = ProcessQueue(1, **kw)
        self.addCleanup(queue.shutdown)
        return queue

    @inlineCallbacks
    def test_notAskedFor(self):
        """By default neither a lambda nor one returned crosses, and is told why."""
        queue = self.makeQueue()
        for f, args in ((adder(1), (2,)), (adder, (1,))):
            with self.assertRaises(pickle.PicklingError) as raised:
                yield queue.call(f, *args)
            self.assertIn("pickler='cloudpickle'", str(raised.exception))

    @needsCloudpickle
    @inlineCallbacks
    def test_askedFor(self):
        """Lambdas go there and come back, as results, items and in exceptions."""
        for context in ("forkserver", "spawn"):
            queue = self.makeQueue(pickler="cloudpickle", context=context)
            there = yield queue.call(adder(1), 2)
            self.assertEqual(there, 3)
            back = yield queue.call(lambda n: adder(n), 1)
            self.assertEqual(back(2), 3)
            items = []
            iterator = yield queue.call(adders, 3)
            for d in iterator:
                items.append((yield d)(10))
            self.assertEqual(items, [10, 11, 12])
            with self.assertRaises(Exception) as raised:
                yield queue.call(failing, "why")
            self.assertEqual(raised.exception.args[1](), "why")
            yield queue.shutdown()

    @needsCloudpickle
    @inlineCallbacks
    def test_updates(self):
        """The saved updates may be functions that cannot be found by name, too."""
        queue = self.makeQueue(pickler="cloudpickle")
        yield queue.update(lambda: far.kept.append(adder(1)))
        yield queue.call(adder(1), 1)
        self.assertEqual((yield queue.call(lambda: len(far.kept))), 1)

    @needsCloudpickle
    @inlineCallbacks
    def test_light(self):
        """Only a process that is to use it has it, and is light still."""
        hideMain(self)
        for name in PICKLERS:
            queue = self.makeQueue(pickler=name, context="spawn")
            imported = yield queue.call(deeds.imported, "cloudpickle")
            self.assertEqual(imported, name == "cloudpickle")
            self.assertEqual((yield queue.call(far.modules)), [])
            yield queue.shutdown()

    @needsCloudpickle
    @inlineCallbacks
    def test_reactor(self):
        """It does with a reactor in the process, too."""
        queue = self.makeQueue(pickler="cloudpickle", useReactor=True)
        back = yield queue.call(lambda n: deeds.later(adder(n)), 1)
        self.assertEqual(back(2), 3)


class MainTests(SynchronousTestCase):
    """
    Functions and classes of a program that is not a file.
    """

    def run_(self, *args):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *args],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            text=True,
            timeout=BOUND,
        )

    def test_byName(self):
        """By default they cannot be found, and what to do is told."""
        run = self.run_()
        self.assertEqual(run.returncode, 1)
        self.assertIn("pickler='cloudpickle'", run.stderr)

    @needsCloudpickle
    def test_byValue(self):
        """With cloudpickle they go there, and come back as what they were."""
        run = self.run_("pickler=cloudpickle")
        self.assertEqual((run.stdout, run.stderr), ("True 2 1\n", ""))
