"""
Tests of L{asynqueue.clusterlink}.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from distributed import KilledWorker
from distributed.client import FutureCancelledError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import background, clusterlink
from asynqueue.clusterlink import LOST
from asynqueue.messages import Status
from tests.linked import StepErrand, StepWatch, answer, linked, settle


class LinkCase(SynchronousTestCase):
    """
    The tests of a link, each in a loop of its own.
    """

    def setUp(self):
        self.patch(clusterlink, "Watch", StepWatch)
        self.patch(clusterlink, "TOGETHER", 0.0)
        self.link: Any = None

    def run_(self, f, restart=False):
        """
        Runs a coroutine function with a link that is open.
        """

        async def run():
            self.link = await linked(restart)
            self.client = self.link._client
            try:
                await f()
            finally:
                await self.link.close()

        asyncio.run(run())

    async def submit(self, *errands):
        """
        Has errands sent.

        @return: What dask was given for the last one: a future.
        """
        for errand in errands:
            self.link.submit(errand)
        await settle()
        return self.future(errands[-1])

    def future(self, errand):
        """
        @return: The last future for an errand.
        """
        return [
            f for key, (f, _) in self.client.sent.items() if key[-1] == errand.number
        ][-1]

    async def claim(self, errand, node):
        """
        Has a node ask whether it may begin.

        @return: C{True} if it may.
        """
        self.client.topics["asynqueue-token"]((0.0, ("claim", errand.number, node)))
        await settle()
        what, number, where, isGranted = self.client.asked[-1]
        self.assertEqual((what, number, where), ("grant", errand.number, node))
        return isGranted

    async def die(self, node, *errands):
        """
        Has the scheduler tell that a node is gone, which had some errands.
        """
        numbers = [errand.number for errand in errands]
        keys = [key for key in self.client.sent if key[-1] in numbers]
        message = {
            "action": "remove-worker",
            "worker": node,
            "processing-tasks": dict.fromkeys(keys),
            "lost-computed-tasks": {},
        }
        self.client.topics["all"]((0.0, message))
        await settle()

    async def cancel(self, errand):
        self.link.cancel(errand.number)
        await settle()


class SendTests(LinkCase):
    def test_answered(self):
        """A call is sent, and its answer told with its node."""

        async def test():
            errand = StepErrand(1, runs=2)
            future = await self.submit(errand)
            future.set_result(answer(1, "A"))
            await settle()
            self.assertEqual(errand.told, [("answered", "A")])

        self.run_(test)

    def test_together(self):
        """Calls of one turn are sent together, those of each resource by themselves."""

        async def test():
            errands = [
                StepErrand(n, resource="gpu" if n == 2 else None) for n in (1, 2, 3)
            ]
            await self.submit(*errands)
            self.assertEqual(self.client.resources, [None, {"gpu": 1}])
            self.assertEqual([key[-1] for key in self.client.sent], [1, 3, 2])

        self.run_(test)

    def test_failed(self):
        """What dask raises for a call is told."""

        async def test():
            errand, error = StepErrand(1), ZeroDivisionError()
            (await self.submit(errand)).set_exception(error)
            await settle()
            self.assertEqual(errand.told, [("failed", error)])

        self.run_(test)

    def test_noAnswer(self):
        """What comes and is no answer is a failure."""

        async def test():
            errand = StepErrand(1)
            (await self.submit(errand)).set_result([b"A", b"nonsense"])
            await settle()
            self.assertEqual([told[0] for told in errand.told], ["failed"])

        self.run_(test)

    def test_asks(self):
        """A node has to ask for a call that may begin once only."""

        async def test():
            await self.submit(StepErrand(1), StepErrand(2, runs=2))
            self.assertEqual(
                [asks for _, asks in self.client.sent.values()], [True, False]
            )

        self.run_(test)


class ClaimTests(LinkCase):
    def test_granted(self):
        """A call begins where it is granted, and that is told."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            self.assertTrue(await self.claim(errand, "A"))
            self.assertEqual(errand.told, [("begun",)])

        self.run_(test)

    def test_secondNode(self):
        """Another node that asks tells that the first is gone: the call has died."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            await self.claim(errand, "A")
            self.assertFalse(await self.claim(errand, "B"))
            self.assertEqual(errand.told, [("begun",), ("died", "A")])

        self.run_(test)

    def test_secondRun(self):
        """It begins anew if it may."""

        async def test():
            errand = StepErrand(1, runs=2, asks=True)
            await self.submit(errand)
            await self.claim(errand, "A")
            self.assertTrue(await self.claim(errand, "B"))
            self.assertEqual(errand.told, [("begun",), ("begun",)])

        self.run_(test)

    def test_unknown(self):
        """Nobody may begin what is not known."""

        async def test():
            self.assertFalse(await self.claim(StepErrand(7), "A"))

        self.run_(test)

    def test_cancelled(self):
        """Nor what is not wanted any more."""

        async def test():
            errand = StepErrand(1)
            self.client.holders[1] = "A"
            self.link.nodes.isBegun = lambda node, number: True
            await self.submit(errand)
            await self.cancel(errand)
            self.assertFalse(await self.claim(errand, "A"))
            self.assertEqual(errand.told, [])

        self.run_(test)


class DeathTests(LinkCase):
    def test_begun(self):
        """A call dies with the node that it has begun on, if it may not again."""

        async def test():
            errand = StepErrand(1)
            future = await self.submit(errand)
            await self.claim(errand, "A")
            await self.die("A", errand)
            self.assertEqual(errand.ends, [("died", "A")])
            self.assertTrue(future.done())

        self.run_(test)

    def test_notBegun(self):
        """One that has not begun goes on elsewhere."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            await self.die("A", errand)
            self.assertTrue(await self.claim(errand, "B"))
            self.assertEqual(errand.ends, [])

        self.run_(test)

    def test_didNotAsk(self):
        """One that did not ask counts as begun."""

        async def test():
            errand = StepErrand(1, runs=2)
            await self.submit(errand)
            await self.die("A", errand)
            self.assertEqual(errand.ends, [])
            await self.claim(errand, "B")
            await self.die("B", errand)
            self.assertEqual(errand.ends, [("died", "A", "B")])

        self.run_(test)

    def test_killedWorker(self):
        """What dask gives up it is given anew, as long as it may begin."""

        async def test():
            errand = StepErrand(1, runs=2)
            future = await self.submit(errand)
            future.set_exception(KilledWorker("key", SimpleNamespace(address="A"), 3))
            await settle()
            self.assertEqual(len(self.client.sent), 2)
            self.assertEqual(errand.told, [])
            self.future(errand).set_result(answer(1, "B"))
            await settle()
            self.assertEqual(errand.told, [("answered", "B")])

        self.run_(test)

    def test_disconnected(self):
        """A node that could not ask has not begun: it is sent anew."""

        async def test():
            errand = StepErrand(1)
            future = await self.submit(errand)
            future.set_result(answer(1, "A", Status.DISCONNECTED))
            await settle()
            self.assertEqual((len(self.client.sent), errand.told), (2, []))

        self.run_(test)

    def test_cancelledThere(self):
        """What others cancel may have begun."""

        async def test():
            once, twice = StepErrand(1, asks=False), StepErrand(2, runs=2)
            await self.submit(once, twice)
            for errand in (once, twice):
                error = FutureCancelledError("key", "somebody did")
                self.future(errand).set_exception(error)
            await settle()
            self.assertEqual([told[0] for told in once.told], ["died"])
            self.assertEqual((len(self.client.sent), twice.told), (3, []))

        self.run_(test)

    def test_listener(self):
        """Whoever has iterators there is told."""

        async def test():
            await self.die("A")
            self.assertEqual(self.link._listener.told, [("gone", "A")])

        self.run_(test)

    def test_strangers(self):
        """Other clients' calls are not looked at."""

        async def test():
            errand = StepErrand(1, runs=1, asks=False)
            await self.submit(errand)
            message = {
                "action": "remove-worker",
                "worker": "A",
                "processing-tasks": {"x": 0, ("f", 0, "other", 1): 0},
                "lost-computed-tasks": {},
            }
            self.client.topics["all"]((0.0, message))
            self.client.topics["all"]((0.0, {"action": "add-worker", "worker": "B"}))
            self.assertEqual(errand.told, [])

        self.run_(test)


