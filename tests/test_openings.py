"""
Iterators that are open elsewhere, on a place that a test steps.
"""

import gc
import itertools
from functools import partial

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import UnpicklingError, WorkerError
from asynqueue.messages import Iteration, Status
from asynqueue.openings import LINGER, MANY, SLICE, OpenIterators
from asynqueue.replies import loaded
from tests.fakes import Reactor
from tests.test_iteration import asyncLoop


def give(item):
    """Returns, or raises, what it is given."""
    if isinstance(item, Exception):
        raise item
    return item


class OpeningsCase(SynchronousTestCase):
    def setUp(self):
        self.reactor = Reactor()
        self.requests: list[tuple[str, int]] = []
        self.mosts: list[int] = []
        self.asked: list[Deferred[tuple[Status, object]]] = []
        self.ending: tuple[Status, object] = (Status.NONE, None)
        self.iterators = OpenIterators(self.ask, self.end, self.reactor)

    def ask(self, ID, most):
        self.requests.append(("ask", ID))
        self.mosts.append(most)
        self.asked.append(Deferred())
        return self.asked[-1]

    def end(self, ID):
        self.requests.append(("end", ID))
        return succeed(self.ending)

    def open(self, ID, *first):
        return self.iterators.deferator(Iteration(ID, [*first]), f"call {ID}")

    def answer(self, status, error=None):
        self.asked.pop(0).callback((status, error))

    def come(self, *items):
        """
        Answers with items; one that is an exception cannot be loaded.
        """
        loads = [partial(loaded, give, item) for item in items]
        self.asked.pop(0).callback((Status.RESULT, loads))


class ItemsTests(OpeningsCase):
    def test_items(self):
        """Items come from where it is open, but for the first, which is here."""
        dr = self.open(1, "a")
        first = next(dr)
        self.come("b")
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


