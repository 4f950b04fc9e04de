"""
Arrays that cross between real processes in shared memory.
"""

import gc
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest import skipIf

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.errors import WorkerDied
from asynqueue.process import ProcessQueue
from asynqueue.slots import MOST
from tests import calls, deeds, shared
from tests.shared import SIZE, Array, filled

from .support import leavesNothing

TOP = Path(__file__).parent.parent
ON_LINUX = sys.platform.startswith("linux")
ENDINGS = ("forkserver", "exit"), ("spawn", "stop"), ("fork", "shutdown")
"""
How programs start their processes, and how they end.
"""
BOUND = 30
"""
How long a program may take at most, in seconds.
"""


def asynchronous(f):
    """
    Has a test be a coroutine.
    """

    def test(self):
        return Deferred.fromCoroutine(f(self))

    test.__doc__ = f.__doc__
    return test


class SharedCase(TestCase):
    """
    @ivar queue: A queue of one worker.
    """

    context: Any = None

    def setUp(self):
        return Deferred.fromCoroutine(self.begin())

    async def begin(self):
        # The reactor opens a pipe when it begins to run; so it has to run by now.
        await deferLater(reactor, 0)
        leavesNothing(self)
        self.queue = self.makeQueue(context=self.context)

    def makeQueue(self, **kw):
        queue = ProcessQueue(1, shareAbove=65536, **kw)
        self.addCleanup(queue.shutdown)
        return queue


class ProcessMixin:
    """
    What holds however the process was started.
    """

    @asynchronous
    async def test_bothWays(self: Any):
        """An array is shared there and back, and each side's is its own."""
        sent = filled(1)
        self.assertEqual(await self.queue.call(shared.areShared, sent), [True])
        arrived = await self.queue.call(shared.written, sent, 2)
        self.assertTrue(arrived.isShared())
        self.assertEqual((sent.buffer[0], arrived.buffer[0]), (1, 2))
        await self.queue.call(shared.keep, sent)
        arrived.buffer[1] = sent.buffer[1] = 9
        other = await self.queue.call(shared.written, filled(3), 4)
        self.assertEqual(await self.queue.call(shared.look), [(1, 1)])
        self.assertEqual(bytes(arrived.buffer[:3]), b"\2\x09\1")
        self.assertEqual(bytes(other.buffer[:3]), b"\4\3\3")

    @asynchronous
    async def test_items(self: Any):
        """The items of an iterator are, and each is what it was when it was taken."""
        found = [array async for array in await self.queue.call(shared.several, 5)]
        self.assertTrue(all(array.isShared() for array in found))
        self.assertEqual(found, [filled(k) for k in range(5)])

    @asynchronous
    async def test_after(self: Any):
        """What has arrived stays when the process was killed, and is shared anew."""
        arrived = await self.queue.call(calls.echo, filled(1))
        with self.assertRaises(WorkerDied):
            await self.queue.call(shared.killedWith, filled(2))
        self.assertEqual(arrived, filled(1))
        self.assertTrue((await self.queue.call(calls.echo, arrived)).isShared())
        await self.queue.shutdown()
        arrived.buffer[:] = filled(3).buffer
        self.assertEqual(arrived, filled(3))


