"""
Which reactor, and what it can do.
"""

from types import SimpleNamespace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import reactors
from asynqueue.reactors import canWatchPipes
from tests.listening import WatchingReactor


class CanWatchPipesTests(SynchronousTestCase):
    def test_which(self):
        """A reactor can that provides the interface, but not on Windows."""
        self.assertTrue(canWatchPipes(WatchingReactor()))
        self.assertFalse(canWatchPipes(Clock()))
        self.patch(reactors, "os", SimpleNamespace(name="nt"))
        self.assertFalse(canWatchPipes(WatchingReactor()))
