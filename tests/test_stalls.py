"""
How long a reactor does not come round.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.stalls import TICK, StallWatch


class StallsTests(SynchronousTestCase):
    def test_longest(self):
        """The longest time between two ticks counts, wherever it comes."""
        clock = Clock()
        with StallWatch(clock, clock.seconds) as watch:
            clock.pump([TICK] * 5)
            clock.advance(0.25)
            clock.pump([TICK] * 5)
            clock.advance(0.1)
        self.assertAlmostEqual(watch.longest, 0.25)

    def test_noTick(self):
        """So does one that no tick ends, and one that none has begun."""
        clock = Clock()
        with StallWatch(clock, clock.seconds) as watch:
            clock.rightNow += 3.0
        self.assertEqual(watch.longest, 3.0)

    def test_over(self):
        """Nothing is left to tick."""
        clock = Clock()
        with StallWatch(clock, clock.seconds):
            clock.advance(TICK)
        self.assertEqual(clock.getDelayedCalls(), [])
