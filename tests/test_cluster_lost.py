"""
A cluster whose scheduler is killed, or is not there.
"""

import os
import signal
from typing import Any

from asynqueue import clusterwatch
from asynqueue.cluster import ClusterQueue
from asynqueue.errors import StartFailed, WorkerDied
from tests import calls
from tests.clusters import freePort
from tests.deaths_case import DeathsCase, outcome, outcomes, reactor, until


class LostTests(DeathsCase):
    async def gone(self):
        """
        Kills the scheduler, and waits for its nodes to end.
        """
        await self.cluster.killScheduler()
        for node in self.cluster.nodes:
            await self.cluster.killNode(node)

    async def test_calls(self):
        """Calls that have begun may be tried again or not, and wait for somebody."""
        await self.started(2)
        queue = await self.queue(prefetch=0)
        paths = [self.path("once"), self.path("again")]
        ds = [
            outcome(queue.call(calls.stand, path, retries=retries))
            for retries, path in enumerate(paths)
        ]
        await self.nodeWith(paths[1])
        node = await self.nodeWith(paths[0])
        waiting = outcome(queue.call(calls.echo, 1))
        began = reactor.seconds()
        await self.cluster.killScheduler()
        once, again, waiting = [await d for d in [*ds, waiting]]
        self.assertLess(reactor.seconds() - began, 10)
        for error in (once, again, waiting):
            self.assertIsInstance(error, WorkerDied)
            self.assertIn("The scheduler has ended", str(error))
        for text in ("tests.calls.stand(", node.address):
            self.assertIn(text, str(once))
        for error in (again, waiting):
            self.assertIn(self.cluster.address, str(error))
        self.assertEqual([len(self.begun(path)) for path in paths], [1, 1])

    async def test_reconnects(self):
        """All is done when a scheduler is there again, after the updates."""
        await self.started(2)
        queue = await self.queue(prefetch=0, reconnect=30)
        await outcome(queue.update(os.putenv, "NOTHING", "1"))
        await outcome(queue.update(calls.note, self.path("updates"), "x"))
        path, other = self.path("call"), self.path("other")
        d = outcome(queue.call(calls.stand, path, retries=1))
        once = outcome(queue.call(calls.stand, other, retries=0))
        await self.nodeWith(path)
        await self.nodeWith(other)
        behind = [queue.call(calls.echo, i, retries=0) for i in range(20)]
        await self.gone()
        self.assertIsInstance(await once, WorkerDied)
        self.assertFalse(d.called)
        await self.cluster.start(2)
        await self.nodeWith(path, 2)
        self.let(path)
        self.assertEqual(await d, path)
        self.assertEqual(await outcomes(behind), list(range(20)))
        self.assertEqual(len(self.begun(path)), 2)
        self.assertEqual(len(self.begun(other)), 1)
        with open(self.path("updates")) as file:
            self.assertEqual(len(file.readlines()), 4)

    async def test_idle(self):
        """That it is gone is noticed when there is nothing to do, too."""
        await self.started(1)
        queue = await self.queue()
        await self.cluster.killScheduler()
        await until(lambda: not queue.workers(), "resigning")
        error = await outcome(queue.call(calls.echo, 1))
        self.assertIsInstance(error, WorkerDied)

    async def test_hangs(self):
        """One that does not answer any more counts as gone."""
        self.patch(clusterwatch, "LOOK", 0.1)
        self.patch(clusterwatch, "PATIENCE", 1.0)
        await self.started(1)
        queue = await self.queue()
        self.assertEqual(await outcome(queue.call(calls.echo, 1)), 1)
        scheduler: Any = self.cluster.scheduler
        scheduler.kill(signal.SIGSTOP)
        error = await outcome(queue.call(calls.echo, 1, retries=0))
        self.assertIsInstance(error, WorkerDied)
        self.assertIn("has not answered", str(error))

    async def test_none(self):
        """If there is none, calls fail in time, and the text says what to do."""
        address = f"tcp://127.0.0.1:{freePort('127.0.0.1')}"
        began = reactor.seconds()
        queue = ClusterQueue(address, connectTimeout=1.0)
        self.addCleanup(queue.shutdown)
        error = await outcome(queue.d)
        self.assertLess(reactor.seconds() - began, 5)
        self.assertIsInstance(error, StartFailed)
        self.assertIn(address, str(error))
        self.assertIn("dask scheduler", str(error))
        self.assertIs(await outcome(queue.call(calls.echo, 1)), error)
