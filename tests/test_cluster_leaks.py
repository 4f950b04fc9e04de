"""
That cluster workers that were started and stopped again and again leave nothing.
"""

import gc

from asynqueue.cluster import ClusterQueue
from tests import calls, nodework
from tests.fleets import FleetCase
from tests.leftovers import census, makeCalls, makeIterators, more, numbers, settled


class LeaksTests(FleetCase):
    nodes = ({"name": "one"}, {"name": "two"})

    timeout = 60.0

    async def leavesNothing(self, n, *args, **kw):
        """
        Uses queues one after the other, and sees to it that there is no more of
        anything when that has been done a number of times.
        """
        await self.use(*args, **kw)
        gc.collect()
        before = numbers(census())
        for _ in range(n):
            await self.use(*args, **kw)
        gc.collect()
        after = await settled(before, numbers)
        self.assertEqual(more(before, numbers(after)), [], after)

    async def use(self, *args, **kw):
        queue = ClusterQueue(*args, **kw)
        try:
            await queue.call(calls.echo, 1)
            await queue.update(calls.echo, 2)
            await makeCalls(queue, 5)
            await makeIterators(queue, 2)
        finally:
            await queue.shutdown()

    async def there(self, queue):
        """
        @return: What the scheduler and the nodes have for their clients.
        """
        connection = queue.worker._life._connection
        client, run = connection._link._client, connection._thread.run
        return [
            await run(client.run_on_scheduler, nodework.havingScheduler),
            await run(client.run, nodework.havingNode),
        ]

    async def test_elsewhere(self):
        """
        12 connections to one scheduler leave nothing here, nor with the scheduler and
        the nodes.
        """
        queue = await self.connect()
        before = await self.there(queue)
        await self.leavesNothing(12, self.fleet.address)
        self.assertEqual(await self.there(queue), before)

    async def test_threads(self):
        """
        30 clusters in threads leave nothing.
        """
        await self.leavesNothing(30, processes=False, nodes=2)

    async def test_processes(self):
        """
        Clusters of processes leave nothing.
        """
        await self.leavesNothing(1, nodes=1)
