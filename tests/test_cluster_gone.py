"""
Nodes of a cluster that are gone while an iterator is read from them, while they
retire, and before the result of a call was fetched.
"""

import os
import signal

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from asynqueue.errors import WorkerDied
from tests import calls
from tests.deaths_case import DeathsCase, outcome, reactor, until
from tests.test_clusters import withClient

SIZE = 200_000_000
"""
How many bytes a result has that takes a while to fetch.
"""


@implementer(IConsumer)
class Items:
    """
    A consumer that keeps what it is given.
    """

    def __init__(self):
        self.items = []
        self.producer = None

    def registerProducer(self, producer, streaming):
        self.producer = producer

    def unregisterProducer(self):
        self.producer = None

    def write(self, item):
        self.items.append(item)


def item(deferator):
    """
    @return: A Deferred of the next item, which is there as soon as it is known; or of
        an error.
    """
    return outcome(Deferred.fromCoroutine(deferator.__anext__()))


async def retire(client, address):
    await client.retire_workers([address])


class IteratorsTests(DeathsCase):
    def nodeOf(self, pid):
        (node,) = [node for node in self.cluster.nodes if node.pid == pid]
        return node

    def assertTold(self, error, node):
        self.assertIsInstance(error, WorkerDied)
        self.assertIn(node.address, str(error))
        self.assertIn("tests.calls.stations(10", str(error))

    async def take(self, deferator, n):
        """
        @return: So many items, in a list.
        """
        return [await item(deferator) for _ in range(n)]

    async def test_read(self):
        """What is read is the items that there were, and then the error."""
        (node,) = await self.started(1, resources={"gone": 1})
        await self.cluster.addNode(resources={"left": 1})
        queue = await self.queue()
        opened, waiting, path = [], [], self.path("call")
        for series in ("gone", "left"):
            d = queue.call(calls.stations, 10, path, series=series)
            deferator = await outcome(d)
            self.assertEqual((await self.take(deferator, 11))[1:], list(range(10)))
            opened.append(deferator)
            waiting.append(item(deferator))
        await self.kill(node)
        self.assertTold(await waiting[0], node)
        self.assertIsInstance(await item(opened[0]), StopAsyncIteration)
        self.let(path)
        rest = [await waiting[1], *await self.take(opened[1], 9)]
        self.assertEqual(rest, list(range(10)))
        self.assertEqual(await outcome(queue.call(calls.echo, 1)), 1)

    async def test_unread(self):
        """So it is if they were read later, or if nobody has waited for more."""
        (node,) = await self.started(1)
        queue = await self.queue()
        path = self.path("never")
        deferator = await outcome(queue.call(calls.stations, 10, path))
        self.assertEqual(await self.take(deferator, 3), [node.pid, 0, 1])
        await self.kill(node)
        await self.cluster.removed(node)
        found, began = [], reactor.seconds()
        while not found or not isinstance(found[-1], Exception):
            found += await self.take(deferator, 1)
        # Nobody has tried to reach it.
        self.assertLess(reactor.seconds() - began, 2)
        *items, error = found
        self.assertEqual(items, list(range(2, 2 + len(items))))
        self.assertTold(error, node)

    async def test_consumer(self):
        """Who is written to is, and is told then."""
        (node,) = await self.started(1)
        queue = await self.queue()
        consumer = Items()
        d = outcome(queue.call(calls.stations, 10, self.path("n"), consumer=consumer))
        await until(lambda: len(consumer.items) == 11, "writing")
        await self.kill(node)
        self.assertTold(await d, node)
        self.assertEqual(consumer.items, [node.pid, *range(10)])
        self.assertIsNone(consumer.producer)

    async def test_closed(self):
        """To be done with one when its node is gone is no error."""
        (node,) = await self.started(1)
        queue = await self.queue(timeout=None)
        deferator = await outcome(queue.call(calls.stations, 10, self.path("n")))
        self.assertEqual(await self.take(deferator, 1), [node.pid])
        os.kill(node.pid, signal.SIGSTOP)
        deferator.stop()
        await self.kill(node)
        self.assertIsNone(await outcome(queue.shutdown()))


class RetiredTests(DeathsCase):
    async def test_retired(self):
        """A call whose node retires is not made twice."""
        await self.started(2)
        queue = await self.queue()
        path = self.path("call")
        d = outcome(queue.call(calls.stand, path, retries=0))
        node = await self.nodeWith(path)
        await outcome(withClient(self.cluster.address, retire, node.address))
        self.let(path)
        result = await d
        if result != path:
            self.assertIsInstance(result, WorkerDied)
            self.assertIn(node.address, str(result))
        self.assertEqual(await outcome(queue.call(calls.echo, 1)), 1)
        self.assertEqual(len(self.begun(path)), 1)

    async def test_ended(self):
        """So it is if the node is told to end."""
        await self.started(2)
        queue = await self.queue()
        path = self.path("call")
        d = outcome(queue.call(calls.stand, path, retries=0))
        node = await self.nodeWith(path)
        node.kill(signal.SIGTERM)
        await self.cluster.removed(node)
        self.let(path)
        result = await d
        if result != path:
            self.assertIsInstance(result, WorkerDied)
            self.assertIn(node.address, str(result))
        await node.hasEnded()
        self.assertEqual(await outcome(queue.call(calls.echo, 1)), 1)
        self.assertEqual(len(self.begun(path)), 1)


class UnfetchedTests(DeathsCase):
    async def test_result(self):
        """A call whose result was lost with its node was made, and counts."""
        await self.started(2)
        queue = await self.queue()
        for retries in (0, 1):
            path = self.path(f"call{retries}")
            d = outcome(queue.call(calls.heavy, path, SIZE, retries=retries))
            node = await self.nodeWith(path)
            self.let(path)
            await until(
                lambda path=path: os.path.exists(path + calls.OVER), "making it"
            )
            await self.kill(node)
            result = await d
            if retries:
                self.assertEqual(len(result), SIZE)
                self.assertEqual(len(self.begun(path)), 2)
            else:
                self.assertIsInstance(result, WorkerDied)
                self.assertIn(node.address, str(result))
                self.assertEqual(len(self.begun(path)), 1)
            await self.cluster.addNode()
