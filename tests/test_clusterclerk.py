"""
What a cluster's scheduler does for a client, stepped.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusterclerk import Clerk, Key, isKey
from asynqueue.clusternode import Settings

SETTINGS = Settings("token", False, "pickle")


class FakeScheduler(SimpleNamespace):
    """
    I am a scheduler, as far as a clerk needs one.

    @ivar cancelled: The keys that were cancelled.
    """

    def __init__(self):
        super().__init__(handlers={}, plugins={}, tasks={})
        self.worker_plugins: dict[str, bytes] = {}
        self.stream_handlers: dict[str, Any] = {}
        self.cancelled: list[Any] = []

    def stimulus_cancel(self, keys, client, force, reason, msg):
        self.cancelled += keys


def bundle(serial):
    return tuple(Key(f"call-{serial}", 0, "token", serial))


class ClerkTests(SynchronousTestCase):
    """
    Tests of how a call is taken back.
    """

    def run_(self, f):
        """
        Runs a coroutine function with a clerk that has come to a scheduler.
        """

        async def run():
            self.scheduler = FakeScheduler()
            clerk: Any = Clerk(SETTINGS, "client")
            await clerk.start(self.scheduler)
            return await f(clerk)

        return asyncio.run(run())

    def come(self, clerk, key, node=None):
        """
        Has a bundle come to the scheduler, which gives it to a node or to none.
        """
        on = None if node is None else SimpleNamespace(address=node)
        state = "processing" if node else "queued"
        self.scheduler.tasks[key] = SimpleNamespace(
            processing_on=on, annotations={}, state=state
        )
        clerk.transition(key, "released", state)

    def test_waiting(self):
        """One that no node has is cancelled at the scheduler, at once."""
        key = bundle(1)

        async def step(clerk):
            self.come(clerk, key)
            self.assertIsNone(await clerk.withdraw(list(key)))

        self.run_(step)
        self.assertEqual(self.scheduler.cancelled, [key])

    def test_early(self):
        """A request that comes before its call waits for that."""
        one, other = bundle(1), bundle(2)

        async def step(clerk):
            asked = asyncio.ensure_future(clerk.withdraw(other))
            await asyncio.sleep(0)
            self.come(clerk, one, "tcp://one")
            await asyncio.sleep(0)
            self.assertFalse(asked.done())
            self.come(clerk, other, "tcp://other")
            self.assertEqual(await asked, "tcp://other")

        self.run_(step)
        self.assertEqual(self.scheduler.cancelled, [])

    def test_gone(self):
        """One that is over is nowhere, and a request does not outlast its client."""

        async def step(clerk):
            self.come(clerk, bundle(1))
            del self.scheduler.tasks[bundle(1)]
            self.assertIsNone(await clerk.withdraw(bundle(1)))
            asked = asyncio.ensure_future(clerk.withdraw(bundle(2)))
            await asyncio.sleep(0)
            await clerk.leave()
            self.assertIsNone(await asked)

        self.run_(step)

    def test_over(self):
        """One that is over is left as it is: its answers are still to be fetched."""
        key = bundle(1)

        async def step(clerk):
            for state in ("memory", "erred"):
                self.come(clerk, key)
                self.scheduler.tasks[key].state = state
                self.assertIsNone(await clerk.withdraw(key))

        self.run_(step)
        self.assertEqual(self.scheduler.cancelled, [])

    def test_others(self):
        """Calls of others, and what is none, are not taken for a client's own."""
        self.assertTrue(isKey(bundle(1), "token"))
        for key in ("add-1", ("x", 1), tuple(Key("", 0, "another", 1))):
            self.assertFalse(isKey(key, "token"))
