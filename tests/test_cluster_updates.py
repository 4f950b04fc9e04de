"""
Updates at a real cluster: they are in force wherever a call is made later.
"""

from pathlib import Path

from asynqueue.cluster import ClusterQueue
from tests import calls, deeds, nodework
from tests.fleets import FleetCase, outcomes, until


class UpdatesTests(FleetCase):
    """
    Tests with two nodes, one of which offers a series.
    """

    nodes = (
        {"name": "one", "nthreads": 2},
        {"name": "two", "resources": {"gpu": 1}},
    )

    async def found(self, queue, n, series=None):
        """
        @return: For the process ID of each node that makes some calls, what was set
            there.
        """
        ds = [queue.call(nodework.getAfter, 0.02, series=series) for _ in range(n)]
        pids, values = zip(*await outcomes(ds), strict=True)
        return dict(zip(pids, values, strict=True))

    async def test_present(self):
        """
        All nodes run it, before any call that is made right after it; what each
        returned is told.
        """
        queue = await self.connect()
        updated = queue.update(nodework.put, "present")
        found = await self.found(queue, 12)
        pids = set(self.fleet.nodes.values())
        self.assertEqual(found, dict.fromkeys(pids, "present"))
        (results,) = await updated
        self.assertEqual(set(results.values()), pids)
        self.assertEqual(set(results), {node.address for node in queue.nodes})

    async def test_beforeConnected(self):
        """
        So it is when it is made before there is a connection.
        """
        queue = ClusterQueue(self.fleet.address)
        self.addCleanup(queue.shutdown)
        updated = queue.update(nodework.put, "early")
        self.assertEqual(set((await self.found(queue, 12)).values()), {"early"})
        await updated

    async def test_later(self):
        """
        A node that comes later runs all that last, in order, before its first call;
        and none that is ephemeral.
        """
        queue = await self.connect()
        mark = self.path()
        for text in ("first", "second"):
            await queue.update(calls.note, mark, text)
        await queue.update(calls.note, mark, "ephemeral", ephemeral=True)
        before = ["first"] * 2 + ["second"] * 2 + ["ephemeral"] * 2
        self.assertEqual(Path(mark).read_text().split(), before)
        self.addNode("late", resources={"late": 1})
        await until(lambda: "late" in queue.worker.iQualified)
        await queue.call(calls.note, mark, "call", series="late")
        marks = Path(mark).read_text().split()
        self.assertEqual(marks[6:], ["first", "second", "call"])

    async def test_failsOnOne(self):
        """
        One that fails on a node is told of by that error, and lasts; no call is made
        there until it succeeds, which is tried again before each.
        """
        queue = await self.connect()
        refused, mark = self.path(), self.path()
        Path(refused).write_text(str(self.fleet.nodes["two"]))
        d = queue.update(nodework.putUnless, "there", refused, mark)
        error = await self.assertFailure(d, ValueError)
        self.assertIn("refused here", str(error))
        found = await outcomes(
            [queue.call(nodework.getAfter, 0.02, series="gpu") for _ in range(2)]
        )
        self.assertEqual([str(e) for e in found], ["refused here"] * 2)
        Path(refused).write_text("")
        self.assertEqual(set((await self.found(queue, 12)).values()), {"there"})
        tries = Path(mark).read_text().split()
        self.assertEqual(tries.count(str(self.fleet.nodes["one"])), 1)
        self.assertEqual(tries.count(str(self.fleet.nodes["two"])), 1 + 2 + 1)

    async def test_failsOnAll(self):
        """
        One that fails on all nodes does not last, and calls are made as before.
        """
        queue = await self.connect()
        await self.assertFailure(queue.update(calls.boom), ValueError)
        self.addNode("late", resources={"late": 1})
        await until(lambda: "late" in queue.worker.iQualified)
        self.assertEqual(await queue.call(calls.echo, 1, series="late"), 1)
        self.assertEqual(await queue.call(calls.echo, 2, series="gpu"), 2)

    async def test_failsLater(self):
        """
        Where one fails on a node that comes later, calls fail with its error until it
        succeeds.
        """
        queue = await self.connect()
        refused, mark = self.path(), self.path()
        Path(refused).touch()
        await queue.update(nodework.putUnless, "there", refused, mark)
        Path(refused).write_text("all")
        self.addNode("late", resources={"late": 1})
        await until(lambda: "late" in queue.worker.iQualified)
        d = queue.call(calls.echo, 1, series="late")
        error = await self.assertFailure(d, ValueError)
        self.assertIn("refused here", str(error))
        self.assertEqual(await queue.call(calls.echo, 1, series="gpu"), 1)
        Path(refused).write_text("")
        self.assertEqual(await queue.call(calls.echo, 2, series="late"), 2)

    async def test_series(self):
        """
        One of a series runs once the cluster offers that, and not if it does not.
        """
        queue = await self.connect()
        mark = self.path()
        self.assertEqual(await queue.update(calls.note, mark, "x", series="other"), [])
        (results,) = await queue.update(calls.note, mark, "gpu", series="gpu")
        self.assertEqual(Path(mark).read_text().split(), ["gpu"] * len(results))
        self.addNode("other", resources={"other": 1})
        await until(lambda: "other" in queue.worker.iQualified)
        await queue.call(calls.echo, 1, series="other")
        self.assertIn("x", Path(mark).read_text().split())

    async def test_own(self):
        """
        What one client's updates are, is not what another's calls wait for; and they
        are gone with their client.
        """
        queue, other = await self.connect(), await self.connect()
        mark = self.path()
        await queue.update(calls.note, mark, "mine")
        await other.update(calls.note, mark, "other")
        await other.shutdown()
        self.addNode("late", resources={"late": 1})
        await until(lambda: "late" in queue.worker.iQualified)
        await queue.call(calls.note, mark, "call", series="late")
        marks = Path(mark).read_text().split()
        self.assertEqual(marks[4:], ["mine", "call"])

    async def test_unpicklable(self):
        """
        One that cannot be pickled fails, and holds up no call.
        """
        queue = await self.connect()
        d = queue.update(calls.echo, deeds.Closed())
        await self.assertFailure(d, Exception)
        self.assertEqual(await queue.call(calls.echo, 1), 1)
