"""
What goes wrong while items are produced in order, or read.
"""

import gc
import threading
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from asynqueue.ordered import Stage
from asynqueue.threadpool import PoolUser
from tests.bridged import OrderedCase
from tests.support import BOUND


class ErrorTests(OrderedCase):
    def test_production(self):
        """
        An item that cannot be produced is an error in its place: for who asked, for
        the reader after the items before it, for the stop; then no more are wanted.
        """
        read = []

        def fb(items):
            read.extend(iter(lambda: next(items), None))

        self.start(fb)
        productions, asked = self.ask(4)
        productions[1].errback(ZeroDivisionError("enough"))
        productions[2].callback(2)
        self.assertNoResult(asked[1])
        productions[0].callback(0)
        self.failureResultOf(asked[1], ZeroDivisionError)
        self.assertIsNone(self.successResultOf(asked[2]))
        self.assertNoResult(asked[3])
        late = self.produce("late")
        self.failureResultOf(late, ZeroDivisionError)
        self.assertEqual(self.calls, [])
        self.assertRaises(ZeroDivisionError, self.stop)
        self.assertEqual(self.successResultOf(asked[0]), 0)
        productions[3].callback(3)
        self.assertIsNone(self.successResultOf(asked[3]))

    def test_raised(self):
        """It is all the same whether the production raises or its Deferred fails."""
        self.start()
        self.failureResultOf(self.produce(ZeroDivisionError()), ZeroDivisionError)
        self.assertRaises(ZeroDivisionError, self.stop)

    def test_handled(self):
        """A reader that deals with the error has its result returned."""

        def fb(items):
            found = []
            try:
                for item in items:
                    found.append(item)
            except ZeroDivisionError as e:
                found.append(str(e))
            return found

        self.start(fb)
        self.produce(0)
        d = self.produce(ZeroDivisionError("enough"))
        self.failureResultOf(d, ZeroDivisionError)
        self.assertEqual(self.stop(), [0, "enough"])

    def test_lateFailure(self):
        """What fails when no more is wanted fails for who asked."""
        self.start()
        productions, asked = self.ask(2)
        productions[0].errback(ZeroDivisionError())
        self.failureResultOf(asked[0], ZeroDivisionError)
        productions[1].errback(ValueError())
        self.failureResultOf(asked[1], ValueError)
        self.assertRaises(ZeroDivisionError, self.stop)

    def test_reader(self):
        """
        If the reader raises, its error is what the stop fails with, and what who
        asks for more is told; who has asked before gets None.
        """
        gate = threading.Event()
        self.addCleanup(gate.set)

        def brittle(items):
            next(items)
            gate.wait(BOUND)
            raise ZeroDivisionError("enough")

        self.start(brittle)
        asked = [self.produce(k) for k in range(10)]
        self.assertNoResult(asked[9])
        gate.set()
        self.assertIsNone(self.reactor.until(asked[9]))
        self.finish()
        self.failureResultOf(self.produce("late"), ZeroDivisionError)
        self.assertNotIn("late", self.calls)
        self.assertIs(self.p.stage, Stage.STOPPED)
        self.assertRaises(ZeroDivisionError, self.stop)
        self.assertRaises(ZeroDivisionError, self.stop)

    def test_unheard(self):
        """An error of the reader that nobody asks for by a stop is logged."""
        self.start(lambda items: 1 // 0)
        self.finish()
        del self.p
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_noThread(self):
        """If there can be no thread, that is what it fails with."""

        def start(self):
            raise RuntimeError("can't start new thread")

        patched = self.patch(threading.Thread, "start", start)
        self.failureResultOf(self.p.start(list), RuntimeError)
        patched.restore()
        self.assertRaises(RuntimeError, self.stop)

    def test_cancel(self):
        """To cancel the Deferred of an item is to cancel its production."""
        cancelled: list[Any] = []
        d = self.p.produceItem(lambda: Deferred(cancelled.append))
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(len(cancelled), 1)

    def test_cancelled(self):
        """An item that was cancelled is an error in its place."""
        self.start()
        _, asked = self.ask(2)
        asked[1].cancel()
        self.failureResultOf(asked[1], CancelledError)
        asked[0].cancel()
        self.failureResultOf(asked[0], CancelledError)
        self.assertRaises(CancelledError, self.stop)

    def test_cancelLate(self):
        """Who waits no more for an item that is there does not take it away."""
        self.start()
        productions, asked = self.ask(2)
        productions[1].callback(1)
        asked[1].cancel()
        self.failureResultOf(asked[1], CancelledError)
        productions[0].callback(0)
        self.assertEqual(self.stop(), [0, 1])

    def test_shutdown(self):
        """If the pool is shut down before it is stopped, the reader is told."""
        self.start()
        self.produce(0)
        self.reactor.until(PoolUser.shutdown(self.reactor))
        self.assertRaises(CancelledError, self.stop)
        self.failureResultOf(self.produce(1), CancelledError)
