"""
Tests of L{asynqueue.clusternodes}, with nodes that are none.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusternode import Settings
from asynqueue.clusternodes import Nodes

SETTINGS = Settings("token", False, "pickle")


class AskTests(SynchronousTestCase):
    """
    Tests of what is asked of a node that can be reached and does not answer.
    """

    def run_(self, test):
        async def run():
            async def identity(**_):
                return {"workers": {"A": {}, "B": {}}}

            async def answer(**request):
                await asyncio.Event().wait()

            node = SimpleNamespace(identity=identity, asynqueue_inquire_token=answer)
            client: Any = SimpleNamespace(scheduler=node, rpc=lambda address: node)
            nodes = Nodes(client, SETTINGS)
            asked = [asyncio.ensure_future(nodes.ask(n, "inquire")) for n in "AB"]
            for _ in range(20):
                await asyncio.sleep(0)
            await asyncio.wait_for(test(nodes, *asked), 10)

        asyncio.run(run())

    def test_gone(self):
        """It fails as soon as the node is known to be gone, and no other does."""

        async def test(nodes, one, other):
            nodes.forget("A")
            with self.assertRaisesRegex(OSError, "node A is gone"):
                await one
            self.assertFalse(other.done())

        self.run_(test)

    def test_cancelled(self):
        """Who asked may be cancelled, and then is."""

        async def test(nodes, one, other):
            other.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await other
            self.assertFalse(one.done())

        self.run_(test)
