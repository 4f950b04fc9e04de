"""
Many calls, and a cluster of which most does not live to see their ends.
"""

from asynqueue.errors import WorkerDied
from tests import calls
from tests.deaths_case import DeathsCase, outcomes, until

MANY = 200


class SurvivorsTests(DeathsCase):
    async def test_many(self):
        """Each comes to its result or says why not, and none begins once too often."""
        one, other, _ = await self.started(3)
        queue = await self.queue()
        paths = [self.path(f"{i}") for i in range(MANY)]
        retries = [i % 3 for i in range(MANY)]
        ds = [
            queue.call(calls.dwell, path, 0.02, retries=most)
            for path, most in zip(paths, retries, strict=True)
        ]
        for node, done in ((one, 20), (other, 70)):
            await until(lambda done=done: sum(d.called for d in ds) >= done, "working")
            await self.kill(node)
        results = await outcomes(ds)
        failed = [r for path, r in zip(paths, results, strict=True) if r != path]
        for error in failed:
            self.assertIsInstance(error, WorkerDied)
        # One on each of the nodes, and those whose results were not fetched yet.
        self.assertLessEqual(len(failed), 10)
        begun = [len(self.begun(path)) for path in paths]
        for most in range(3):
            self.assertLessEqual(max(begun[most::3]), 1 + most)
