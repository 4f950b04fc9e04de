"""
Short calls at a real cluster, which go together.
"""

from itertools import chain
from pathlib import Path

from asynqueue.clusterbundles import Bundler
from asynqueue.clusterfigures import MOST_TOGETHER
from tests import calls
from tests.deaths_case import DeathsCase, outcome, outcomes

MANY = 64


class BundlesTests(DeathsCase):
    """
    @ivar largest: Of how many calls the largest bundle was.
    """

    def setUp(self):
        super().setUp()
        self.largest = 0
        bundle = Bundler.bundle

        def bundleAndTell(bundler, *args):
            bundles = bundle(bundler, *args)
            sizes = map(len, chain(*bundles.values()))
            self.largest = max(self.largest, *sizes)
            return bundles

        self.patch(Bundler, "bundle", bundleAndTell)

    async def prepared(self, nodes):
        """
        @return: A queue for which calls of C{stand} are known to be short, and that has
            many of them at the cluster.
        """
        await self.started(nodes)
        queue = await self.queue(prefetch=MANY // nodes - 1)
        path = self.path("first")
        self.let(path)
        for _ in range(20):
            await outcome(queue.call(calls.stand, path))
        return queue

    def stood(self, queue):
        """
        @return: The paths of many calls that have all they wait for, and the Deferreds
            of these.
        """
        paths = [self.path(f"{n}") for n in range(MANY - 1)]
        for path in paths:
            self.let(path)
        return paths, [queue.call(calls.stand, path) for path in paths]

    async def test_each(self):
        """Each is made once, and comes to a result or an error of its own."""
        queue = await self.prepared(2)
        mark = self.path("mark")
        outcomes_ = []
        for first in (0, MANY, 2 * MANY):
            some = range(first, first + MANY)
            noted = [queue.call(calls.note, mark, n) for n in some]
            failed = [queue.call(calls.boom, f"{n}") for n in some]
            self.assertEqual(await outcomes(noted), list(some))
            outcomes_ += [str(error) for error in await outcomes(failed)]
        self.assertGreater(self.largest, 1)
        lines = Path(mark).read_text().split()
        self.assertEqual(sorted(map(int, lines)), list(range(3 * MANY)))
        for n, text in enumerate(outcomes_):
            self.assertIn(f"{n}", text)

    async def test_unasked(self):
        """They do so in a queue that nothing was said of them to."""
        await self.started(1)
        queue = await self.queue()
        for _ in range(5):
            paths, ds = self.stood(queue)
            self.assertEqual(await outcomes(ds), paths)
        self.assertTrue(1 < self.largest <= MOST_TOGETHER)

    async def test_long(self):
        """One that takes long after all does not hold up those that came with it."""
        queue = await self.prepared(2)
        long = self.path("long")
        d = outcome(queue.call(calls.stand, long))
        paths, ds = self.stood(queue)
        self.assertEqual(await outcomes(ds), paths)
        self.assertFalse(d.called)
        self.let(long)
        self.assertEqual(await d, long)
        self.assertEqual(self.largest, MANY // 4)
        self.assertEqual({len(self.begun(path)) for path in (long, *paths)}, {1})

    async def test_killed(self):
        """When their node dies all are made by another one."""
        queue = await self.prepared(2)
        long = self.path("long")
        d = queue.call(calls.stand, long)
        paths, ds = self.stood(queue)
        await self.kill(await self.nodeWith(long))
        await self.nodeWith(long, 2)
        self.let(long)
        self.assertEqual(await outcomes([d, *ds]), [long, *paths])
        self.assertGreater(self.largest, 1)
        self.assertLessEqual(max(len(self.begun(path)) for path in paths), 2)
