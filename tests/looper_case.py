"""
What the tests of L{asynqueue.looper} stand on.
"""

import threading

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.looper import ThreadLooper
from tests.support import BOUND, SteppedReactor, leavesNothing


class LooperCase(SynchronousTestCase):
    """
    The tests of a L{ThreadLooper} whose reactor is stepped, and which leaves
    nothing.
    """

    def setUp(self):
        leavesNothing(self)
        self.reactor = SteppedReactor()
        self.looper = ThreadLooper(reactor=self.reactor)
        self.addCleanup(lambda: self.reactor.until(self.looper.stop()))

    def until(self, d):
        return self.reactor.until(d)

    def hold(self):
        """
        Has the thread wait.

        @return: What to call to let it go on. I{held} is the Deferred of it.
        """
        gate = threading.Event()
        self.held = self.looper.deferToThread(gate.wait, BOUND)
        self.addCleanup(gate.set)
        return gate.set


def tidy(closedIn):
    """
    A generator that tells in which thread it is closed.
    """
    try:
        yield from range(1000)
    finally:
        closedIn.append(threading.current_thread())
