"""
Tests of L{asynqueue.clusterclerk}: how claims pass through a scheduler that is none.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusterclerk import Clerk, Key
from asynqueue.clusternode import ANSWER, GIVEN, Settings

SETTINGS = Settings("token", False, "pickle")


class ClaimTests(SynchronousTestCase):
    """
    Tests of what passes between a node and the client.
    """

    def run_(self, f):
        """
        Runs a coroutine function while a clerk is at its scheduler.
        """

        async def run():
            self.events: list[Any] = []
            self.scheduler: Any = SimpleNamespace(
                handlers={"own": 1},
                stream_handlers={},
                plugins={SETTINGS.name: 1, "own": 2},
                worker_plugins={SETTINGS.name: 1, "own": 2},
                tasks={},
                client_send=self.send,
                unregister_worker_plugin=self.unregister,
            )
            self.clerk = Clerk(SETTINGS, "client")
            await self.clerk.start(self.scheduler)
            await f()

        asyncio.run(run())

    def send(self, client, message):
        self.assertEqual((client, message["topic"]), ("client", SETTINGS.name))
        self.events.append(message["event"][1])

    async def unregister(self, comm, name):
        del self.scheduler.worker_plugins[name]

    async def begin(self):
        """
        @return: What a node's claim comes to, as a task.
        """
        claim = self.scheduler.handlers[SETTINGS.verb("claim")]
        task = asyncio.ensure_future(claim(serial=7, node="A"))
        await asyncio.sleep(0)
        self.assertFalse(task.done())
        return task

    def grant(self, serial, node, granted):
        grant = self.scheduler.handlers[SETTINGS.verb("grant")]
        grant(serial=serial, node=node, granted=granted)

    def test_claim(self):
        """The client is asked, and its word is told to the node."""

        async def test():
            for granted, other in (([1, 2], []), ([], [1])):
                claim = await self.begin()
                self.assertEqual(self.events[-1], ("claim", 7, "A"))
                self.grant(7, "B", other)
                self.grant(8, "A", other)
                self.grant(7, "A", granted)
                self.grant(7, "A", other)
                self.assertEqual(await claim, granted)
            self.grant(7, "A", [1])

        self.run_(test)

    def test_nodeGone(self):
        """A node that is gone is told no, others wait."""

        async def test():
            claim = await self.begin()
            self.clerk.remove_worker(self.scheduler, "B")
            await asyncio.sleep(0)
            self.assertFalse(claim.done())
            self.clerk.remove_worker(self.scheduler, "A")
            self.assertEqual(await claim, [])

        self.run_(test)

    def test_clientGone(self):
        """When the client is gone nothing may begin, and nothing is left."""

        async def test():
            claim = await self.begin()
            self.clerk.remove_client(self.scheduler, "another")
            await asyncio.sleep(0)
            self.assertFalse(claim.done())
            self.clerk.remove_client(self.scheduler, "client")
            self.assertEqual(await claim, [])
            await asyncio.sleep(0)
            left = (self.scheduler.plugins, self.scheduler.worker_plugins)
            self.assertEqual(left, ({"own": 2}, {"own": 2}))
            self.assertEqual(self.scheduler.handlers, {"own": 1})

        self.run_(test)

    def test_answer(self):
        """
        A node's answer is sent on to the client. It may come when that is gone, and the
        node keeps its connection.
        """

        async def test():
            answered = self.scheduler.stream_handlers[ANSWER]
            answers = [(7, [b"A", b"it"]), (8, None)]
            told = {"name": SETTINGS.name, "serial": 3, "answers": answers}
            self.scheduler.plugins[SETTINGS.name] = self.clerk
            answered(**told, worker="A")
            self.assertEqual(self.events, [("answers", 3, answers)])
            await self.clerk.leave()
            self.scheduler.stream_handlers[ANSWER](**told, worker="A")
            self.assertEqual(len(self.events), 1)

        self.run_(test)

    def test_again(self):
        """Of a call that one node was given, each further one is told that."""

        async def test():
            key = tuple(Key("f-1", 0, "token", 1))
            task = self.scheduler.tasks[key] = SimpleNamespace(annotations=None)
            for other in (key[:3], "f", tuple(Key("f-1", 0, "another", 1))):
                self.clerk.transition(other, "waiting", "processing")
            self.clerk.transition(key, "released", "waiting")
            self.assertIsNone(task.annotations)
            self.clerk.transition(key, "waiting", "processing")
            self.assertEqual(task.annotations, {GIVEN: True})

        self.run_(test)
