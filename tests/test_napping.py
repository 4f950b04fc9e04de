"""
What one setting is measured by.
"""

from collections import deque
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from asynqueue import napping
from asynqueue.napping import Spent, nextNaps, reckon


class ReckonTests(SynchronousTestCase):
    def test_measures(self):
        """Efficiency is of the workers' time, all else of one call."""
        pairs = [(0.11, 0.1), (0.21, 0.2), (0.105, 0.1), (0.104, 0.1)]
        measures = reckon(pairs, 2, Spent(wall=0.3125, cpu=0.008, wakes=42))
        self.assertEqual(set(measures), {"efficiency", "overhead", "cpu", "wakes"})
        self.assertAlmostEqual(measures["efficiency"], 100 * 0.5 / 0.625)
        self.assertAlmostEqual(measures["overhead"], 29 / 4)
        self.assertAlmostEqual(measures["cpu"], 2.0)
        self.assertAlmostEqual(measures["wakes"], 10.5)

    def test_since(self):
        """What has passed meanwhile is what has passed, less what had before."""
        self.assertEqual(
            Spent(10.0, 3.0, 100).since(Spent(7.5, 2.5, 60)), Spent(2.5, 0.5, 40)
        )

    def test_now(self):
        """Time and CPU time pass while there is something to do."""
        before = Spent.now()
        spent = before.since(before)
        while not spent.cpu:
            spent = Spent.now().since(before)
        self.assertGreater(spent.wall, 0)
        self.assertGreaterEqual(spent.wakes, 0)


class Pipe:
    """
    A pipe to somebody who naps a tenth longer than told.
    """

    def __init__(self, clock):
        self.clock = clock

    def send_bytes(self, message):
        self.nap = 1.1 * float(message)

    def recv_bytes(self):
        self.clock.return_value += self.nap + 0.5
        return str(self.nap).encode()


class PipesTests(SynchronousTestCase):
    def test_nextNaps(self):
        """Each nap is sent once, and has its times here and there."""
        clock = mock.Mock(return_value=0.0)
        self.patch(napping, "perf_counter", clock)
        waiting = deque([1.0, 2.0])
        pairs = nextNaps(Pipe(clock), waiting)
        self.assertEqual(len(waiting), 0)
        for pair, wanted in zip(pairs, [(1.6, 1.1), (2.7, 2.2)], strict=True):
            for found, value in zip(pair, wanted, strict=True):
                self.assertAlmostEqual(found, value)
