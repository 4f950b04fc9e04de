"""
Waiting for Deferreds that others hold.
"""

import gc
import weakref
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure

from asynqueue.deferator import Deferator
from asynqueue.trackers import SETTLING, DeferredTracker
from tests.trackers_case import TrackerCase


class PutTests(TrackerCase):
    def test_counted(self):
        """Each counts until it has fired, and is given back as it was."""
        d: Any = Deferred()
        self.assertIs(self.tracker.put(d), d)
        self.assertEqual((self.tracker.dCount, self.tracker.notWaiting()), (1, False))
        self.put(2)
        d.callback(7)
        self.assertEqual(self.tracker.dCount, 2)

    def test_keepsResult(self):
        """Its result is there for its later callbacks, before anybody is told."""
        order: list[Any] = []
        (d,) = self.put()
        d.addCallback(order.append)
        self.tracker.deferToAll().addCallback(order.append)
        d.callback("result")
        self.turn()
        self.assertEqual(order, ["result", True])

    def test_keepsFailure(self):
        """
        Its error is not swallowed but stays with its owner, and what has failed
        is not waited for.
        """
        (d,) = self.put()
        waiting = self.tracker.deferToAll()
        d.errback(ZeroDivisionError())
        self.turn()
        self.assertIs(self.successResultOf(waiting), True)
        self.failureResultOf(d, ZeroDivisionError)
        failed = self.tracker.put(fail(ZeroDivisionError()))
        self.assertTrue(self.tracker.notWaiting())
        self.failureResultOf(failed, ZeroDivisionError)

    def test_fired(self):
        """One that has fired already is not waited for."""
        self.tracker.put(succeed(7))
        self.assertEqual(self.tracker.dCount, 0)
        self.assertIs(self.successResultOf(self.tracker.deferToAll()), True)

    def test_nobodyWaits(self):
        """When nobody waits, nobody is told: the reactor is not asked for anything."""
        (d,) = self.put()
        d.callback(None)
        self.tracker.quitWaiting()
        self.assertEqual(self.reactor.left(), [])

    def test_notHeld(self):
        """The tracker holds no Deferred: one that will never fire can go."""
        (d,) = self.put()
        gone = weakref.ref(d)
        del d
        gc.collect()
        self.assertIsNone(gone())

    def test_deferator(self):
        """A Deferator can be waited for, as it is one more thing that ends."""
        dr = Deferator(iter([1]))
        self.tracker.put(dr)  # type: ignore[arg-type]
        self.assertEqual(self.tracker.dCount, 1)
        dr.stop()
        self.assertEqual(self.tracker.dCount, 0)

    def test_wrong(self):
        """What is no Deferred is refused, and not waited for."""
        wrong: Any
        for wrong in (None, 7, [Deferred()]):
            error = self.assertRaises(TypeError, self.tracker.put, wrong)
            self.assertIn(repr(wrong)[:4], str(error))
        self.assertEqual(self.tracker.dCount, 0)


class AllTests(TrackerCase):
    def test_none(self):
        """With nothing to wait for, nobody waits."""
        self.assertIs(self.successResultOf(self.tracker.deferToAll()), True)
        self.assertEqual(self.reactor.left(), [])

    def test_told(self):
        """It fires in the iteration after the last has fired; it is not looked for."""
        first, second = self.put(2)
        d = self.tracker.deferToAll()
        first.callback(1)
        self.turn()
        self.assertEqual(self.reactor.left(), [])
        self.assertNoResult(d)
        second.callback(2)
        self.assertNoResult(d)
        self.turn()
        self.assertIs(self.successResultOf(d), True)
        self.assertEqual(self.reactor.left(), [])

    def test_putMeanwhile(self):
        """What is put while somebody waits is waited for too."""
        (first,) = self.put()
        d = self.tracker.deferToAll()
        first.callback(None)
        (second,) = self.put()
        self.turn()
        self.assertNoResult(d)
        second.callback(None)
        self.turn()
        self.assertIs(self.successResultOf(d), True)

    def test_waits(self):
        """Waits without a Deferred nest, and end one by one."""
        self.tracker.addWait()
        self.tracker.addWait()
        d = self.tracker.deferToAll()
        self.tracker.removeWait()
        self.turn()
        self.assertNoResult(d)
        self.tracker.removeWait()
        self.turn()
        self.assertIs(self.successResultOf(d), True)
        self.tracker.removeWait()
        self.assertEqual(self.tracker.dCount, 0)

    def test_nothingLeft(self):
        """
        Fifty waits leave no trigger in the reactor, neither during nor after them.
        (The ancestor's left one each, for good.)
        """
        put = self.put()
        waiting = [self.tracker.deferToAll() for _ in range(50)]
        self.assertEqual(self.reactor.left(), [])
        put[0].callback(None)
        self.turn()
        for d in waiting:
            self.assertIs(self.successResultOf(d), True)
        self.assertEqual(self.reactor.left(), [])

    def test_flood(self):
        """Thousands that fire at once are one thing to tell, and no deep stack."""
        put = self.put(5000)
        waiting = [self.tracker.deferToAll() for _ in range(5000)]
        for d in put:
            d.callback(None)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.turn()
        for d in waiting:
            self.assertIs(self.successResultOf(d), True)

    def test_cancel(self):
        """Whoever waits no longer is told so, then, and not again; others wait on."""
        (put,) = self.put()
        first, second, third = (self.tracker.deferToAll(9) for _ in range(3))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        second.addCallback(lambda _: third.cancel())
        put.callback(None)
        self.turn()
        self.assertIsNone(self.successResultOf(second))
        self.failureResultOf(third, CancelledError)
        self.assertEqual(self.reactor.left(), [])

    def test_pace(self):
        """The ancestor's keywords are taken, whatever they are."""
        tracker = DeferredTracker(0.5, backoff=9)
        self.assertIs(self.successResultOf(tracker.deferToAll()), True)


