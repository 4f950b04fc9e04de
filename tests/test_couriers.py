"""
What sends items when the next is slow, on a clock and a thread that a test steps.
"""

import threading

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.couriers import ENOUGH, Courier
from tests.support import BOUND


class CourierTests(SynchronousTestCase):
    def setUp(self):
        self.now = 0.0
        self.sent = []
        self.begun = 0
        self.courier = Courier(self.sent.append, lambda: self.now, self.begin)

    def begin(self, f):
        self.begun += 1

    def hold(self, what):
        """
        Has it hold something until the time is 1.
        """
        return self.courier.hold(lambda: [what], 1.0)

    def test_inTime(self):
        """What is taken back before it is due is not sent."""
        self.assertTrue(self.hold("a"))
        self.now = 0.9
        self.assertTrue(self.courier.look())
        self.assertTrue(self.courier.takeBack())
        self.now = 2.0
        self.assertTrue(self.courier.look())
        self.assertEqual(self.sent, [])

    def test_due(self):
        """What is due is sent, once, as it is then, and cannot be taken back."""
        self.hold("a")
        self.courier.takeBack()
        self.hold("b")
        self.now = 1.0
        for _ in range(3):
            self.courier.look()
        self.assertEqual(self.sent, [["b"]])
        self.assertFalse(self.courier.takeBack())

    def test_end(self):
        """When it is to end it holds nothing more, and its thread looks no more."""
        self.hold("a")
        self.courier.takeBack()
        self.courier.end()
        self.assertFalse(self.hold("b"))
        self.assertFalse(self.courier.look())
        self.assertEqual((self.sent, self.begun), ([], 1))

    def test_thread(self):
        """
        A thread is begun for the first that it holds, and after it has looked in vain
        often enough; not while it looks.
        """
        for begun in (1, 2):
            self.hold("a")
            self.courier.takeBack()
            for _ in range(ENOUGH - 1):
                self.assertTrue(self.courier.look())
            self.hold("b")
            self.assertEqual(self.begun, begun)
            self.assertTrue(self.courier.look())
            self.courier.takeBack()
            self.assertEqual([self.courier.look() for _ in range(ENOUGH)][-2:], [1, 0])

    def test_noThread(self):
        """If there can be no thread, it holds nothing; later it may."""

        def refuse(f):
            raise RuntimeError("can't start new thread")

        self.courier = Courier(self.sent.append, lambda: self.now, refuse)
        self.assertFalse(self.hold("a"))
        self.assertFalse(self.courier.takeBack())
        self.courier = Courier(self.sent.append, lambda: self.now, self.begin)
        self.assertTrue(self.hold("a"))

    def test_nobodyReads(self):
        """That nobody reads what it sends is for others to find."""

        def send(packet):
            raise BrokenPipeError

        self.courier = Courier(send, lambda: self.now, self.begin)
        self.hold("a")
        self.now = 1.0
        self.assertTrue(self.courier.look())
        self.assertFalse(self.courier.takeBack())

    def test_nothingToSendBy(self):
        """Without anything to send by it begins no thread, and gives all back."""
        self.courier = Courier(None, lambda: self.now, self.begin)
        self.assertTrue(self.hold("a"))
        self.now = 2.0
        self.courier.look()
        self.assertTrue(self.courier.takeBack())
        self.assertEqual((self.begun, self.sent), (0, []))

    def test_itself(self):
        """It has a thread of its own, which keeps no process from ending."""
        sent = threading.Event()
        threads = []

        def send(packet):
            threads.append(threading.current_thread())
            sent.set()

        courier = Courier(send)
        courier.hold(list, 0.0)
        self.assertTrue(sent.wait(BOUND))
        self.assertFalse(courier.takeBack())
        self.assertTrue(threads[0].daemon)
        threads[0].join(BOUND)
        self.assertFalse(threads[0].is_alive())
