"""
A real cluster that grows and shrinks while calls are made.
"""

import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests import calls, nodework
from tests.fleets import FleetCase, outcomes, until


class GrowthTests(FleetCase):
    nodes = ()

    async def test_none(self):
        """
        With no node at all calls and updates wait; they are made when the first one
        comes. When it has gone there are none again.
        """
        queue = await self.connect()
        ds = [queue.call(calls.echo, k) for k in range(5)]
        self.assertIsNone(queue.worker.memUsage())
        await deferLater(reactor, 0.1)
        self.assertFalse(any(d.called for d in ds))
        self.addNode("first")
        self.assertEqual(await outcomes(ds), list(range(5)))
        await until(lambda: queue.nodes)
        (node,) = queue.nodes
        self.assertEqual((node.name, node.threads), ("first", 1))
        self.fleet.kill("first")
        await until(lambda: not queue.nodes)
        again = queue.call(calls.echo, 6)
        self.addNode("second")
        self.assertEqual(await again, 6)

    async def test_grows(self):
        """
        A node that comes while calls wait is given some at once, and the cluster takes
        more; when it is gone, it takes as many as before.
        """
        self.addNode("small")
        queue = await self.connect(1)
        self.assertEqual(queue.worker.prefetch, 1)
        path, held = self.path(), []
        os.mkdir(path)
        held = [queue.call(calls.hold, os.path.join(path, str(k))) for k in range(8)]

        def begun():
            return len([n for n in os.listdir(path) if n.endswith(calls.BEGUN)])

        await until(lambda: begun() == 1)
        self.assertEqual(len(queue.worker.tasks), 2)
        self.addNode("large", nthreads=2)
        await until(lambda: begun() == 3)
        self.assertEqual(queue.worker.prefetch, 5)
        self.assertEqual(len(queue.worker.tasks), 6)
        for k in range(8):
            Path(path, str(k)).touch()
        await outcomes(held)
        self.fleet.kill("large")
        await until(lambda: len(queue.nodes) == 1)
        self.assertEqual(queue.worker.prefetch, 1)
        ds = [queue.call(nodework.pid, k) for k in range(10)]
        self.assertEqual(len(queue.worker.tasks), 2)
        self.assertEqual(set(await outcomes(ds)), {self.fleet.nodes["small"]})

    async def test_shrinks(self):
        """
        Calls that waited on a node that goes are made elsewhere, once.
        """
        self.addNode("stays")
        self.addNode("goes")
        queue = await self.connect(2, prefetch=4)
        mark = self.path()
        ds = [queue.call(nodework.noteAndStay, mark, k, 0.02) for k in range(20)]
        await until(lambda: Path(mark).exists())
        self.fleet.kill("goes")
        found = await outcomes(ds)
        self.assertEqual(found, list(range(20)))
        begun = Path(mark).read_text().split()
        self.assertLessEqual(len(begun), 20 + 1)
