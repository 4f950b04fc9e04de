"""
How the waits of a L{DeferredTracker} end, one way or another.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.trackers import SETTLING, DeferredTracker
from tests.test_stops import StoppableReactor
from tests.trackers_case import TrackerCase


class TimeoutTests(TrackerCase):
    def each(self, timeout):
        return [
            self.tracker.deferToAll(timeout),
            self.tracker.deferToAny(timeout),
            self.tracker.deferUntilFewer(1, timeout=timeout),
        ]

    def test_over(self):
        """When the time is over, it fires with False, and leaves nothing behind."""
        self.put()
        waiting = self.each(2)
        self.reactor.advance(1.9)
        for d in waiting:
            self.assertNoResult(d)
        self.reactor.advance(0.2)
        for d in waiting:
            self.assertIs(self.successResultOf(d), False)
        self.assertEqual(self.reactor.left(), [])

    def test_inTime(self):
        """When it is in time, the timeout is forgotten."""
        (put,) = self.put()
        waiting = self.each(2)
        self.reactor.advance(1.9)
        put.callback(None)
        self.turn()
        for d in waiting:
            self.assertIs(self.successResultOf(d), True)
        self.assertEqual(self.reactor.left(), [])

    def test_justInTime(self):
        """What has fired by then has, even if that was still to be told."""
        (put,) = self.put()
        waiting = self.each(2)
        self.reactor.callLater(2, put.callback, None)
        earlier = self.each(2)
        self.reactor.advance(2)
        for d in waiting:
            self.assertIs(self.successResultOf(d), False)
        for d in earlier:
            self.assertIs(self.successResultOf(d), True)

    def test_noTime(self):
        """With no time at all, it is over in the next iteration."""
        self.put()
        waiting = self.each(0)
        self.turn()
        for d in waiting:
            self.assertIs(self.successResultOf(d), False)

    def test_wrong(self):
        """What is no time to wait for is refused, if there is to be a wait or not."""
        for wrong in (-1, "1", float("inf")):
            self.assertRaises(ValueError, self.each, wrong)
        self.put()
        self.assertRaises(ValueError, self.each, -1)
        self.assertEqual(self.reactor.left(), [])


class QuitTests(TrackerCase):
    def test_quit(self):
        """All who wait are told, and nobody waits for anything after that."""
        (put,) = self.put()
        waiting = [
            self.tracker.deferToAll(),
            self.tracker.deferToAny(9),
            self.tracker.deferUntilFewer(1),
        ]
        self.tracker.quitWaiting()
        self.turn()
        self.tracker.addWait()
        self.put()
        put.callback(None)
        self.tracker.removeWait()
        waiting += [
            self.tracker.deferToAll(),
            self.tracker.deferToAny(),
            self.tracker.deferUntilFewer(1),
        ]
        for d in waiting:
            self.assertIs(self.successResultOf(d), True)
        self.assertEqual((self.tracker.dCount, self.reactor.left()), (None, []))
        self.assertTrue(self.tracker.notWaiting())

    def test_reactorStops(self):
        """The reactor's end ends no wait: it may be what the reactor waits for."""
        (put,) = self.put()
        d = self.tracker.deferToAll()
        self.reactor.stopSoon()
        self.assertNoResult(d)
        put.callback(None)
        self.turn()
        self.assertIs(self.successResultOf(d), True)


STEPS = st.lists(
    st.sampled_from(
        ["put", "fire", "fail", "turn", "all", "any", "fewer", "timed", "cancel"]
    ),
    max_size=60,
)


class HistoryTests(SynchronousTestCase):
    @settings(max_examples=150, deadline=None)
    @given(STEPS)
    def test_history(self, steps):
        """
        Whatever happens in whichever order: the count is right, after each turn
        of the reactor all those wait who have to and no others, each fires once,
        and results stay with their owners.
        """
        reactor = StoppableReactor()
        tracker = DeferredTracker(reactor=reactor)
        put: list[Any] = []
        waiting: list[Any] = []
        fired = 0

        def wait(kind, d, since=0):
            results: list[Any] = []
            d.addBoth(results.append)
            waiting.append((kind, since, d, results))

        for step in [*steps, "turn"]:
            if step == "put":
                put.append(tracker.put(Deferred()))
            elif step in ("fire", "fail") and put:
                d = put.pop(len(put) // 2)
                result = step if step == "fire" else Failure(ZeroDivisionError())
                d.callback(result)
                fired += 1
                if step == "fail":
                    self.failureResultOf(d, ZeroDivisionError)
                else:
                    self.assertEqual(self.successResultOf(d), "fire")
            elif step == "all":
                wait("all", tracker.deferToAll())
            elif step == "any":
                wait("any" if put else "none", tracker.deferToAny(), fired)
            elif step == "fewer":
                wait("fewer", tracker.deferUntilFewer(3))
            elif step == "timed":
                wait("timed", tracker.deferToAll(timeout=0))
            elif step == "cancel" and waiting:
                _, _, d, results = waiting.pop()
                before = list(results)
                d.cancel()
                self.assertEqual(len(results), 1)
                if not before:
                    self.assertTrue(results[0].check(CancelledError))
            elif step == "turn":
                reactor.pump([0, SETTLING])
                for kind, since, _, results in waiting:
                    self.assertLessEqual(len(results), 1)
                    if kind == "timed":
                        self.assertIsInstance(results[0], bool)
                    else:
                        over = {
                            "all": not put,
                            "any": fired > since,
                            "none": True,
                            "fewer": len(put) < 3,
                        }[kind]
                        # Who was told before need not be right any more.
                        self.assertTrue(results == [True] or not over)
                        self.assertTrue(results in ([], [True]))
                self.assertEqual(reactor.left(), [])
            self.assertEqual(tracker.dCount, len(put))
