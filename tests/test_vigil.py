"""
Tests of L{asynqueue.vigil}, and of who goes by it on the far side.
"""

from multiprocessing import Pipe
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import streams
from asynqueue.streams import Receiver, send
from asynqueue.vigil import QUESTION_SOON, Vigil


class VigilTests(SynchronousTestCase):
    """
    Tests of L{Vigil}.
    """

    def setUp(self):
        self.clock = Clock()
        self.vigil = Vigil(self.clock.seconds, 2.0)

    def wait(self, seconds):
        """
        Waits for something that comes after a time.

        @return: Whether it was awaited awake, and still was when it came.
        """
        self.vigil.begin()
        isAwake = self.vigil.lasts()
        self.clock.advance(seconds)
        wasAwake = self.vigil.lasts()
        self.vigil.end()
        return isAwake, wasAwake

    def test_soon(self):
        """Who gets what he waits for soon stays awake for the next."""
        self.assertEqual([self.wait(1), self.wait(1)], [(True, True)] * 2)

    def test_late(self):
        """Who does not goes to sleep; and sleeps until something has come soon."""
        self.assertEqual(self.wait(2), (True, False))
        self.assertEqual(self.wait(2), (False, False))
        self.assertEqual(self.wait(1), (False, False))
        self.assertEqual(self.wait(1), (True, True))

    def test_when(self):
        """It counts when it came, not when that was told."""
        self.vigil.begin()
        self.clock.advance(5)
        self.vigil.end(1)
        self.vigil.begin()
        self.assertTrue(self.vigil.lasts())


class ReceiverTests(SynchronousTestCase):
    """
    Tests of L{Receiver}, which a worker process waits by.
    """

    def setUp(self):
        self.clock = Clock()
        self.near, far = Pipe()
        self.addCleanup(self.near.close)
        self.addCleanup(far.close)
        times = mock.Mock(monotonic=self.clock.seconds)
        self.patch(streams, "time", times)
        self.receiver = Receiver(far)
        self.yields = 0

    def receive(self, after):
        """
        Receives a packet that is sent when it was looked for some times in vain, or
        when it is to be slept for.

        @return: How often it was looked for in vain.
        """
        self.yields = 0

        def letOthersRun():
            self.yields += 1
            self.clock.advance(QUESTION_SOON / 4)
            if self.yields == after:
                send(self.near, [b"a", b"packet"])

        with mock.patch.object(streams, "letOthersRun", letOthersRun):
            self.assertEqual(self.receiver.receive(), [b"a", b"packet"])
        return self.yields

    def test_looks(self):
        """It looks for what comes soon, and lets others run between two looks."""
        self.assertEqual([self.receive(2), self.receive(3)], [2, 3])

    def test_sleeps(self):
        """After something that came late it sleeps."""
        self.assertEqual(self.receive(4), 4)
        send(self.near, [b"a", b"packet"])
        self.assertEqual(self.receive(1), 0)
        # That came at once.
        self.assertEqual(self.receive(1), 1)

    def test_isHere(self):
        """What is here already is not looked for."""
        for _ in range(2):
            send(self.near, [b"a", b"packet"])
        self.assertEqual([self.receive(1), self.receive(1)], [0, 0])
