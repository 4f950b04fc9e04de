"""
Tests of L{asynqueue.clusterlink}.
"""

import asyncio
from types import SimpleNamespace

from distributed import KilledWorker
from distributed.client import FutureCancelledError

from asynqueue import background, clusterlink
from asynqueue.clusterlink import LOST
from asynqueue.messages import Status
from tests.linked import LinkCase, StepErrand, StepWatch, answer, settle


class SendTests(LinkCase):
    def test_answered(self):
        """A call is sent, and its short answer told with its node."""

        async def test():
            errand = StepErrand(1, runs=2)
            future = await self.submit(errand)
            await self.answer(errand, "A")
            self.assertEqual(errand.told, [("answered", "A")])
            future.set_result([])
            await settle()
            self.assertEqual(errand.told, [("answered", "A")])

        self.run_(test)

    def test_fetched(self):
        """A long one is fetched."""

        async def test():
            errand = StepErrand(1, runs=2)
            await self.submit(errand)
            await self.fetch(errand, "A")
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
            numbers = [sent.numbers for sent in self.client.sent.values()]
            self.assertEqual(numbers, [[1], [3], [2]])

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
            (await self.submit(errand)).set_result([(1, [b"A", b"nonsense"])])
            await settle()
            self.assertEqual([told[0] for told in errand.told], ["failed"])

        self.run_(test)

    def test_lostAnswer(self):
        """What is over and has no answer may have begun."""

        async def test():
            once, twice = StepErrand(1, asks=False), StepErrand(2, runs=2)
            await self.submit(once, twice)
            for errand in (once, twice):
                self.future(errand).set_result([])
            await settle()
            self.assertEqual([told[0] for told in once.told], ["died"])
            self.assertEqual((len(self.client.sent), twice.told), (3, []))

        self.run_(test)

    def test_asks(self):
        """A node has to ask for a call that may begin once only."""

        async def test():
            await self.submit(StepErrand(1), StepErrand(2, runs=2))
            asks = [sent.asks for sent in self.client.sent.values()]
            self.assertEqual(asks, [True, False])

        self.run_(test)


class ClaimTests(LinkCase):
    def test_granted(self):
        """A call begins where it is granted, and that is told."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            self.assertEqual(await self.claim(errand, "A"), [1])
            self.assertEqual(errand.told, [("begun",)])

        self.run_(test)

    def test_secondNode(self):
        """Another node that asks tells that the first is gone: the call has died."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            await self.claim(errand, "A")
            self.assertEqual(await self.claim(errand, "B"), [])
            self.assertEqual(errand.told, [("begun",), ("died", "A")])

        self.run_(test)

    def test_secondRun(self):
        """It begins anew if it may."""

        async def test():
            errand = StepErrand(1, runs=2, asks=True)
            await self.submit(errand)
            await self.claim(errand, "A")
            self.assertEqual(await self.claim(errand, "B"), [1])
            self.assertEqual(errand.told, [("begun",), ("begun",)])

        self.run_(test)

    def test_unknown(self):
        """Nobody may begin what is not known."""

        async def test():
            await self.tell("claim", 7, "A")
            self.assertEqual(self.client.asked[-1], ("grant", 7, "A", []))

        self.run_(test)

    def test_cancelled(self):
        """Nor what is not wanted any more."""

        async def test():
            errand = StepErrand(1)
            self.link.nodes.isBegun = lambda node, number: True
            await self.submit(errand)
            self.give(errand, "A")
            await self.cancel(errand)
            self.assertEqual(await self.claim(errand, "A"), [])
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
            self.assertEqual(await self.claim(errand, "B"), [1])
            self.assertEqual(errand.ends, [])

        self.run_(test)

    def test_anew(self):
        """It does so in a task of its own: the one that dask hands on is let go."""

        async def test():
            errand = StepErrand(1, runs=2)
            future = await self.submit(errand)
            (serial,) = (sent.serial for sent in self.client.sent.values())
            await self.die("A", errand)
            self.assertTrue(future.done())
            await self.tell("claim", serial, "B")
            self.assertEqual(self.client.asked[-1], ("grant", serial, "B", []))
            refused = answer(1, "B", Status.DISCONNECTED)
            await self.tell("answers", serial, [(1, refused)])
            self.assertEqual(len(self.client.sent), 2)
            await self.answer(errand, "C")
            self.assertEqual(errand.ends, [("answered", "C")])

        self.run_(test)

    def test_didNotAsk(self):
        """One that did not ask counts as begun, and asks from then on."""

        async def test():
            errand = StepErrand(1, runs=2)
            await self.submit(errand)
            await self.die("A", errand)
            self.assertEqual(errand.ends, [])
            self.assertTrue(self.sent(errand).asks)
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
            await self.fetch(errand, "B")
            self.assertEqual(errand.told, [("answered", "B")])

        self.run_(test)

    def test_disconnected(self):
        """A node that could not ask has not begun: it is sent anew."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            await self.answer(errand, "A", Status.DISCONNECTED)
            self.assertEqual((len(self.client.sent), errand.told), (2, []))

        self.run_(test)

    def test_letBe(self):
        """One that need not ask, or was granted, and lets it be may have begun."""

        async def test():
            unasked, granted = StepErrand(1, asks=False), StepErrand(2)
            await self.submit(unasked, granted)
            await self.claim(granted, "A")
            for errand in (unasked, granted):
                await self.answer(errand, "A", Status.DISCONNECTED)
                self.assertEqual(errand.ends, [("died", "A")])

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
            sent = self.client.sent.values()
            self.assertFalse([each for each in sent if not each.future.done()])

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
            self.give(errand, "A")
            await self.cancel(errand)
            self.assertEqual(self.link.nodes.asked, [("A", "abandon", 1)])
            self.assertEqual(errand.told, [("released",)])
            self.assertTrue(future.done())
            self.assertEqual(await self.claim(errand, "B"), [])

        self.run_(test)

    def test_runs(self):
        """One that runs is interrupted, and released when it is over."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            self.give(errand, "A")
            self.link.nodes.isBegun = lambda node, number: True
            await self.cancel(errand)
            self.assertEqual(errand.told, [])
            await self.answer(errand, "A", Status.ERROR)
            self.assertEqual(errand.told, [("released",)])
            self.assertEqual(self.client.restarted, [])

        self.run_(test)

    def test_restart(self):
        """If it goes on its node begins anew, where that was asked for."""
        self.patch(clusterlink, "INTERRUPTING", 0.0)

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            self.give(errand, "A")
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
            self.give(errand, "A")
            self.link.nodes.isBegun = lambda node, number: True
            await self.cancel(errand)
            await self.die("A", errand)
            self.assertEqual(errand.ends, [("released",)])

        self.run_(test)

    def test_over(self):
        """What is over, or was cancelled, is not cancelled again."""

        async def test():
            errand = StepErrand(1)
            await self.submit(errand)
            await self.answer(errand, "A")
            await self.cancel(errand)
            await self.cancel(errand)
            self.assertEqual(errand.told, [("answered", "A")])

        self.run_(test)

    def test_resultOnItsWay(self):
        """A result that comes meanwhile is dropped."""

        async def test():
            errand = StepErrand(1)
            future = await self.submit(errand)
            future.set_result([(1, answer(1, "A"))])
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
