"""
A node of a cluster on another machine, and what becomes of its calls when the cable to
it is pulled.
"""

from pathlib import Path

from twisted.trial.unittest import TestCase

from asynqueue.cluster import ClusterQueue
from asynqueue.errors import WorkerDied
from tests import nodework
from tests.clusters import Cluster
from tests.fleets import until
from tests.namespaces import Namespace, whyUnavailable


class CableTests(TestCase):
    skip = whyUnavailable()

    timeout = 60.0

    async def test_cut(self):
        """
        A call that runs there fails, or runs here, as its retries say; those after it
        run here.
        """
        namespace = Namespace()
        self.addCleanup(namespace.remove)
        cluster = Cluster(self.mktemp(), host=namespace.here)
        self.addCleanup(cluster.stop)
        await cluster.startScheduler()
        far = await cluster.addNode(
            nthreads=2, host=namespace.there, prefix=namespace.prefix
        )
        queue = ClusterQueue(cluster.address, trustNetwork=True)
        self.addCleanup(queue.shutdown)
        path, *marks = (str(Path(self.mktemp()).resolve()) for _ in range(3))
        ds = [
            queue.call(nodework.untilThere, path, mark, retries=retries)
            for mark, retries in zip(marks, (0, 1), strict=True)
        ]
        await until(lambda: all(Path(mark).exists() for mark in marks))
        near = await cluster.addNode()
        await until(lambda: len(queue.nodes) == 2)
        namespace.cut()
        error = await self.assertFailure(ds[0], WorkerDied)
        self.assertIn(far.address, str(error))
        Path(path).touch()
        self.assertEqual(await ds[1], near.pid)
        self.assertEqual(await queue.call(nodework.pid), near.pid)
        begun = [Path(mark).read_text().split() for mark in marks]
        self.assertEqual([len(pids) for pids in begun], [1, 2])
