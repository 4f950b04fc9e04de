"""
Waiting for a time to pass, and for events that nobody tells of.
"""

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.delays import BACKOFF, INTERVAL, Delay, deferToDelay
from tests.test_stops import StoppableReactor


class DelayCase(SynchronousTestCase):
    def setUp(self):
        self.reactor = StoppableReactor()
        self.delay = self.make()
        self.looks: list[float] = []
        self.happened = False

    def make(self, interval=None, backoff=None, timeout=None):
        return Delay(interval, backoff, timeout, self.reactor)

    def look(self):
        self.looks.append(self.reactor.seconds())
        return self.happened


class SettingTests(DelayCase):
    def test_defaults(self):
        """Unless set, the figures are those that are documented."""
        self.assertEqual((INTERVAL, BACKOFF), (0.001, 1.1))
        delay = self.delay
        self.assertEqual((delay.interval, delay.backoff), (INTERVAL, BACKOFF))
        self.assertIsNone(delay.timeout)
        delay = self.make(2, 1.3, 4)
        self.assertEqual((delay.interval, delay.backoff, delay.timeout), (2, 1.3, 4))

    def test_backoff(self):
        """A backoff out of 1.0 to 1.3 is refused, the bounds are not."""
        for backoff in (1.0, 1.05, 1.3):
            self.assertEqual(self.make(backoff=backoff).backoff, backoff)
        for backoff in (0.99, 1.31, -1.1, float("nan")):
            self.assertRaises(ValueError, self.make, backoff=backoff)

    def test_times(self):
        """What is no time to wait for is refused, by its name."""
        for wrong in (-1, float("inf"), float("nan"), "1", [], 1j):
            for f, kw in (
                (self.make, {"interval": wrong}),
                (self.make, {"timeout": wrong}),
                (self.delay, {"delay": wrong}),
                (deferToDelay, {"delay": wrong}),
            ):
                error = self.assertRaises(ValueError, f, **kw)
                self.assertIn(next(iter(kw)), str(error))
        self.assertEqual(self.reactor.left(), [])


class CallTests(DelayCase):
    def test_interval(self):
        """Without a delay it waits for its interval, with 0 for one iteration."""
        delay = self.make(3)
        slow, quick = delay(), delay(0)
        self.reactor.advance(0)
        self.assertIsNone(self.successResultOf(quick))
        self.reactor.advance(2.9)
        self.assertNoResult(slow)
        self.reactor.advance(0.2)
        self.assertIsNone(self.successResultOf(slow))

    def test_deferToDelay(self):
        """It fires after the time, with nothing."""
        d = deferToDelay(0.5, self.reactor)
        self.reactor.advance(0.4)
        self.assertNoResult(d)
        self.reactor.advance(0.2)
        self.assertIsNone(self.successResultOf(d))

    def test_nothingLeft(self):
        """
        Fifty delays leave no trigger in the reactor when they are over, in
        whichever way. (The ancestor's left one each, for good.)
        """
        for n in range(50):
            deferToDelay(n, self.reactor)
            d = self.delay(n)
            if n % 2:
                self.failureResultOf(self.cancel(d), CancelledError)
        self.assertEqual(len(self.reactor.atStop()), 51)
        self.reactor.advance(50)
        self.assertEqual(self.reactor.left(), [])
        self.assertEqual(self.delay.pendingCalls, {})
        self.assertIsNone(self.delay.triggerID)

    def cancel(self, d):
        d.cancel()
        return d

    def test_pending(self):
        """What is waited for, and the trigger while there is any, can be seen."""
        d = self.delay(1)
        self.assertEqual(list(self.delay.pendingCalls.values()), [d])
        self.assertEqual(self.reactor.atStop(), [self.delay.triggerID])