class AnyTests(TrackerCase):
    def test_any(self):
        """The first that fires is enough, in whichever way."""
        for result in (7, Failure(ZeroDivisionError())):
            _, second, _ = self.put(3)
            d = self.tracker.deferToAny()
            self.turn()
            self.assertNoResult(d)
            second.callback(result)
            second.addErrback(lambda _: None)
            self.turn()
            self.assertIs(self.successResultOf(d), True)

    def test_putMeanwhile(self):
        """What is put meanwhile does not make it wait for more than one."""
        (first,) = self.put()
        d = self.tracker.deferToAny()
        self.put(3)
        first.callback(None)
        self.turn()
        self.assertIs(self.successResultOf(d), True)

    def test_nextOne(self):
        """One that fired before is no reason not to wait for the next."""
        first, second = self.put(2)
        first.callback(None)
        d = self.tracker.deferToAny()
        self.turn()
        self.assertNoResult(d)
        second.callback(None)
        self.turn()
        self.assertIs(self.successResultOf(d), True)

    def test_none(self):
        """With nothing to wait for it fires, instead of never."""
        self.assertIs(self.successResultOf(self.tracker.deferToAny()), True)


class FewerTests(TrackerCase):
    def test_fewer(self):
        """It fires as soon as there are fewer, at once if there are."""
        put = self.put(3)
        self.assertIs(self.successResultOf(self.tracker.deferUntilFewer(4)), True)
        d = self.tracker.deferUntilFewer(2.5)
        self.assertNoResult(d)
        put[1].callback(None)
        self.turn()
        self.assertIs(self.successResultOf(d), True)

    def test_together(self):
        """Those that fire within a moment are told of once, after it."""
        put = self.put(3)
        d = self.tracker.deferUntilFewer(3)
        put[0].callback(None)
        self.reactor.advance(SETTLING / 2)
        put[1].callback(None)
        self.assertNoResult(d)
        self.reactor.advance(SETTLING / 2)
        self.assertIs(self.successResultOf(d), True)
        self.assertEqual(self.reactor.left(), [])

    def test_nobodyLeft(self):
        """Whoever stops waiting leaves nothing in the reactor."""
        put = self.put(2)
        d = self.tracker.deferUntilFewer(2)
        put[0].callback(None)
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(self.reactor.left(), [])

    def test_takesTurns(self):
        """Of several, only as many go on as there is room for."""
        put = self.put(2)
        running = []

        def go(_):
            running.extend(self.put())

        for _ in range(3):
            self.tracker.deferUntilFewer(2).addCallback(go)
        put.pop().callback(None)
        self.turn()
        self.assertEqual((len(running), self.tracker.dCount), (1, 2))
        put.pop().callback(None)
        running.pop().callback(None)
        self.turn()
        self.assertEqual((len(running), self.tracker.dCount), (2, 2))

    def test_limit(self):
        """A loop keeps so many under way at a time, and no deep stack."""
        most = 0
        running: list[Any] = []

        async def loop():
            nonlocal most
            for n in range(3000):
                await self.tracker.deferUntilFewer(10)
                if n % 3:
                    self.tracker.put(succeed(n))
                else:
                    running.extend(self.put())
                most = max(most, self.tracker.dCount or 0)
            await self.tracker.deferToAll()

        d = Deferred.fromCoroutine(loop())
        while running:
            running.pop().callback(None)
            self.turn()
        self.successResultOf(d)
        self.assertEqual(most, 10)

    def test_never(self):
        """A number that there are never fewer than is refused."""
        for wrong in (0, -1, float("nan")):
            self.assertRaises(ValueError, self.tracker.deferUntilFewer, wrong)
