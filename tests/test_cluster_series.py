"""
Series at a cluster: calls of a series run on the nodes that offer it, and fail where
none does.
"""

from itertools import pairwise

from asynqueue.errors import WorkerError
from tests import calls, nodework
from tests.fleets import FleetCase, outcomes, until


class SeriesTests(FleetCase):
    nodes = (
        {"name": "plain"},
        {"name": "gpu", "nthreads": 2, "resources": {"gpu": 1}},
    )

    async def test_where(self):
        """
        They run on the node that has the resource, no more at a time than it has of
        that, however many threads; others run anywhere.
        """
        queue = await self.connect()
        ds = [queue.call(nodework.stay, 0.03, series="gpu") for _ in range(5)]
        spans = await outcomes(ds)
        self.assertEqual({pid for pid, _, _ in spans}, {self.fleet.nodes["gpu"]})
        times = sorted((begun, ended) for _, begun, ended in spans)
        for (_, ended), (begun, _) in pairwise(times):
            self.assertLessEqual(ended, begun)
        for series in (None, "cluster"):
            ds = [queue.call(nodework.stay, 0.1, series=series) for _ in range(6)]
            pids = {pid for pid, _, _ in await outcomes(ds)}
            self.assertEqual(pids, set(self.fleet.nodes.values()))

    async def test_refused(self):
        """
        A call of a series that nobody offers fails, with what is on offer: at once,
        or when the cluster is known if it was made before.
        """
        queue = await self.connect(0)
        early = queue.call(calls.echo, 1, series="tpu")
        await until(lambda: len(queue.nodes) == 2)
        for d in (early, queue.call(calls.echo, 1, series="tpu")):
            error = await self.assertFailure(d, WorkerError)
            self.assertIn("offers the series 'tpu'. On offer are: 'gpu'", str(error))
            self.assertIn('--resources "tpu=1"', str(error))
        self.assertEqual(await queue.call(calls.echo, 2, series="gpu"), 2)

    async def test_comesAndGoes(self):
        """
        A series is accepted from when a node comes that offers it, also one that was
        refused before; until that has been gone for a while.
        """
        queue = await self.connect(patience=0.3)
        await self.assertFailure(queue.call(calls.echo, 1, series="rare"), WorkerError)
        self.addNode("rare", resources={"rare": 1})
        await until(lambda: "rare" in queue.worker.iQualified)
        pid = await queue.call(nodework.pid, series="rare")
        self.assertEqual(pid, self.fleet.nodes["rare"])
        self.fleet.kill("rare")
        await until(lambda: len(queue.nodes) == 2)
        d = queue.call(calls.echo, 1, series="rare")
        self.assertFalse(d.called)
        error = await self.assertFailure(d, WorkerError)
        self.assertIn("offers the series 'rare'", str(error))
        self.assertTrue(queue.call(calls.echo, 1, series="rare").addErrback(id).called)

    async def test_comesBack(self):
        """
        Calls wait for a node that has gone for less than that while.
        """
        queue = await self.connect()
        for _ in range(2):
            self.addNode("back", resources={"back": 1})
            await until(lambda: len(queue.nodes) == 3)
            d = queue.call(nodework.pid, series="back")
            self.assertEqual(await d, self.fleet.nodes["back"])
            self.fleet.kill("back")
            await until(lambda: len(queue.nodes) == 2)
        waiting = [queue.call(nodework.pid, k, series="back") for k in range(3)]
        self.addNode("back", resources={"back": 1})
        pids = await outcomes(waiting)
        self.assertEqual(pids, [self.fleet.nodes["back"]] * 3)
