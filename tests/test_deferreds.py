"""
Waiting for what others wait for.
"""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.deferreds import branch, callAfterDeferred


class BranchTests(SynchronousTestCase):
    def test_result(self):
        """Both fire with the result, whatever either makes of it."""
        d: Any = Deferred()
        other = branch(d).addCallback(lambda x: x + 1)
        d.addCallback(lambda x: x - 1)
        d.callback(7)
        self.assertEqual((self.successResultOf(d), self.successResultOf(other)), (6, 8))

    def test_failure(self):
        """Both fail."""
        d: Deferred[None] = Deferred()
        other = branch(d)
        d.errback(ZeroDivisionError())
        for each in (d, other):
            self.failureResultOf(each, ZeroDivisionError)

    def test_cancel(self):
        """To cancel the one is not to cancel the other."""
        d: Deferred[int] = Deferred()
        other = branch(d)
        other.cancel()
        self.failureResultOf(other, CancelledError)
        d.callback(7)
        self.assertEqual(self.successResultOf(d), 7)


class Thing:
    """Something that may not be ready."""

    d: Any = None


class CallAfterTests(SynchronousTestCase):
    def setUp(self):
        self.thing = Thing()
        self.calls: list[Any] = []

    def call(self, *args, **kw):
        return callAfterDeferred(self.thing, "d", self.f, *args, **kw)

    def f(self, *args, **kw):
        self.calls.append((args, kw))
        return len(self.calls)

    def test_ready(self):
        """Without the attribute, or if it is None, the call is made at once."""
        self.assertEqual(self.successResultOf(self.call(1, f=2, dName=3)), 1)
        self.assertEqual(self.calls, [((1,), {"f": 2, "dName": 3})])
        d = callAfterDeferred(object(), "d", self.f)
        self.assertEqual(self.successResultOf(d), 2)

    def test_waits(self):
        """Calls wait, in order, for a Deferred, which keeps its result."""
        self.thing.d = ready = Deferred()
        waiting = [self.call(n) for n in range(3)]
        self.assertEqual(self.calls, [])
        ready.callback("ready")
        self.assertEqual([self.successResultOf(d) for d in waiting], [1, 2, 3])
        self.assertEqual(self.calls, [((n,), {}) for n in range(3)])
        self.assertEqual(self.successResultOf(ready), "ready")
        self.assertNotIn("d", vars(self.thing))

    def test_fired(self):
        """If it has fired, it is deleted and the call is made at once."""
        self.thing.d = succeed(None)
        self.assertEqual(self.successResultOf(self.call()), 1)
        self.assertNotIn("d", vars(self.thing))

    def test_stillGoing(self):
        """One that waits for another in turn is waited for."""
        inner: Deferred[None] = Deferred()
        self.thing.d = succeed(None).addCallback(lambda _: inner)
        d = self.call()
        self.assertEqual(self.calls, [])
        inner.callback(None)
        self.assertEqual(self.successResultOf(d), 1)

    def test_notReady(self):
        """If it fails, no call is made, now or later, and each is told why."""
        self.thing.d = ready = Deferred()
        waiting = [self.call(), self.call()]
        ready.errback(ZeroDivisionError())
        for d in [*waiting, self.call()]:
            self.failureResultOf(d, ZeroDivisionError)
        self.assertEqual(self.calls, [])
        self.failureResultOf(ready, ZeroDivisionError)

    def test_replaced(self):
        """An attribute that has been set anew is left alone."""
        self.thing.d = first = Deferred()
        self.call()
        self.thing.d = second = Deferred()
        first.callback(None)
        self.assertIs(self.thing.d, second)

    def test_raises(self):
        """What the call raises, or its Deferred fails with, is the error."""
        for d in (None, Deferred()):
            self.thing.d = d
            waiting = callAfterDeferred(self.thing, "d", int, "x")
            slow = callAfterDeferred(self.thing, "d", fail, ZeroDivisionError())
            if d is not None:
                d.callback(None)
            self.failureResultOf(waiting, ValueError)
            self.failureResultOf(slow, ZeroDivisionError)

    def test_wrong(self):
        """What is no Deferred cannot be waited for."""
        self.thing.d = 7
        error = self.assertRaises(TypeError, self.call)
        self.assertIn("7", str(error))
