"""
A cluster that there is not, and what it takes that is not installed.
"""

from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.cluster import ClusterQueue
from asynqueue.errors import StartFailed
from tests.clusters import freePort
from tests.test_import import run

WITHOUT = """
import sys
sys.modules["distributed"] = None
try:
    import {}
except ImportError as error:
    print(error.name, error)
"""


class NobodyTests(TestCase):
    async def test_calls(self):
        """Calls fail with why there is no connection; no error is left over."""
        address = f"tcp://127.0.0.1:{freePort('127.0.0.1')}"
        queue = ClusterQueue(address, connectTimeout=0.2)
        calls = [queue.call(abs, -1), queue.call(abs, -2, retries=0)]
        for d in [*calls, queue.d]:
            error = await self.assertFailure(d, StartFailed)
            self.assertIn(f"no connection to the scheduler at {address}", str(error))
        await queue.shutdown()


class MapTests(TestCase):
    async def test_limit(self):
        """A map has twice as many calls outstanding as the cluster takes."""
        queue = ClusterQueue(nodes=2, processes=False)
        self.addCleanup(queue.shutdown)
        await queue.d
        self.assertEqual(queue.places(), 2 * 2)
        items = iter(range(100))
        results = queue.map(abs, items)
        self.assertEqual(next(items), 2 * queue.places())
        results.stop()


class ExtraTests(SynchronousTestCase):
    def test_told(self):
        """Without dask.distributed it is told how to install it."""
        for module in ("asynqueue.cluster", "asynqueue.clusterworker"):
            said = b" ".join(run(WITHOUT.format(module)))
            self.assertTrue(said.startswith(b"distributed A cluster takes"), said)
            self.assertIn(b"pip install 'asynqueue[cluster]'", said)
