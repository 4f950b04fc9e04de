"""
Tests of L{asynqueue.interrupts}.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.interrupts import Abandoned, Interrupts
from tests.support import BOUND


def spin():
    """
    Runs Python code, for a long time at most.
    """
    deadline = time.monotonic() + BOUND
    while time.monotonic() < deadline:
        time.sleep(0)


class InterruptsTests(SynchronousTestCase):
    def setUp(self):
        self.interrupts = Interrupts()
        self.executor = ThreadPoolExecutor(8)
        self.addCleanup(self.executor.shutdown)

    def begin(self, number, f):
        """
        Has a function run as a call, in a thread.

        @return: A future of C{"done"} or C{"abandoned"}, when the thread has gone on
            for a while after it.
        """
        begun = threading.Event()

        def run():
            try:
                with self.interrupts.during(number):
                    begun.set()
                    f()
                outcome = "done"
            except Abandoned:
                outcome = "abandoned"
            for _ in range(1000):
                pass
            return outcome

        future = self.executor.submit(run)
        begun.wait(BOUND if not future.done() else 0)
        return future

    def test_in(self):
        """A call that runs is abandoned, and its thread goes on to live."""
        future = self.begin(1, spin)
        self.assertIs(self.interrupts.abandon(1), True)
        self.assertEqual(future.result(BOUND), "abandoned")

    def test_others(self):
        """Another call, in another thread, goes on."""
        gate = threading.Event()
        futures = [self.begin(1, spin), self.begin(2, lambda: gate.wait(BOUND))]
        self.interrupts.abandon(1)
        self.assertEqual(futures[0].result(BOUND), "abandoned")
        gate.set()
        self.assertEqual(futures[1].result(BOUND), "done")

    def test_twice(self):
        """A call that is abandoned twice is interrupted once."""
        caught = threading.Event()
        gate = threading.Event()

        def stubborn():
            try:
                spin()
            except Abandoned:
                caught.set()
                gate.wait(BOUND)

        future = self.begin(1, stubborn)
        self.interrupts.abandon(1)
        self.assertTrue(caught.wait(BOUND))
        self.assertIs(self.interrupts.abandon(1), True)
        gate.set()
        self.assertEqual(future.result(BOUND), "done")

    def test_before(self):
        """A call that is abandoned before it begins never does."""
        begun = []
        self.assertIs(self.interrupts.abandon(1), False)
        with self.assertRaises(Abandoned), self.interrupts.during(1):
            begun.append(1)
        self.assertEqual(begun, [])

    def test_after(self):
        """What is abandoned when it is over does no harm."""
        with self.interrupts.during(1):
            pass
        self.assertIs(self.interrupts.abandon(1), False)
        with self.interrupts.during(2):
            sum(range(1000))

    def test_tooLate(self):
        """What is to be raised at the end of a call is not raised after it."""
        for number in range(300):
            leaving = threading.Event()
            future = self.begin(number, leaving.set)
            leaving.wait(BOUND)
            self.interrupts.abandon(number)
            self.assertIn(future.result(BOUND), ("done", "abandoned"))

    def test_many(self):
        """Of many calls at once those that are abandoned are, and no others."""
        gate = threading.Event()
        for turn in range(20):
            numbers = range(8 * turn, 8 * turn + 8)
            gate.clear()
            futures = [
                self.begin(n, spin if n % 2 else lambda: gate.wait(BOUND))
                for n in numbers
            ]
            for n in numbers[1::2]:
                self.interrupts.abandon(n)
            gate.set()
            outcomes = [future.result(BOUND) for future in futures]
            self.assertEqual(outcomes, 4 * ["done", "abandoned"])

    def test_raising(self):
        """What a call raises comes through, and it is over then."""
        with self.assertRaises(ValueError), self.interrupts.during(1):
            int("none")
        self.assertIs(self.interrupts.abandon(1), False)

    def test_close(self):
        """Closing abandons all calls that run, and those that come."""
        futures = [self.begin(n, spin) for n in range(3)]
        self.interrupts.close()
        self.assertEqual([f.result(BOUND) for f in futures], 3 * ["abandoned"])
        with self.assertRaises(Abandoned), self.interrupts.during(4):
            pass
