"""
Calls at a cluster that are cancelled or take too long, wherever they are.
"""

import os
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from asynqueue.cluster import ClusterQueue
from asynqueue.errors import TimeoutError, WorkerError
from tests import calls, deeds, nodework
from tests.fleets import FleetCase, until


class CancelCase(FleetCase):
    """
    What the tests below use: a node with one thread, and a queue.
    """

    async def hold(self, queue, **kw):
        """
        @return: The path that a call which runs now waits for, and its Deferred.
        """
        path = self.path()
        d = queue.call(calls.hold, path, **kw)
        await until(lambda: Path(path + calls.BEGUN).exists())
        return path, d

    async def block(self, queue, **kw):
        """
        @return: A callable that releases a call which waits in C code now, and its
            Deferred.
        """
        path, begun = self.path(), self.path()
        os.mkfifo(path)
        d = queue.call(nodework.blocked, path, begun, **kw)
        await until(lambda: Path(begun).exists())
        return lambda: os.close(os.open(path, os.O_WRONLY)), d

    async def fails(self, d, error):
        """
        Waits for a Deferred to fail, and tells by that that it has been left alone.
        """
        return await self.assertFailure(d, error)


class WaitingTests(CancelCase):
    """
    Tests of calls that have not begun.
    """

    async def test_cancelled(self):
        """
        One that waits at the cluster is never made, and takes up no place there.
        """
        queue = await self.connect(prefetch=2)
        path, running = await self.hold(queue)
        mark = self.path()
        ds = [queue.call(calls.note, mark, "made") for _ in range(4)]
        self.assertEqual(len(queue.worker.tasks), 3)
        for d in ds:
            d.cancel()
            await self.fails(d, CancelledError)
        await until(lambda: len(queue.worker._life._errands) == 1)
        last = queue.call(calls.echo, 2)
        Path(path).touch()
        self.assertEqual(await running, path)
        self.assertEqual(await last, 2)
        self.assertFalse(Path(mark).exists())

    async def test_timeout(self):
        """
        The time that one waits at the cluster does not count.
        """
        queue = await self.connect(prefetch=2)
        path, running = await self.hold(queue)
        d = queue.call(calls.echo, 1, timeout=0.1)
        await deferLater(reactor, 0.3)
        self.assertEqual(len(queue.worker.tasks), 2)
        self.assertFalse(d.called)
        Path(path).touch()
        self.assertEqual(await d, 1)
        await running

    async def test_beforeConnected(self):
        """
        One that is cancelled before there is a connection is never made, and those
        after it are.
        """
        queue = ClusterQueue(self.fleet.address)
        self.addCleanup(queue.shutdown)
        mark = self.path()
        d, kept = queue.call(calls.note, mark, "made"), queue.call(calls.echo, 1)
        d.cancel()
        await self.fails(d, CancelledError)
        self.assertEqual(await kept, 1)
        self.assertFalse(Path(mark).exists())

    async def test_workerAlone(self):
        """
        So it is for a task that the worker has been given already.
        """
        queue = ClusterQueue(self.fleet.address, prefetch=3)
        self.addCleanup(queue.shutdown)
        mark = self.path()
        task = queue.newTask(calls.note, (mark, "made"), {})
        task.holder = queue.worker
        queue.worker.begin(task, lambda: None)
        kept = queue.call(calls.echo, 1)
        task.d.cancel()
        await self.fails(task.d, CancelledError)
        self.assertEqual(await kept, 1)
        self.assertFalse(Path(mark).exists())

    async def test_soon(self):
        """
        One that is cancelled while it is on its way to the scheduler, or from there to
        the node, does not take up a thread that nobody knows of.
        """
        queue = await self.connect(prefetch=0)
        for k in range(12):
            d = queue.call(deeds.spin)
            await deferLater(reactor, k * 0.001)
            d.cancel()
            await self.fails(d, CancelledError)
            self.assertEqual(await queue.call(calls.echo, k), k)

    async def test_cancelAll(self):
        """
        The queue's cancelAll() means those that wait in it, not those at the cluster.
        """
        queue = await self.connect(prefetch=0)
        path, running = await self.hold(queue)
        waiting = queue.call(calls.echo, 1)
        self.assertEqual(queue.cancelAll(), 1)
        await self.fails(waiting, CancelledError)
        Path(path).touch()
        self.assertEqual(await running, path)


class RunningTests(CancelCase):
    """
    Tests of calls that run.
    """

    async def test_python(self):
        """
        One that runs Python code is interrupted there, and its thread runs another.
        """
        queue = await self.connect(prefetch=0)
        kw: Any
        for kw in ({}, {"timeout": 0.2, "retries": 0}):
            d = queue.call(deeds.spin, **kw)
            other = queue.call(calls.echo, 1)
            if kw:
                await self.fails(d, TimeoutError)
            else:
                await deferLater(reactor, 0.2)
                d.cancel()
                await self.fails(d, CancelledError)
            self.assertEqual(await other, 1)

    async def test_cleansUp(self):
        """
        One that is interrupted cleans up, though it catches all that is an Exception.
        """
        queue = await self.connect(prefetch=0)
        begun, mark = self.path(), self.path()
        d = queue.call(nodework.stubborn, begun, mark)
        await until(lambda: Path(begun).exists())
        d.cancel()
        await self.fails(d, CancelledError)
        self.assertEqual(await queue.call(calls.echo, 1), 1)
        self.assertEqual(Path(mark).read_text(), "Abandoned\n")

    async def test_c(self):
        """
        One that waits in C code fails at once, and its thread runs another when it is
        back.
        """
        queue = await self.connect(prefetch=0)
        kw: Any
        for kw in ({}, {"timeout": 0.2, "retries": 0}):
            release, d = await self.block(queue, **kw)
            if not kw:
                d.cancel()
            await self.fails(d, TimeoutError if kw else CancelledError)
            other = queue.call(calls.echo, 1)
            await deferLater(reactor, 0.2)
            self.assertFalse(other.called)
            self.assertEqual(queue.worker.tasks, [])
            release()
            self.assertEqual(await other, 1)

    async def test_retried(self):
        """
        One that takes too long is tried again as often as its retries say.
        """
        queue = await self.connect(prefetch=0)
        mark = self.path()
        d = queue.call(nodework.noteAndSpin, mark, timeout=0.15, retries=2)
        error = await self.fails(d, TimeoutError)
        self.assertIn("noteAndSpin", str(error))
        self.assertEqual(Path(mark).read_text().count("begun"), 3)

    async def test_inTime(self):
        """
        One that is done in its time is made once.
        """
        queue = await self.connect()
        mark = self.path()
        ds = [queue.call(calls.note, mark, k, timeout=5) for k in range(20)]
        for k, d in enumerate(ds):
            self.assertEqual(await d, k)
        self.assertEqual(len(Path(mark).read_text().split()), 20)

    async def test_shutdown(self):
        """
        Shutting down with a timeout leaves one that does not end, and tells its caller.
        """
        queue = await self.connect(prefetch=0, timeout=0.1)
        release, d = await self.block(queue)
        d.addErrback(lambda failure: failure.value)
        await queue.shutdown()
        self.assertIsInstance(await d, WorkerError)
        release()