class ForkserverTests(ProcessMixin, SharedCase):
    context = "forkserver"

    @asynchronous
    async def test_held(self):
        """
        Any number of arrays can be held, here and there; those that have no room in
        shared memory go through the pipe, until others are dropped.
        """
        n = MOST + 4
        there = await self.queue.call(shared.areShared, *[filled(k) for k in range(n)])
        self.assertEqual(there, [True] * MOST + [False] * 4)
        held = [await self.queue.call(calls.echo, filled(k)) for k in range(n)]
        await self.queue.call(shared.keep, *held)
        areShared = [array.isShared() for array in held]
        self.assertEqual(areShared, [True] * MOST + [False] * 4)
        del held[::2]
        more = await self.queue.call(calls.echo, filled(99))
        self.assertFalse(more.isShared())
        await self.queue.call(shared.drop)
        more = await self.queue.call(calls.echo, filled(100))
        self.assertTrue(more.isShared())
        self.assertEqual(held, [filled(k) for k in range(1, n, 2)])

    @asynchronous
    async def test_sizes(self):
        """Arrays of all sizes, in any order, several at once, arrive as they were."""
        sizes = [65535, 65536, 3 << 20, 70000, 1 << 20, 100000, 2 << 20, 65537]
        for k in range(3 * len(sizes)):
            chosen = (sizes * 2)[k % len(sizes) :][: k % 4]
            some = [filled(k + i, size) for i, size in enumerate(chosen)]
            self.assertEqual(await self.queue.call(calls.echo, some), some)

    @asynchronous
    async def test_concurrent(self):
        """So do those of many calls at once, of several workers, some cancelled."""
        queue = self.makeQueue(prefetch=3)
        ds = [queue.call(shared.written, filled(k), k + 1) for k in range(40)]
        for d in ds[3::5]:
            d.addErrback(lambda failure: failure.trap(CancelledError) and None)
            d.cancel()
        for k, array in enumerate(await gatherResults(ds)):
            if k % 5 != 3:
                self.assertEqual(bytes(array.buffer[:2]), bytes((k + 1, k)))

    @asynchronous
    async def test_readOnly(self):
        """What must not be written to cannot be there either."""
        sent = Array(bytes(SIZE))
        for _ in range(3):
            arrived = await self.queue.call(calls.echo, sent)
            self.assertTrue(arrived.isShared() and arrived.buffer.readonly)
            self.assertEqual(arrived, sent)

    @asynchronous
    async def test_notRunning(self):
        """What was to be sent to a process that is gone is sent to the next one."""
        ds = [self.queue.call(deeds.killSelf, 9)]
        ds += [self.queue.call(calls.echo, filled(k, 2 << 20)) for k in range(3)]
        with self.assertRaises(WorkerDied):
            await ds.pop(0)
        found = await gatherResults(ds)
        self.assertEqual(found, [filled(k, 2 << 20) for k in range(3)])

    @skipIf(not ON_LINUX, "What a process has cannot be looked at here")
    @asynchronous
    async def test_roundTrips(self):
        """1,000 round trips leave what 10 do, in descriptors and memory."""
        found = []
        for n in (10, 1000):
            for k in range(n):
                array = await self.queue.call(calls.echo, filled(k, 65536))
                if k % 100 == 0:
                    self.assertEqual(array, filled(k, 65536))
            found += [shared.has(), await self.queue.call(shared.has)]
        (here, there), (hereThen, thereThen) = found[:2], found[2:]
        for before, after in ((here, hereThen), (there, thereThen)):
            self.assertEqual(after[0], before[0])
            self.assertLess(after[1] - before[1], SIZE)

    @skipIf(not ON_LINUX, "What a process has cannot be looked at here")
    @asynchronous
    async def test_manyLives(self):
        """Nor do six processes that were killed with arrays here and there."""
        counts = []
        for _ in range(6):
            with self.assertRaises(WorkerDied):
                await self.queue.call(shared.killedWith, filled(2))
            self.assertTrue((await self.queue.call(calls.echo, filled(1))).isShared())
            gc.collect()
            counts.append(shared.has()[0])
        self.assertLessEqual(counts[-1], max(counts[:2]))

    @asynchronous
    async def test_forkThere(self):
        """A process that was forked there keeps its array as it is."""
        await self.queue.call(shared.forkWith, filled(7))
        for k in range(MOST + 4):
            arrived = await self.queue.call(shared.written, filled(k), 1)
            self.assertTrue(arrived.isShared())
        self.assertEqual(await self.queue.call(shared.askFork), 7)
        await self.queue.call(shared.endFork)

    @skipIf(not ON_LINUX, "What a process has cannot be looked at here")
    @asynchronous
    async def test_forkHere(self):
        """A process that was forked here keeps its array, and no other's memory."""
        before = shared.memoryFiles("self").keys()
        await self.queue.call(calls.echo, filled(8))
        arrived = await self.queue.call(shared.filled, 7)
        shared.forkWith(arrived)
        try:
            del arrived
            for k in range(MOST + 4):
                arrived = await self.queue.call(shared.filled, k)
                self.assertTrue(arrived.isShared())
            self.assertEqual(shared.askFork(), 7)
            after = shared.memoryFiles(shared.kept[0]).keys()
            self.assertLessEqual(len(after - before), 1)
        finally:
            shared.endFork()


class SpawnTests(ProcessMixin, SharedCase):
    context = "spawn"


class ForkTests(ProcessMixin, SharedCase):
    context = "fork"

    async def begin(self):
        warnings.simplefilter("ignore", DeprecationWarning)
        await super().begin()


class ReactorTests(ProcessMixin, SharedCase):
    def makeQueue(self, **kw):
        return super().makeQueue(useReactor=True, **kw)


class EndingsTests(SynchronousTestCase):
    def test_endings(self):
        """A program that has arrays here and there ends silently."""
        programs = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.shared", method, how],
                cwd=TOP,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for method, how in ENDINGS
        ]
        for program in programs:
            said, _ = program.communicate(timeout=BOUND)
            self.assertEqual((said, program.returncode), (b"[0, 1, 2, 3]\n", 0))
