"""
Iterators that live on a node of a cluster, and how their items come here.
"""

import gc
from pathlib import Path
from typing import Any

import numpy
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from asynqueue.readings import BUDGET
from tests import calls, nodework
from tests.fleets import FleetCase, until


@implementer(IConsumer)
class Keeping:
    """
    A consumer that keeps what is written to it.
    """

    def __init__(self):
        self.items = []

    def registerProducer(self, producer, streaming):
        self.producer = producer

    def unregisterProducer(self):
        self.producer = None

    def write(self, item):
        self.items.append(item)


async def items(deferator):
    """
    @return: A list of all that it gives.
    """
    return [item async for item in deferator]


class IteratorsTests(FleetCase):
    """
    Tests with two nodes, one with two threads.
    """

    nodes = ({"name": "one"}, {"name": "two", "nthreads": 2})

    def done(self, path):
        """
        @return: How many items a generator has begun, and whether it is closed.
        """
        marks = Path(path).read_bytes() if Path(path).exists() else b""
        return marks.count(b"."), b"c" in marks

    async def test_chunks(self):
        """
        Items come many at a time, in order and none twice: 20,000 take few requests.
        """
        queue = await self.connect()
        asked = []
        connection = queue.worker._life._connection
        inquire = connection.inquire

        def counted(*args):
            asked.append(args)
            return inquire(*args)

        self.patch(connection, "inquire", counted)
        deferator = await queue.call(calls.count, 20_000)
        self.assertEqual(await items(deferator), list(range(20_000)))
        self.assertLess(len(asked), 200)

    async def test_slow(self):
        """
        An iterator that is slower than a request waits for its reader: it is one item
        ahead, for which a request was made, and one more that it has begun.
        """
        queue = await self.connect()
        path = self.path()
        deferator = await queue.call(nodework.marking, path, 1000, BUDGET * 1.5)
        for _ in range(5):
            await deferator.__anext__()
        await queue.call(nodework.stay, BUDGET * 10)
        taken, _ = self.done(path)
        self.assertLessEqual(taken, 5 + 2)
        deferator.stop()
        await until(lambda: self.done(path)[1])

    async def test_ahead(self):
        """
        An iterator that is quick runs ahead of a reader who stops, but by no more than
        he has read, and what is sent with that.
        """
        queue = await self.connect()
        path = self.path()
        deferator = await queue.call(nodework.marking, path, 100_000)
        for _ in range(read := 311):
            await deferator.__anext__()
        before = -1
        while before != self.done(path)[0]:
            before = self.done(path)[0]
            await queue.call(nodework.stay, 0.1)
        self.assertLessEqual(before, 2 * read + 2)
        self.assertFalse(self.done(path)[1])
        deferator.stop()
        await until(lambda: self.done(path)[1])

    async def test_large(self):
        """
        50 items of 1 MB each come whole, with no more than a few of them ahead of a
        reader who stops.
        """
        queue = await self.connect()
        path = self.path()
        deferator = await queue.call(nodework.marking, path, 50, 0.0, 1 << 20)
        for _ in range(20):
            self.assertEqual(await deferator.__anext__(), bytes(1 << 20))
        await queue.call(nodework.stay, 0.1)
        self.assertLessEqual(self.done(path)[0], 20 + 3)
        rest = await items(deferator)
        self.assertEqual([len(item) for item in rest], [1 << 20] * 30)

    async def test_arrays(self):
        """
        Arrays come whole, each one that can be written to.
        """
        queue = await self.connect()
        found = await items(await queue.call(nodework.grids, 5))
        for i, grid in enumerate(found):
            self.assertEqual(grid.shape, (1000, 1000))
            self.assertTrue(numpy.all(grid == i))
        self.assertEqual(len(found), 5)

    async def test_stop(self):
        """
        An iterator that is stopped is closed on its node, and gives nothing more.
        """
        queue = await self.connect()
        path = self.path()
        deferator = await queue.call(calls.tidy, path)
        self.assertEqual(await deferator.__anext__(), 0)
        deferator.stop()
        await until(lambda: Path(path).exists())
        self.assertEqual(await items(deferator), [])

    async def test_letGo(self):
        """
        An iterator that nobody has any more is closed on its node.
        """
        queue = await self.connect()
        path = self.path()
        deferator = await queue.call(calls.tidy, path)
        await deferator.__anext__()
        del deferator
        gc.collect()
        await until(lambda: Path(path).exists())

    async def test_error(self):
        """
        What an iterator raises comes after the items before it, with the traceback
        from its node.
        """
        queue = await self.connect()
        found = []
        error: Any = None
        try:
            async for item in await queue.call(calls.brittle, 100):
                found.append(item)
        except ValueError as e:
            error = e
        self.assertEqual(found, list(range(100)))
        self.assertEqual(str(error), "broke after 100")
        self.assertIn("in brittle", str(error.__cause__))

    async def test_firstError(self):
        """
        One that raises before its first item fails the call.
        """
        queue = await self.connect()
        await self.assertFailure(queue.call(calls.brittle, 0), ValueError)
        self.assertEqual(await items(await queue.call(calls.count, 0)), [])

    async def test_consumer(self):
        """
        A consumer gets all items, and the call fires with it.
        """
        queue = await self.connect()
        consumer = Keeping()
        result = await queue.call(calls.count, 300, consumer=consumer)
        self.assertIs(result, consumer)
        self.assertEqual(consumer.items, list(range(300)))

    async def test_together(self):
        """
        Two iterators of one node are read at once, even one in the middle of the
        other; and calls are made there meanwhile.
        """
        queue = await self.connect(prefetch=0)
        path = self.path()
        found = []
        async for pid in await queue.call(nodework.pids, 4):
            other = None
            while other is None:
                candidate = await queue.call(nodework.pids, 3)
                if await candidate.__anext__() == pid:
                    other = candidate
            found += [pid, *await items(other)]
        self.assertEqual(len(found), 4 * 3)
        self.assertEqual(len(set(found)), 1)
        slow = await queue.call(nodework.marking, path, 3, 0.2)
        d = queue.call(calls.echo, 1)
        await slow.__anext__()
        self.assertEqual(await d, 1)
        slow.stop()

    async def test_raw(self):
        """
        With raw=True an iterator comes back as the value that it is, if it can.
        """
        queue = await self.connect()
        result = await queue.call(calls.numbers, 3, raw=True)
        self.assertEqual(list(result), [0, 1, 2])

    async def test_unpicklableItem(self):
        """
        An item that cannot be pickled is told of, after those before it.
        """
        queue = await self.connect()
        found = []
        try:
            async for item in await queue.call(nodework.withOne, 5):
                found.append(item)
        except Exception as e:
            error = e
        self.assertEqual(found, list(range(5)))
        self.assertIn("pickle", str(error))

    async def test_shutdown(self):
        """
        One that is open and not read when the queue is shut down is closed on its
        node; one that is read comes to its end.
        """
        queue = await self.connect()
        path = self.path()
        await queue.call(calls.tidy, path)
        read = await queue.call(nodework.marking, self.path(), 30, 0.01)
        down = queue.shutdown()
        self.assertEqual(len(await items(read)), 30)
        await down
        self.assertTrue(Path(path).exists())
