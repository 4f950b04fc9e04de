"""
What is to be done when the reactor is about to stop.
"""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.stops import AtStop
from tests.fakes import Reactor


class StoppableReactor(Reactor):
    """
    A reactor that a test steps, and can stop.
    """

    def atStop(self):
        """
        @return: What is to be called before it stops.
        """
        return self.triggers.setdefault("before", {}).setdefault("shutdown", [])

    def left(self):
        """
        @return: All that somebody has left behind in it.
        """
        return [*self.atStop(), *self.getDelayedCalls()]

    def stopSoon(self):
        """
        Makes the calls that are to be made before it stops, as Twisted's does:
        also those that are added meanwhile, and each is let go of first.

        @return: What they return.
        """
        returned = []
        while self.atStop():
            _, _, f, args, kw = self.atStop().pop(0)
            returned.append(f(*args, **kw))
        return returned


class AtStopTests(SynchronousTestCase):
    def setUp(self):
        self.reactor = StoppableReactor()
        self.result: Deferred[None] = Deferred()
        self.calls = 0
        self.atStop = AtStop(self.call, self.reactor)

    def call(self):
        self.calls += 1
        return self.result

    def test_called(self):
        """The call is made when the reactor stops, which may wait for its result."""
        self.assertIsNotNone(self.atStop.triggerID)
        self.assertEqual((self.calls, self.reactor.stopSoon()), (0, [self.result]))
        self.assertEqual(self.calls, 1)

    def test_withdrawn(self):
        """A call that is withdrawn is not made, and leaves nothing behind."""
        self.atStop.withdraw()
        self.assertEqual((self.reactor.left(), self.atStop.triggerID), ([], None))
        self.assertEqual((self.reactor.stopSoon(), self.calls), ([], 0))

    def test_withdrawnLate(self):
        """The reactor is not asked to let go of a call that it is making, or twice."""
        self.reactor.stopSoon()
        self.assertIsNone(self.atStop.triggerID)
        self.atStop.withdraw()
        self.atStop.withdraw()
        self.assertEqual(self.calls, 1)