class LostTests(LinkCase):
    def test_returned(self):
        """What has not begun is returned, with as many runs as it has left."""

        async def test():
            waits, mayAgain, once = (
                StepErrand(1),
                StepErrand(2, runs=3),
                StepErrand(3, asks=False),
            )
            await self.submit(waits, mayAgain, once)
            self.link._watch.lose("gone")
            self.assertEqual(waits.told, [("returned", 1)])
            self.assertEqual(mayAgain.told, [("returned", 2)])
            self.assertEqual([told[0] for told in once.told], ["died"])
            self.assertEqual(self.link._listener.told, [("lost", "gone")])

        self.run_(test)

    def test_begun(self):
        """What has begun dies."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            await self.claim(errand, "A")
            self.link._watch.lose("gone")
            self.assertEqual([told[0] for told in errand.ends], ["died"])

        self.run_(test)

    def test_notSent(self):
        """What was not sent yet has all its runs."""

        async def test():
            errand = StepErrand(1, runs=2)
            self.link.submit(errand)
            self.link._watch.lose("gone")
            self.link._watch.lose("still gone")
            await settle()
            self.assertEqual(errand.told, [("returned", 2)])
            self.assertEqual(self.link._listener.told, [("lost", "gone")])

        self.run_(test)

    def test_after(self):
        """What comes after is returned at once."""

        async def test():
            self.link._watch.lose("gone")
            errand = StepErrand(1, runs=2)
            self.link.submit(errand)
            self.assertEqual(errand.told, [("returned", 2)])

        self.run_(test)

    def test_reason(self):
        """A result that never comes because of that is no other end."""

        async def test():
            errand = StepErrand(1)
            future = await self.submit(errand)
            future.set_exception(FutureCancelledError("key", LOST))
            await settle()
            self.assertEqual(errand.told, [])
            self.link._watch.lose("gone")
            self.assertEqual(errand.told, [("returned", 1)])

        self.run_(test)


class CancelTests(LinkCase):
    def test_inLine(self):
        """What was not sent yet is not sent."""

        async def test():
            errand = StepErrand(1)
            self.link.submit(errand)
            self.link.cancel(1)
            await settle()
            self.assertEqual(errand.told, [("released",)])
            self.assertFalse([f for f, _ in self.client.sent.values() if not f.done()])

        self.run_(test)

    def test_noNode(self):
        """What no node has is cancelled at the scheduler."""

        async def test():
            errand = StepErrand(1)
            future = await self.submit(errand)
            await self.cancel(errand)
            self.assertTrue(future.done())
            self.assertEqual(errand.told, [("released",)])

        self.run_(test)

    def test_waitsAtNode(self):
        """A node that has not begun it never will, nor any other."""

        async def test():
            errand = StepErrand(1, runs=2)
            future = await self.submit(errand)
            self.client.holders[1] = "A"
            await self.cancel(errand)
            self.assertEqual(self.link.nodes.asked, [("A", "abandon", 1)])
            self.assertEqual(errand.told, [("released",)])
            self.assertTrue(future.done())
            self.assertFalse(await self.claim(errand, "B"))

        self.run_(test)

    def test_runs(self):
        """One that runs is interrupted, and released when it is over."""

        async def test():
            errand = StepErrand(1)
            future = await self.submit(errand)
            self.client.holders[1] = "A"
            self.link.nodes.isBegun = lambda node, number: True
            await self.cancel(errand)
            self.assertEqual(errand.told, [])
            future.set_result(answer(1, "A", Status.ERROR))
            await settle()
            self.assertEqual(errand.told, [("released",)])
            self.assertEqual(self.client.restarted, [])

        self.run_(test)

    def test_restart(self):
        """If it goes on its node begins anew, where that was asked for."""
        self.patch(clusterlink, "INTERRUPTING", 0.0)

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            self.client.holders[1] = "A"
            self.link.nodes.isBegun = lambda node, number: True
            await self.cancel(errand)
            await settle()
            self.assertEqual(self.client.restarted, ["A"])

        self.run_(test, restart=True)

    def test_lastNodeDies(self):
        """It is released if its node dies before it is over, though none is left."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            await self.claim(errand, "A")
            self.client.holders[1] = "A"
            self.link.nodes.isBegun = lambda node, number: True
            await self.cancel(errand)
            await self.die("A", errand)
            self.assertEqual(errand.ends, [("released",)])

        self.run_(test)

    def test_over(self):
        """What is over, or was cancelled, is not cancelled again."""

        async def test():
            errand = StepErrand(1)
            (await self.submit(errand)).set_result(answer(1, "A"))
            await settle()
            await self.cancel(errand)
            await self.cancel(errand)
            self.assertEqual(errand.told, [("answered", "A")])

        self.run_(test)

    def test_resultOnItsWay(self):
        """A result that comes meanwhile is dropped."""

        async def test():
            errand = StepErrand(1)
            future = await self.submit(errand)
            future.set_result(answer(1, "A"))
            await self.cancel(errand)
            self.assertEqual(errand.told, [("released",)])

        self.run_(test)


class CloseTests(LinkCase):
    def test_deaf(self):
        """It ends although its watch misses that it is to."""

        async def deaf(watch):
            for _ in range(3):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    continue

        self.patch(StepWatch, "follow", deaf)
        self.patch(background, "AGAIN", 0.001)

        async def test():
            await settle()

        self.run_(test)
        self.assertTrue(self.client.isClosed)
        self.assertIn(("leave",), self.client.asked)

    def test_lost(self):
        """One that is lost has nothing to take away, nor to look for."""

        async def test():
            self.link._watch.lose("gone")

        self.run_(test)
        self.assertTrue(self.client.isClosed)
        self.assertTrue(self.client._handle_report_task.cancelled())
        self.assertNotIn(("leave",), self.client.asked)
