"""
The thread that is shared by all who call the module's own deferToThread.
"""

import threading

from asynqueue import threads
from asynqueue.errors import ThreadError
from asynqueue.producers import ListConsumer
from asynqueue.threadpool import GRACE
from asynqueue.threads import SharedThread
from tests import calls
from tests.support import BOUND
from tests.threads_case import QueueCase


class SharedThreadTests(QueueCase):
    """
    What the module's own deferToThread runs calls in.
    """

    def setUp(self):
        super().setUp()
        self.shared = SharedThread(self.reactor)
        self.addCleanup(lambda: self.until(self.shared.stop()))

    def ident(self):
        return self.until(self.shared.deferToThread(threading.get_ident))

    def test_oneThread(self):
        """All calls run in one thread, which is not this one."""
        found = {self.ident() for _ in range(3)}
        self.assertEqual(len(found), 1)
        self.assertNotIn(threading.get_ident(), found)

    def test_again(self):
        """
        It can be used again after it was stopped, and leaves neither a thread nor
        a trigger. (Once, no later call was ever made.)
        """
        for _ in range(3):
            self.ident()
            self.assertEqual(len(self.reactor.triggers), 1)
            self.until(self.shared.stop())
            self.assertEqual(self.reactor.triggers, [])
            self.assertEqual(threads_(), [])

    def test_unused(self):
        """Without a thread there is nothing to stop."""
        self.successResultOf(self.shared.stop())
        self.assertEqual(self.reactor.triggers, [])

    def test_whileStopping(self):
        """
        A call that is made while it is being stopped is made after, so that no two
        are made at once.
        """
        gate = threading.Event()
        order: list[str] = []

        def wait():
            gate.wait(BOUND)
            order.append("first")

        self.shared.deferToThread(wait)
        stops = [self.shared.stop(), self.shared.stop()]
        d = self.shared.deferToThread(order.append, "second")
        self.assertRaises(TypeError, self.shared.deferToThread, 7)
        gate.set()
        self.until(d)
        self.assertEqual(order, ["first", "second"])
        for stopped in stops:
            self.successResultOf(stopped)
        self.assertEqual(len(self.reactor.triggers), 1)

    def test_reactorStops(self):
        """
        The reactor stops it, and waits no longer than a while for a call that
        does not end.
        """
        gate = threading.Event()
        d = self.shared.deferToThread(gate.wait, BOUND)
        (trigger,) = self.reactor.triggers
        self.reactor.triggers.clear()
        stopped = trigger()
        self.reactor.advance(GRACE)
        self.until(stopped)
        self.failureResultOf(d, ThreadError)
        gate.set()
        for thread in threads_():
            thread.join(BOUND)

    def test_module(self):
        """The module has one for all, whose function stops it without arguments."""
        self.patch(threads, "_shared", self.shared)
        self.assertEqual(self.until(threads.deferToThread(int, "7")), 7)
        d = threads.deferToThread(calls.count, 3, consumer=(consumer := ListConsumer()))
        self.assertIs(self.until(d), consumer)
        self.assertEqual(
            list(self.until(threads.deferToThread(calls.count, 3, raw=True))), [0, 1, 2]
        )
        self.assertRaises(TypeError, threads.deferToThread, None)
        self.assertRaises(TypeError, threads.deferToThread, raw=True)
        self.until(threads.deferToThread())
        self.assertEqual(threads_(), [])


def threads_():
    """
    @return: A list of the threads that loopers have.
    """
    return [t for t in threading.enumerate() if t.name == "asynqueue looper"]
