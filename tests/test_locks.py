"""
A lock to take turns by.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.locks import DeferredLock


class LockCase(SynchronousTestCase):
    def setUp(self):
        self.lock = DeferredLock(allowZombies=True)
        self.turns: list[Any] = []

    def take(self, name, vip=False):
        """
        Gets in line under a name, which is appended to the turns.
        """
        return self.lock.acquire(vip).addCallback(lambda _: self.turns.append(name))


class TurnTests(LockCase):
    def test_twisted(self):
        """It is one of Twisted's, and can be used like one."""
        self.assertIsInstance(self.lock, defer.DeferredLock)
        self.assertFalse(self.lock.locked)
        self.assertEqual(self.successResultOf(self.lock.run(int, "7")), 7)

        async def use():
            async with self.lock:
                self.assertTrue(self.lock.locked)
                raise ZeroDivisionError

        d = Deferred.fromCoroutine(use())
        self.failureResultOf(d, ZeroDivisionError)
        self.assertFalse(self.lock.locked)

    def test_order(self):
        """Turns are taken in order, those of VIPs first, in theirs."""
        for n in range(3):
            self.take(n)
        self.take("a", vip=True)
        self.take("b", True)
        self.assertEqual((self.lock.N_vips, len(self.lock.waiting)), (2, 4))
        for _ in range(5):
            self.lock.release()
        self.assertEqual(self.turns, [0, "a", "b", 1, 2])
        self.assertEqual((self.lock.N_vips, self.lock.locked), (0, False))

    def test_gives(self):
        """Who gets it is given it."""
        self.assertIs(self.successResultOf(self.lock.acquire()), self.lock)
        d = self.lock.acquire(vip=True)
        self.lock.release()
        self.assertIs(self.successResultOf(d), self.lock)

    def test_leave(self):
        """A VIP who leaves the line makes nobody else one, nor anybody less."""
        self.take(0)
        d, other = self.take("a", True), self.take(1)
        self.take("b", True)
        d.cancel()
        other.cancel()
        self.failureResultOf(d, CancelledError)
        self.failureResultOf(other, CancelledError)
        self.take(2)
        self.take("c", True)
        for _ in range(5):
            self.lock.release()
            if not self.lock.locked:
                break
        self.assertEqual(self.turns, [0, "b", "c", 2])

    def test_acquireAndRelease(self):
        """It waits for a turn and gives it back."""
        self.assertIsNone(self.successResultOf(self.lock.acquireAndRelease()))
        self.take(0)
        for name in ("first", "vip"):
            d: Any = self.lock.acquireAndRelease(name == "vip")
            d.addCallback(lambda _, name=name: self.turns.append(name))
        self.lock.release()
        self.assertEqual((self.turns, self.lock.locked), ([0, "vip", "first"], False))

    def test_manyAtOnce(self):
        """Thousands of turns that are over at once need no deep stack."""
        self.take(0)
        waiting = [self.lock.acquireAndRelease() for _ in range(5000)]
        self.lock.release()
        for d in waiting:
            self.assertIsNone(self.successResultOf(d))

    def test_again(self):
        """Who gives it back and wants it again at once comes after who waits."""
        self.take(0)

        def again(_):
            self.lock.release()
            self.take("again")

        self.take(1).addCallback(again)
        self.take(2)
        self.lock.release()
        self.assertEqual(self.turns, [0, 1, 2])
        self.lock.release()
        self.assertEqual(self.turns, [0, 1, 2, "again"])

    def test_notHeld(self):
        """To release what nobody has is an error."""
        self.assertRaises(RuntimeError, self.lock.release)
        self.take(0)
        self.lock.release()
        self.assertRaises(RuntimeError, self.lock.release)