class ShutdownTests(DelayCase):
    def test_fires(self):
        """All that are waiting are told at once, and nobody waits after that."""
        waiting = [self.delay(n) for n in range(3)]
        self.delay.shutdown()
        for d in [*waiting, self.delay(1)]:
            self.assertIsNone(self.successResultOf(d))
        self.assertEqual(self.reactor.left(), [])
        self.delay.shutdown()

    def test_reactorStops(self):
        """The reactor does the same before it stops, so that nobody is kept."""
        self.delay(0)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.left(), [])
        d, event = self.delay(9), self.delay.untilEvent(self.look)
        other = deferToDelay(9, self.reactor)
        self.reactor.advance(0.5)
        self.assertEqual(self.reactor.stopSoon(), [None, None])
        for each in (d, event, other):
            self.assertIsNone(self.successResultOf(each))
        self.assertEqual(self.reactor.left(), [])

    def test_tangled(self):
        """What one does when it is told may end another, or begin one."""
        first, second = self.delay(1), self.delay(2)
        first.addCallback(lambda _: second.cancel())
        first.addCallback(lambda _: self.delay(1))
        self.delay.shutdown()
        self.assertIsNone(self.successResultOf(first))
        self.failureResultOf(second, CancelledError)

    def test_event(self):
        """An event that has happened by then has, one that has not has not."""
        d = self.delay.untilEvent(self.look)
        self.happened = True
        other = self.delay.untilEvent(lambda: False)
        self.delay.shutdown()
        self.assertIs(self.successResultOf(d), True)
        self.assertIsNone(self.successResultOf(other))
        for happened, result in ((True, True), (False, None)):
            d = self.delay.untilEvent(lambda happened=happened: happened)
            self.assertIs(self.successResultOf(d), result)


class EventTests(DelayCase):
    def test_atOnce(self):
        """An event that has happened need not be waited for."""
        d = self.delay.untilEvent("abc".startswith, "ab")
        self.assertIs(self.successResultOf(d), True)
        self.assertEqual(self.reactor.left(), [])

    def test_arguments(self):
        """All arguments reach the checker, whatever they are called."""
        seen = []

        def check(*args, **kw):
            seen.append((args, kw))
            return 7

        d = self.delay.untilEvent(check, 1, eventChecker=2, timeout=3)
        self.assertIs(self.successResultOf(d), True)
        self.assertEqual(seen, [((1,), {"eventChecker": 2, "timeout": 3})])

    def test_looks(self):
        """It looks at once, in the next iteration, then at growing intervals."""
        delay = self.make(1.0, 1.2)
        d = delay.untilEvent(self.look)
        expected, wait = [0.0, 0.0], 1.0
        for _ in range(10):
            self.reactor.advance(0)
            self.assertEqual(len(self.looks), len(expected))
            expected.append(expected[-1] + wait)
            self.reactor.advance(wait)
            wait *= 1.2
        for look, when in zip(self.looks, expected, strict=True):
            self.assertAlmostEqual(look, when)
        self.happened = True
        self.reactor.advance(wait)
        self.assertIs(self.successResultOf(d), True)
        self.assertEqual(self.reactor.left(), [])

    def test_timeout(self):
        """It gives up when the time is over, not at whichever look comes next."""
        d = self.make(1, 1.3, 1.5).untilEvent(self.look)
        self.reactor.pump([0, 1, 0.49])
        self.assertNoResult(d)
        self.reactor.advance(0.01)
        self.assertIs(self.successResultOf(d), False)
        self.assertEqual(self.looks, [0, 0, 1, 1.5])
        self.assertEqual(self.reactor.left(), [])

    def test_lastLook(self):
        """What has happened when the time is over has happened."""
        d = self.make(5, timeout=1).untilEvent(self.look)
        self.reactor.advance(0)
        self.happened = True
        self.reactor.advance(1)
        self.assertIs(self.successResultOf(d), True)

    def test_noTimeLeft(self):
        """With no time at all, one look has to do."""
        d = self.make(timeout=0).untilEvent(self.look)
        self.assertIs(self.successResultOf(d), False)
        self.assertEqual(self.looks, [0])

    def test_raises(self):
        """A checker that raises ends the wait with what it raises."""

        def check():
            return len(self.looks) == 2 and 1 / len([])

        d = self.delay.untilEvent(lambda: self.look() or check())
        self.assertNoResult(d)
        self.reactor.advance(0)
        self.failureResultOf(d, ZeroDivisionError)
        self.assertEqual(self.reactor.left(), [])
        self.failureResultOf(self.delay.untilEvent(check), ZeroDivisionError)

    def test_cancel(self):
        """Whoever cancels is told so, and no more looks are taken."""
        d = self.make(timeout=3).untilEvent(self.look)
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual((self.reactor.left(), self.looks), ([], [0]))

    def test_notCallable(self):
        """A checker that cannot be called is refused at the call."""
        self.assertRaises(TypeError, self.delay.untilEvent, True)

    def test_manyLooks(self):
        """However often it looks, the stack does not grow."""
        d = self.make(0, 1.0).untilEvent(lambda: self.look() or len(self.looks) > 5000)
        self.reactor.pump([0] * 5001)
        self.assertIs(self.successResultOf(d), True)
