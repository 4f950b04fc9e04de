"""
A queue with local processes and a cluster.
"""

import os

from asynqueue.base import TaskQueue
from asynqueue.cluster import ClusterWorker
from asynqueue.process import ProcessWorker
from tests import nodework
from tests.fleets import FleetCase, outcomes, until


class MixedCase(FleetCase):
    """
    What the tests below use.
    """

    nodes = ({"name": "one", "resources": {"gpu": 1}}, {"name": "two"})

    async def mixed(self, **kw):
        """
        @return: A queue with two local processes and the cluster, and that worker.
        """
        self.locals = [ProcessWorker(series=["here"]) for _ in range(2)]
        cluster = ClusterWorker(self.fleet.address, series=["there"], **kw)
        queue = TaskQueue(*self.locals, cluster)
        self.addCleanup(queue.shutdown)
        await until(lambda: len(cluster.nodes) == 2)
        return queue, cluster

    async def pids(self, queue, n, series=None):
        ds = [queue.call(nodework.stay, 0.03, series=series) for _ in range(n)]
        return {pid for pid, _, _ in await outcomes(ds)}


class SeriesTests(MixedCase):
    async def test_series(self):
        """
        Series decide who makes a call; those of none are spread over all.
        """
        queue, _ = await self.mixed()
        nodes = self.fleet.nodes
        local = await self.pids(queue, 12, "here")
        self.assertEqual(len(local), 2)
        self.assertEqual(local & {os.getpid(), *nodes.values()}, set())
        self.assertEqual(await self.pids(queue, 12, "cluster"), set(nodes.values()))
        self.assertEqual(await self.pids(queue, 3, "gpu"), {nodes["one"]})
        self.assertEqual(await self.pids(queue, 40), local | set(nodes.values()))
        results = await queue.update(nodework.put, "everywhere")
        self.assertEqual(
            {*results[:2], *results[2].values()}, local | {*nodes.values()}
        )
        d = queue.call(nodework.pid, series="there")
        error = await self.assertFailure(d, Exception)
        self.assertIn("offers the series 'there'", str(error))


class GoneTests(MixedCase):
    async def test_gone(self):
        """
        When the cluster has gone for good, the others go on, and calls that it alone
        could make fail.
        """
        queue, cluster = await self.mixed(reconnect=0)
        path = self.path()
        waiting = [queue.call(nodework.stay, 0.05) for _ in range(30)]
        only = queue.call(nodework.noteAndSpin, path, series="cluster", retries=3)
        await until(lambda: os.path.exists(path))
        self.fleet.killAll()
        for found in await outcomes(waiting):
            self.assertIsInstance(found, tuple)
        error = await self.assertFailure(only, Exception)
        self.assertIn(self.fleet.address, str(error))
        d = queue.call(nodework.pid, series="cluster")
        self.assertIs(await self.assertFailure(d, Exception), error)
        await until(lambda: len(queue.workers()) == 2)
        self.assertEqual(len(await self.pids(queue, 12)), 2)
        self.assertEqual(cluster.nodes, [])