class ContextTests(LockCase):
    def test_with(self):
        """A block waits for its turn, and ends it."""
        self.take(0)

        @inlineCallbacks
        def use():
            with self.lock.context() as d:
                got = yield d
                self.turns.append(got is self.lock)

        d = use()
        self.take(1)
        self.assertEqual(self.turns, [0])
        self.lock.release()
        self.assertEqual(self.turns, [0, True, 1])
        self.successResultOf(d)

    def test_raises(self):
        """A block that raises ends its turn too. (The ancestor's never did.)"""

        @inlineCallbacks
        def use():
            with self.lock.context() as d:
                yield d
                raise ZeroDivisionError

        self.failureResultOf(use(), ZeroDivisionError)
        self.assertFalse(self.lock.locked)

    def test_vip(self):
        """A block can be served first."""
        self.take(0)

        async def use(name, vip):
            async with self.lock.context(vip) as lock:
                self.turns.append(name)
                self.assertIs(lock, self.lock)

        done = [Deferred.fromCoroutine(use(n, n == 2)) for n in range(1, 4)]
        self.lock.release()
        self.assertEqual(self.turns, [0, 2, 1, 3])
        for d in done:
            self.successResultOf(d)
        self.assertFalse(self.lock.locked)

    def test_left(self):
        """A block that is left before its turn takes none, and ends nobody's."""
        turn = self.lock.context()
        with turn as d:
            self.assertIs(self.successResultOf(d), self.lock)
        self.take(0)
        with turn as d:
            self.take(1)
        self.assertIsNot(self.successResultOf(d), self.lock)
        self.assertEqual((self.turns, self.lock.locked), ([0], True))
        self.lock.release()
        self.assertEqual(self.turns, [0, 1])

    def test_cancelled(self):
        """A block that is cancelled while it waits takes no turn."""
        self.take(0)

        async def use():
            async with self.lock.context():
                self.turns.append("never")

        @inlineCallbacks
        def useWith():
            with self.lock.context() as d:
                yield d
                self.turns.append("never")

        for d in (Deferred.fromCoroutine(use()), useWith()):
            d.cancel()
            self.failureResultOf(d, CancelledError)
        self.assertEqual((self.lock.waiting, self.lock.locked), ([], True))
        self.lock.release()
        self.assertEqual((self.turns, self.lock.locked), ([0], False))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "vip", "release", "cancel", "quick"]),
        st.integers(0, 9),
    ),
    max_size=60,
)


class HistoryTests(SynchronousTestCase):
    @settings(max_examples=150, deadline=None)
    @given(STEPS)
    def test_history(self, steps):
        """
        Whatever happens in whichever order: one at a time has it, in the order of
        the line, VIPs first; who has left the line does not get it; and a stop
        comes last.
        """
        lock = DeferredLock()
        expected: list[Any] = []
        vips: list[Any] = []
        others: list[Any] = []
        turns: list[Any] = []
        held = False
        serial = 0
        d: Any

        def grant():
            # The model: gives the lock to whoever is next.
            nonlocal held
            held = False
            while (vips or others) and not held:
                line = vips or others
                name, isQuick, _ = line.pop(0)
                expected.append(name)
                held = not isQuick

        for step, place in steps:
            if step == "release" and held:
                grant()
                lock.release()
            elif step == "cancel" and others[place:]:
                d = others.pop(place)[2]
                d.cancel()
                self.failureResultOf(d, CancelledError)
            elif step == "cancel" and vips[place:]:
                d = vips.pop(place)[2]
                d.cancel()
                self.failureResultOf(d, CancelledError)
            elif step in ("acquire", "vip", "quick"):
                serial += 1
                d = lock.acquire(step == "vip")
                d.addCallback(lambda _, name=serial: turns.append(name))
                if step == "quick":
                    d.addCallback(lambda _: lock.release())
                (vips if step == "vip" else others).append((serial, step == "quick", d))
                if not held:
                    grant()
            self.assertEqual(turns, expected)
            self.assertEqual(lock.locked, held)
            self.assertEqual(lock.N_vips, len(vips))
            self.assertEqual(len(lock.waiting), len(vips) + len(others))
        lock.addStopper(turns.append, "stopped")
        stopped = lock.stop()
        while held:
            grant()
            lock.release()
        self.successResultOf(stopped)
        self.assertEqual(turns, [*expected, "stopped"])