class ManyTests(OpeningsCase):
    """
    Several items come at a time.
    """

    def setUp(self):
        super().setUp()
        self.dr = self.open(1, "first")

    def take(self):
        return self.iterators.do_next(1)

    def takeAll(self, n):
        """
        @return: A list of the next items, all of which are here.
        """
        return [self.successResultOf(self.take()) for _ in range(n)]

    def prepare(self, n):
        """
        Has so many items come, and nobody take them but the first.
        """
        d = self.take()
        self.come(*range(n))
        self.assertEqual(self.successResultOf(d), 0)

    def test_asManyAsTaken(self):
        """As many are asked for as have been taken, when none is here any more."""
        for n in (1, 2, 4):
            d = self.take()
            self.come(*range(n))
            self.assertEqual(
                [self.successResultOf(d), *self.takeAll(n - 1)], [*range(n)]
            )
        self.take()
        self.assertEqual(self.mosts, [1, 2, 4, 8])

    def test_askedAhead(self):
        """
        While many come at a time, the next are asked for when fewer than half are
        left, once; while few do, only when somebody waits.
        """
        self.prepare(MANY)
        self.takeAll(MANY // 2 - 1)
        self.assertEqual(len(self.mosts), 1)
        self.takeAll(MANY // 2)
        self.assertEqual(self.mosts, [1, MANY // 2 + 2])
        last = self.take()
        self.assertNoResult(last)
        self.assertEqual(len(self.mosts), 2)
        self.come(*"abc")
        self.assertEqual([self.successResultOf(last), *self.takeAll(2)], [*"abc"])
        self.assertEqual(len(self.mosts), 2)

    def test_endAhead(self):
        """
        An end, an error or a loss that was found ahead comes after the items that are
        here. The iterator is not open any more, and there is nothing to close.
        """
        lost = EOFError("gone")
        for end, error in (
            (lambda d: d.callback((Status.NONE, None)), StopIteration),
            (lambda d: d.callback((Status.ERROR, ValueError("enough"))), ValueError),
            (lambda d: d.errback(lost), EOFError),
        ):
            self.setUp()
            items: list[object] = []
            done = Deferred.fromCoroutine(asyncLoop(self.dr, items, MANY - 2))
            self.come(*range(MANY))
            self.successResultOf(done)
            end(self.asked.pop())
            self.successResultOf(self.iterators.allEnded())
            rest = Deferred.fromCoroutine(asyncLoop(self.dr, items))
            self.assertEqual(items, ["first", *range(MANY)])
            if error is StopIteration:
                self.successResultOf(rest)
            else:
                self.failureResultOf(rest, error)
            self.dr.stop()
            self.assertNotIn(("end", 1), self.requests)

    def test_notLoaded(self):
        """
        An item that cannot be loaded comes as an error, after those before it, and
        ends the iteration; those after it are dropped.
        """
        for place in range(3):
            self.setUp()
            items: list[object] = ["a", "b", "c", "d"]
            items[place] = RuntimeError("not to be made again")
            found: list[object] = []
            done = Deferred.fromCoroutine(asyncLoop(self.dr, found))
            self.come(*items)
            error = self.failureResultOf(done, UnpicklingError).value
            self.assertIs(error.__cause__, items[place])
            self.assertEqual(found, ["first", *items[:place]])
            self.assertEqual(self.requests, [("ask", 1), ("end", 1)])

    def test_loading(self):
        """
        One that takes long to be loaded comes as a Deferred, in its turn. While it is
        waited for its iterator is in use; if it fails, that is closed.
        """
        error = UnpicklingError("not loaded")
        for isLoaded in (True, False):
            self.setUp()
            loading: Deferred[object] = Deferred()
            items: list[object] = []
            done = Deferred.fromCoroutine(asyncLoop(self.dr, items, 3))
            self.come("a", loading, "b")
            self.iterators.drained()
            for _ in range(3):
                self.reactor.advance(LINGER)
            self.assertEqual((items, self.requests), (["first", "a"], [("ask", 1)]))
            if isLoaded:
                loading.callback("loaded")
                self.successResultOf(done)
                self.assertEqual(items, ["first", "a", "loaded"])
                self.dr.stop()
            else:
                loading.errback(error)
                self.failureResultOf(done, UnpicklingError)
            self.assertEqual(self.requests, [("ask", 1), ("end", 1)])

    def test_stop(self):
        """
        stop() closes it at once, drops what is here, and what comes later.
        """
        items: list[object] = []
        done = Deferred.fromCoroutine(asyncLoop(self.dr, items, MANY - 2))
        self.come(*range(MANY))
        self.successResultOf(done)
        self.assertEqual(len(self.asked), 1)
        self.dr.stop()
        self.assertEqual(self.requests[-1], ("end", 1))
        self.come(*"abc")
        self.assertEqual(list(self.dr), [])

    def test_turn(self):
        """
        However many items are here, the reactor has a turn when they have been taken
        for some time.
        """
        self.prepare(5)
        self.reactor.advance(0.9 * SLICE)
        self.takeAll(1)
        # As if that had taken time.
        self.reactor.rightNow += 0.1 * SLICE
        ds = [self.take(), self.take()]
        self.assertNoResult(ds[0])
        self.reactor.advance(0)
        self.assertEqual([self.successResultOf(d) for d in ds], [2, 3])
        self.assertEqual(self.takeAll(1), [4])

    def test_waiters(self):
        """Those who wait get one item each, in order; who does no more gets none."""
        ds = [self.take() for _ in range(4)]
        ds[1].cancel()
        self.failureResultOf(ds[1], CancelledError)
        self.come("a")
        self.come("b", "c", "d")
        got = [self.successResultOf(d) for d in (ds[0], *ds[2:], self.take())]
        self.assertEqual(got, ["a", "b", "c", "d"])
        self.assertEqual(len(self.mosts), 2)

    def test_noRecursion(self):
        """100,000 items that come in answers that are there at once do not nest."""
        left = iter(range(100_000))

        def ask(ID, most):
            items = [*itertools.islice(left, min(most, 1000))]
            found = [partial(give, item) for item in items]
            return succeed((Status.RESULT, found) if found else (Status.NONE, None))

        self.iterators = OpenIterators(ask, self.end, self.reactor)
        items: list[object] = []
        done = Deferred.fromCoroutine(asyncLoop(self.open(1, "first"), items))
        self.successResultOf(done)
        self.assertEqual(items, ["first", *range(100_000)])


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
            self.come("b")
            self.reactor.advance(LINGER)
        self.assertEqual(self.requests[1], ("end", 1))
        self.assertEqual(told, [])
        self.reactor.advance(LINGER)
        self.assertEqual(self.requests[-1], ("end", 2))
        self.assertEqual(len(told), 1)

    def test_itemsHere(self):
        """
        One whose items are here is in use while somebody takes them, and not if
        nobody does; then they can still be taken, and the error comes after them.
        """
        told = self.drain()
        for ID in (1, 2):
            self.iterators.do_next(ID)
            self.come(*"abcd")
        for _ in range(3):
            self.reactor.advance(LINGER)
            self.iterators.do_next(2)
            self.reactor.advance(0)
        self.assertIn(("end", 1), self.requests)
        self.assertNotIn(("end", 2), self.requests)
        self.reactor.advance(LINGER)
        self.reactor.advance(LINGER)
        self.assertEqual(told, [self.requests])
        items: list[object] = []
        done = Deferred.fromCoroutine(asyncLoop(self.drs[1], items))
        self.reactor.advance(0)
        self.failureResultOf(done, WorkerError)
        self.assertEqual(items, [*"abcd"])

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
        self.come("b")
        self.come("b")
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
