"""
What the tests of a L{DeferredTracker} stand on.
"""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.trackers import DeferredTracker
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
        self.reactor.advance(0)
