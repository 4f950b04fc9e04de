"""
Tests of L{asynqueue.figures}: whether a process has done enough.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import deaths
from asynqueue.deaths import PAUSE
from asynqueue.figures import Figures
from tests import calls
from tests.memory import makeTask


class Child:
    """
    A process that is there.
    """

    pid = 4

    def is_alive(self):
        return True


class WornTests(SynchronousTestCase):
    """
    Tests of C{isWorn}.
    """

    def make(self, maxCalls=None, maxMemory=None):
        self.clock, self.size, self.looks = Clock(), 100, 0
        self.patch(deaths, "residentSet", self.look)
        figures = Figures(None, False, maxCalls, maxMemory, self.clock)
        figures._isNew(Child())
        return figures

    def look(self, pid):
        self.looks += 1
        return self.size

    def test_never(self):
        """
        Unless there is a bound, nothing is worn.
        """
        figures = self.make()
        figures._record(makeTask(calls.echo), 0.0, 0.0)
        self.assertFalse(figures.isWorn(10**9))

    def test_calls(self):
        """
        It is after so many calls, not before.
        """
        figures = self.make(maxCalls=3)
        self.assertEqual([figures.isWorn(n) for n in (1, 2, 3, 4)], [0, 0, 1, 1])

    def test_memory(self):
        """
        It is if its memory is above the bound; if nothing is known, it is not.
        """
        figures = self.make(maxMemory=100)
        self.assertFalse(figures.isWorn(1))
        for self.size, worn in ((100, False), (101, True), (99, False)):
            figures._record(makeTask(calls.echo), 0.0, 0.0)
            self.assertEqual(figures.isWorn(1), worn, self.size)
            self.clock.advance(PAUSE)

    def test_looks(self):
        """
        The memory is not looked at more often than is said, but at once in a new
        process.
        """
        figures = self.make(maxMemory=100)
        self.size = 101
        for _ in range(50):
            figures._record(makeTask(calls.echo), 0.0, 0.0)
            self.assertTrue(figures.isWorn(1))
            self.clock.advance(PAUSE / 10)
        self.assertIn(self.looks, (5, 6))
        figures._isNew(Child())
        self.assertFalse(figures.isWorn(1))
        self.size = 1
        figures._record(makeTask(calls.echo), 0.0, 0.0)
        self.assertFalse(figures.isWorn(1))
