"""
Many calls, and a cluster of which most does not live to see their ends.
"""

from asynqueue.errors import WorkerDied
from tests import calls
from tests.deaths_case import DeathsCase, outcomes, until


class SurvivorsTests(DeathsCase):
    async def survive(self, many, seconds, prefetch):
        """
        Has calls made that take some time while two of three nodes are killed, and
        looks at what became of them.
        """
        one, other, _ = await self.started(3)
        queue = await self.queue(prefetch=prefetch)
        paths = [self.path(f"{i}") for i in range(many)]
        retries = [i % 3 for i in range(many)]
        ds = [
            queue.call(calls.dwell, path, seconds, retries=most)
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

    async def test_many(self):
        """Each comes to its result or says why not, and none begins once too often."""
        await self.survive(200, 0.02, 1)

    async def test_short(self):
        """So do those that are short, of which some go together."""
        await self.survive(1000, 0.0, 20)
