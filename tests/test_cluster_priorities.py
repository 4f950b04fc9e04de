"""
The order in which a real cluster makes calls, and how many of them are there at a time.
"""

from pathlib import Path

from tests import calls, nodework
from tests.fleets import FleetCase, outcomes, until


class PrioritiesTests(FleetCase):
    """
    Tests with one node with one thread, which is kept busy while calls are made.
    """

    async def held(self, prefetch):
        """
        @return: A queue whose node is busy, and a callable that ends that.
        """
        queue = await self.connect(prefetch=prefetch)
        path = self.path()
        d = queue.call(calls.hold, path)
        await until(lambda: Path(path + calls.BEGUN).exists())

        async def release():
            Path(path).touch()
            await d

        return queue, release

    async def onNode(self, queue):
        """
        @return: How many calls the node has.
        """
        connection = queue.worker._life._connection
        client = connection._link._client
        (n,) = (await connection._thread.run(client.run, nodework.tasksOn)).values()
        return n

    async def order(self, prefetch, *keywords):
        """
        @return: In which order calls with these keywords are made.
        """
        queue, release = await self.held(prefetch)
        mark = self.path()
        ds = []
        for k, kw in enumerate(keywords):
            ds.append(queue.call(calls.note, mark, k, **kw))
            # So that each is on its way before the next.
            await queue.worker._life._connection._thread.run(lambda: None)
        while await self.onNode(queue) < len(queue.worker.tasks):
            pass
        await release()
        await outcomes(ds)
        return [int(word) for word in Path(mark).read_text().split()]

    async def test_doNext(self):
        """
        It overtakes those that wait at the cluster, and the latest does not overtake
        the one before; doLast comes last.
        """
        found = await self.order(
            9, {"doLast": True}, {}, {}, {"doNext": True}, {"doNext": True}, {}
        )
        self.assertEqual(found, [3, 4, 1, 2, 5, 0])

    async def test_doNextWaits(self):
        """
        Without room at the cluster it goes before all that wait in the queue.
        """
        found = await self.order(1, {}, {}, {}, {"doNext": True}, {"doLast": True})
        self.assertEqual(found, [0, 3, 1, 2, 4])

    async def test_niceness(self):
        """
        Those that wait at the cluster are made in the order of their niceness, and
        equals in that in which they were made.
        """
        nice = [0, 10, -20, 20, 0, -5, 10]
        found = await self.order(9, *[{"niceness": n} for n in nice])
        self.assertEqual(found, [2, 5, 0, 4, 1, 6, 3])

    async def test_together(self):
        """
        So are those that are sent together.
        """
        queue, release = await self.held(29)
        mark = self.path()
        ds = [queue.call(calls.note, mark, k) for k in range(25)]
        while await self.onNode(queue) < len(queue.worker.tasks):
            pass
        await release()
        await outcomes(ds)
        found = [int(word) for word in Path(mark).read_text().split()]
        self.assertEqual(found, list(range(25)))

    async def test_outstanding(self):
        """
        No more are at the cluster than it has threads, times one more than prefetch;
        the others wait in the queue. So it is with what is not short, or goes alone.
        """
        for prefetch in (0, 1, 4):
            queue, release = await self.held(prefetch)
            ds = [queue.call(calls.echo, k, retries=0) for k in range(20)]
            most = 0
            while not ds[-1].called:
                most = max(most, len(queue.worker.tasks))
                if len(queue.q) + len(queue.worker.tasks) == 21:
                    await release()
                await until(lambda: True)
                await queue.worker._life._connection._thread.run(lambda: None)
            self.assertEqual(await outcomes(ds), list(range(20)))
            self.assertEqual(most, 1 + prefetch)
            await queue.shutdown()
