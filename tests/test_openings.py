"""
Iterators that are open elsewhere, on a place that a test steps.
"""

import gc

from twisted.internet.defer import Deferred, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import WorkerError
from asynqueue.messages import Iteration, Status
from asynqueue.openings import LINGER, OpenIterators
from tests.fakes import Reactor


class OpeningsCase(SynchronousTestCase):
    def setUp(self):
        self.reactor = Reactor()
        self.requests: list[tuple[str, int]] = []
        self.asked: list[Deferred[tuple[Status, object]]] = []
        self.ending: tuple[Status, object] = (Status.NONE, None)
        self.iterators = OpenIterators(self.ask, self.end, self.reactor)

    def ask(self, ID):
        self.requests.append(("ask", ID))
        self.asked.append(Deferred())
        return self.asked[-1]

    def end(self, ID):
        self.requests.append(("end", ID))
        return succeed(self.ending)

    def open(self, ID, *first):
        return self.iterators.deferator(Iteration(ID, [*first]), f"call {ID}")

    def answer(self, status, result=None):
        self.asked.pop(0).callback((status, result))


class ItemsTests(OpeningsCase):
    def test_items(self):
        """Items come from where it is open, but for the first, which is here."""
        dr = self.open(1, "a")
        first = next(dr)
        self.answer(Status.RESULT, "b")
        self.assertEqual(self.successResultOf(first), "a")
        last = next(dr)
        self.answer(Status.NONE)
        self.assertEqual(self.successResultOf(last), "b")
        self.assertRaises(StopIteration, next, dr)
        self.assertEqual(self.requests, [("ask", 1), ("ask", 1)])

    def test_empty(self):
        """One that had no items is not open at all."""
        self.assertEqual(list(self.open(None)), [])
        self.assertEqual(self.requests, [])

    def test_error(self):
        """What it raises comes after the items before, and it is closed by that."""
        dr = self.open(1, "a")
        first = next(dr)
        self.answer(Status.ERROR, ValueError("enough"))
        self.assertEqual(self.successResultOf(first), "a")
        self.failureResultOf(next(dr), ValueError)
        self.failureResultOf(self.iterators.do_next(1), WorkerError)
        self.assertEqual(self.requests, [("ask", 1)])

    def test_lost(self):
        """If its place is lost, so is it, with the error that tells how."""
        self.open(1, "a")
        d = self.iterators.do_next(1)
        self.asked.pop().errback(EOFError("gone"))
        self.failureResultOf(d, EOFError)
        self.successResultOf(self.iterators.drained())

    def test_collected(self):
        """One whose Deferator nobody has is closed, once, by the reactor."""
        dr = self.open(1, "a")
        del dr
        gc.collect()
        self.assertEqual(self.requests, [])
        self.reactor.advance(0)
        self.assertEqual(self.requests, [("end", 1)])
        self.iterators.close(1)
        self.assertEqual(self.requests, [("end", 1)])

    def test_closingFails(self):
        """What it raises when it is closed is logged, with the call's name."""
        self.ending = Status.ERROR, ValueError("not to be closed")
        dr = self.open(1, "a")
        with capturedLogs() as events:
            dr.stop()
        (event,) = events
        self.assertEqual(event["call"], "call 1")
        self.assertIs(event["error"], self.ending[1])


class DrainedTests(OpeningsCase):
    def setUp(self):
        super().setUp()
        self.drs = {ID: self.open(ID, "a") for ID in (1, 2)}

    def drain(self):
        """
        @return: A list that tells what has been requested when all are closed.
        """
        told = []
        d = self.iterators.drained()
        d.addCallback(lambda _: told.append(list(self.requests)))
        return told

    def test_nothingOpen(self):
        """Without any that is open, there is nothing to wait for."""
        for dr in self.drs.values():
            dr.stop()
        self.assertEqual(len(self.drain()), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_idle(self):
        """
        Those that nobody asks are closed. Whoever waits for that is told when
        the last has been asked to close, not before.
        """
        told, again = self.drain(), self.drain()
        self.reactor.advance(0.9 * LINGER)
        self.assertEqual(told, [])
        self.reactor.advance(0.1 * LINGER)
        self.assertEqual(told, [[("end", 1), ("end", 2)]])
        self.assertEqual(again, told)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_inUse(self):
        """One that is asked within that time stays, until it is not any more."""
        told = self.drain()
        for _ in range(5):
            self.iterators.do_next(2)
            self.answer(Status.RESULT, "b")
            self.reactor.advance(LINGER)
        self.assertEqual(self.requests[1], ("end", 1))
        self.assertEqual(told, [])
        self.reactor.advance(LINGER)
        self.assertEqual(self.requests[-1], ("end", 2))
        self.assertEqual(len(told), 1)

    def test_slowItem(self):
        """
        One whose item is waited for is in use, however long that takes and
        whenever it was asked for.
        """
        self.iterators.do_next(1)
        told = self.drain()
        self.iterators.do_next(2)
        for _ in range(5):
            self.reactor.advance(LINGER)
        self.assertNotIn("end", dict(self.requests))
        self.answer(Status.RESULT, "b")
        self.answer(Status.RESULT, "b")
        self.reactor.advance(LINGER)
        self.assertEqual(told, [])
        self.reactor.advance(LINGER)
        self.assertEqual(told, [self.requests])

    def test_abandoned(self):
        """If their place is gone there is nothing to wait for, or to close."""
        told = self.drain()
        self.iterators.abandon()
        self.assertEqual(told, [[]])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.failureResultOf(self.iterators.do_next(1), WorkerError)
