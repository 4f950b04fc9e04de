"""
Nodes of a cluster that are killed in the middle of calls.
"""

import os
import signal

from twisted.internet.defer import CancelledError

from asynqueue.errors import WorkerDied
from tests import calls
from tests.deaths_case import DeathsCase, outcome, outcomes


class KilledTests(DeathsCase):
    def assertDied(self, error, *nodes):
        """
        Asserts that an error tells of a call that died on some nodes.
        """
        self.assertIsInstance(error, WorkerDied)
        for text in ("tests.calls.stand(", *nodes):
            self.assertIn(text, str(error))

    async def test_once(self):
        """A call that must not be repeated dies with its node."""
        await self.started(2)
        queue = await self.queue()
        path = self.path("call")
        d = outcome(queue.call(calls.stand, path, retries=0))
        address = await self.kill(await self.nodeWith(path))
        self.assertDied(await d, address)
        self.assertEqual(await outcome(queue.call(calls.echo, 1)), 1)
        self.assertEqual(len(self.begun(path)), 1)

    async def test_again(self):
        """One that may be is made again on another node."""
        await self.started(2)
        queue = await self.queue()
        path = self.path("call")
        d = outcome(queue.call(calls.stand, path, retries=1))
        first = await self.nodeWith(path)
        await self.kill(first)
        self.assertIsNot(await self.nodeWith(path, 2), first)
        self.let(path)
        self.assertEqual(await d, path)
        self.assertEqual(len(self.begun(path)), 2)

    async def test_twice(self):
        """If that node dies too, the call does, and says where it has begun."""
        await self.started(3)
        queue = await self.queue()
        path = self.path("call")
        d = outcome(queue.call(calls.stand, path, retries=1))
        nodes = [await self.kill(await self.nodeWith(path, nth)) for nth in (1, 2)]
        self.assertDied(await d, *nodes)
        self.assertEqual(await outcome(queue.call(calls.echo, 1)), 1)
        self.assertEqual(len(self.begun(path)), 2)

    async def test_behind(self):
        """Calls that wait on the node behind it are made elsewhere, and not charged."""
        await self.started(1)
        queue = await self.queue(prefetch=5)
        path, others = self.path("call"), [self.path(f"{i}") for i in range(5)]
        for other in others:
            self.let(other)
        d = outcome(queue.call(calls.stand, path, retries=0))
        node = await self.nodeWith(path)
        behind = [queue.call(calls.stand, other, retries=0) for other in others]
        await self.cluster.addNode()
        await self.kill(node)
        self.assertDied(await d, node.address)
        self.assertEqual(await outcomes(behind), others)
        self.assertEqual([len(self.begun(other)) for other in others], [1] * 5)

    async def test_onlyNode(self):
        """It does so at once, too, if nobody is left who could make it."""
        (node,) = await self.started(1)
        queue = await self.queue()
        path = self.path("call")
        d = outcome(queue.call(calls.stand, path, retries=0))
        await self.nodeWith(path)
        await self.kill(node)
        self.assertDied(await d, node.address)

    async def test_nextNode(self):
        """One that may be repeated then waits for another node."""
        (node,) = await self.started(1)
        queue = await self.queue()
        path = self.path("call")
        d = outcome(queue.call(calls.stand, path, retries=1))
        await self.nodeWith(path)
        await self.kill(node)
        await self.cluster.removed(node)
        self.assertFalse(d.called)
        other = await self.cluster.addNode()
        self.assertIs(await self.nodeWith(path, 2), other)
        self.let(path)
        self.assertEqual(await d, path)
        self.assertEqual(len(self.begun(path)), 2)

    async def test_stolen(self):
        """It counts, too, if the cluster has moved it from one line to another."""
        await self.started(2)
        queue = await self.queue(prefetch=0)
        path, other = self.path("call"), self.path("other")
        d = outcome(queue.call(calls.stand, path, retries=1))
        held = outcome(queue.call(calls.stand, other, retries=0))
        first = await self.nodeWith(path)
        await self.nodeWith(other)
        await self.kill(first)
        # Now it waits behind the other one, until there is a node with nothing to do.
        await self.cluster.removed(first)
        await self.cluster.addNode()
        second = await self.nodeWith(path, 2)
        await self.kill(second)
        self.assertDied(await d, first.address, second.address)
        self.let(other)
        self.assertEqual(await held, other)
        self.assertEqual(await outcome(queue.call(calls.echo, 1)), 1)
        self.assertEqual(len(self.begun(path)), 2)

    async def test_cancelled(self):
        """One that was cancelled, and whose only node is gone, holds up nothing."""
        (node,) = await self.started(1)
        queue = await self.queue(timeout=None)
        path = self.path("call")
        d = queue.call(calls.stand, path, retries=1)
        await self.nodeWith(path)
        os.kill(node.pid, signal.SIGSTOP)
        d.cancel()
        await self.assertFailure(d, CancelledError)
        await self.kill(node)
        self.assertIsNone(await outcome(queue.shutdown()))
