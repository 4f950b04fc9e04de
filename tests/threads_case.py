"""
What the tests of L{asynqueue.threads} stand on.
"""

import threading
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.threads import ThreadQueue
from tests.support import BOUND, SteppedReactor, leavesNothing


class QueueReactor(SteppedReactor):
    """
    A reactor that a test steps, and that can be stopped.
    """

    def __init__(self):
        super().__init__()
        self.triggers: list[Any] = []

    def addSystemEventTrigger(self, phase, event, f):
        self.triggers.append(f)
        return f

    def removeSystemEventTrigger(self, f):
        self.triggers.remove(f)


class QueueCase(SynchronousTestCase):
    def setUp(self):
        leavesNothing(self)
        self.reactor = QueueReactor()
        self.addCleanup(self.checkReactor)
        self.gate = threading.Event()

    def checkReactor(self):
        """
        Fails if something is left to be done when the test is over.
        """
        self.assertEqual(self.reactor.triggers, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def makeQueue(self, **kw):
        queue = ThreadQueue(reactor=self.reactor, **kw)
        self.addCleanup(self.end, queue)
        return queue

    def end(self, queue):
        self.gate.set()
        self.until(queue.shutdown())
        thread = queue.worker.t.thread
        if thread is not None:
            thread.join(BOUND)

    def until(self, d):
        return self.reactor.until(d)

    def hold(self, queue, **kw):
        """
        Has a queue's thread wait for the gate.

        @return: The Deferred of the call.
        """
        begun = threading.Event()

        def wait():
            begun.set()
            self.gate.wait(BOUND)
            return "held"

        d = queue.call(wait, **kw)
        self.assertTrue(begun.wait(BOUND))
        return d
