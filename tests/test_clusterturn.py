"""
Tests of L{asynqueue.clusterturn}, stepped: a loop and a thread that are a test's own.
"""

from itertools import chain
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusterturn import LOOK, STUCK, Turn

ANSWER = [b"A", b"it"]


class TurnTests(SynchronousTestCase):
    def setUp(self):
        self.begin(0)

    def begin(self, n):
        """
        Makes a turn of so many calls.
        """
        self.clock: Any = Clock()
        loop = SimpleNamespace(
            add_callback=lambda f, *args: f(*args), call_later=self.clock.callLater
        )
        self.told: list[Any] = []
        calls = [(number, b"call") for number in range(n)]
        self.turn = Turn(loop, calls, self.told.append)

    def step(self, seconds):
        """
        Lets the loop have its turns for so long.
        """
        for _ in range(round(seconds / LOOK)):
            self.clock.advance(LOOK)

    def test_one(self):
        """A call that is alone is answered when it is over, without any looks."""
        self.begin(1)
        for number, _ in self.turn:
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.turn.answer(number, ANSWER)
        self.turn.end()
        self.assertEqual(self.told, [[(0, ANSWER)]])

    def test_together(self):
        """Those that are over soon are answered together."""
        self.begin(3)
        for number, call in self.turn:
            self.assertEqual(call, b"call")
            self.turn.answer(number, ANSWER)
        self.turn.end()
        self.assertEqual(self.told, [[(number, ANSWER) for number in range(3)]])
        self.step(STUCK)
        self.assertEqual((len(self.told), self.clock.getDelayedCalls()), (1, []))

    def test_soon(self):
        """An answer does not wait for calls that come after it."""
        self.begin(3)
        calls = iter(self.turn)
        next(calls)
        self.turn.answer(0, ANSWER)
        next(calls)
        self.step(LOOK)
        self.assertEqual(self.told, [[(0, ANSWER)]])
        self.turn.answer(1, ANSWER)
        self.step(2 * LOOK)
        self.assertEqual(self.told, [[(0, ANSWER)], [(1, ANSWER)]])

    def test_giveBack(self):
        """What has not begun in time is given back, and not made."""
        self.begin(4)
        calls = iter(self.turn)
        next(calls)
        self.turn.answer(0, ANSWER)
        next(calls)
        self.step(STUCK - LOOK)
        self.assertEqual(self.told, [[(0, ANSWER)]])
        self.step(LOOK)
        self.assertEqual(self.told[1:], [[(2, None), (3, None)]])
        self.step(STUCK)
        self.turn.answer(1, ANSWER)
        self.assertEqual(list(calls), [])
        self.turn.end()
        self.assertEqual(self.told[2:], [[(1, ANSWER)]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing(self):
        """Nothing is told where there is nothing to tell: all answers are long."""
        self.begin(3)
        for _ in self.turn:
            self.step(LOOK)
        self.turn.end()
        self.assertEqual(self.told, [])

    @given(st.integers(0, 5), st.lists(st.integers(0, 30)))
    def test_each(self, n, looks):
        """
        However long each takes, it is made and answered, or given back, and that once;
        and no look is left when all is over.
        """
        self.begin(n)
        made = []
        for number, _ in self.turn:
            made.append(number)
            self.step(LOOK * (looks.pop() if looks else 0))
            self.turn.answer(number, ANSWER)
        self.turn.end()
        told = list(chain(*self.told))
        self.assertEqual(sorted(number for number, _ in told), list(range(n)))
        self.assertEqual([number for number, answer in told if answer], made)
        self.step(LOOK)
        self.assertEqual(self.clock.getDelayedCalls(), [])
