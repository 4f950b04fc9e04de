"""
What the tests of a L{DeferredTracker} stand on.
"""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.trackers import SETTLING, DeferredTracker
from tests.test_stops import StoppableReactor


class TrackerCase(SynchronousTestCase):
    def setUp(self):
        self.reactor = StoppableReactor()
        self.tracker = DeferredTracker(reactor=self.reactor)

    def put(self, n=1):
        """
        @return: A number of Deferreds that were put in the tracker.
        """
        return [self.tracker.put(Deferred()) for _ in range(n)]

    def turn(self):
        # Once for what is told at once, and once for what is told after a while.
        self.reactor.pump([0, SETTLING])
