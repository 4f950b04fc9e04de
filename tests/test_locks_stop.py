"""
The end of a L{DeferredLock<asynqueue.locks.DeferredLock>}.
"""

from typing import Any

from twisted.internet.defer import Deferred

from tests.test_locks import LockCase


class StopTests(LockCase):
    def stopper(self, name, result=None):
        def stop():
            self.turns.append(name)
            if isinstance(result, Exception):
                raise result
            return result

        self.lock.addStopper(stop)

    def test_idle(self):
        """With nobody in line, it is stopped at once."""
        self.lock.addStopper(self.turns.extend, "ab")
        self.assertIsNone(self.successResultOf(self.lock.stop()))
        self.assertEqual((self.turns, self.lock.stoppers), (["a", "b"], []))
        self.assertFalse(self.lock.running)

    def test_inOrder(self):
        """Stoppers come after all who wait, each when the one before is done."""
        slow: Deferred[None] = Deferred()
        self.take(0)
        self.take(1)
        self.stopper("a", slow)
        self.stopper("b")
        d = self.lock.stop()
        self.assertEqual(self.turns, [0])
        self.lock.release()
        self.assertEqual(self.turns, [0, 1])
        self.lock.release()
        self.assertEqual(self.turns, [0, 1, "a"])
        self.assertNoResult(d)
        slow.callback(None)
        self.assertEqual(self.turns, [0, 1, "a", "b"])
        self.assertIsNone(self.successResultOf(d))

    def test_acquire(self):
        """From the stop on nobody waits, whoever has it; nor takes a turn away."""
        self.take(0)
        self.take(1)
        self.stopper("stopped")
        d = self.lock.stop()
        self.take("late")
        self.assertEqual(self.turns, [0, "late"])
        self.lock.release()
        self.assertEqual(self.turns, [0, "late"])
        self.lock.release()
        self.lock.release()
        self.assertEqual(self.turns, [0, "late", 1, "stopped"])
        self.successResultOf(d)
        self.take("later", vip=True)
        with self.lock.context() as turn:
            self.assertIs(self.successResultOf(turn), self.lock)
        self.lock.acquireAndRelease()
        for _ in range(3):
            self.lock.release()
        self.assertEqual(self.turns[-1], "later")

    def test_acquiredByStopper(self):
        """A stopper that acquires the lock does not wait for itself."""
        self.lock.addStopper(self.lock.acquire, True)
        self.stopper("after")
        self.assertIsNone(self.successResultOf(self.lock.stop()))
        self.assertEqual(self.turns, ["after"])

    def test_twice(self):
        """Whoever stops it is told when it is stopped; stoppers run once."""
        slow: Deferred[None] = Deferred()
        self.stopper("a", slow)
        both = [self.lock.stop(), self.lock.stop()]
        both[0].addCallback(lambda _: 7)
        for d in both:
            self.assertNoResult(d)
        slow.callback(None)
        results = [self.successResultOf(d) for d in [*both, self.lock.stop()]]
        self.assertEqual((results, self.turns), ([7, None, None], ["a"]))

    def test_error(self):
        """The first error is told, the others logged, and all stoppers run."""
        for name, result in (
            ("a", None),
            ("b", ZeroDivisionError()),
            ("c", KeyError()),
            ("d", None),
        ):
            self.stopper(name, result)
        self.failureResultOf(self.lock.stop(), ZeroDivisionError)
        self.assertEqual(self.turns, ["a", "b", "c", "d"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertIsNone(self.successResultOf(self.lock.stop()))
        self.assertFalse(self.lock.locked)

    def test_wrong(self):
        """A stopper that cannot be called is refused."""
        wrong: Any = None
        self.assertRaises(TypeError, self.lock.addStopper, wrong)
