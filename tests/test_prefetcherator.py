"""
Tests of L{asynqueue.deferator.Prefetcherator}.
"""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.deferator import Prefetcherator
from tests import calls


class Source:
    """
    An iterator whose items come when the test says so.

    @ivar asked: The Deferreds of the items.
    """

    def __init__(self):
        self.asked: list[Deferred[Any]] = []
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.asked.append(Deferred())
        return self.asked[-1]

    def close(self):
        self.closed += 1


class PrefetcheratorTests(SynchronousTestCase):
    """
    Tests of L{Prefetcherator}.
    """

    def setUp(self):
        self.pf = Prefetcherator("its ID")
        self.source = Source()

    def test_fresh(self):
        """
        One that was not set up has nothing.
        """
        self.assertFalse(self.pf.isBusy())
        self.assertEqual(self.successResultOf(self.pf.getNext()), (None, False, False))
        self.assertEqual((self.pf.ID, self.pf.lastFetch), ("its ID", (None, False)))
        self.assertIn("its ID", repr(self.pf))

    def test_iterator(self):
        """
        It gives each item, and tells with it whether another follows.
        """
        self.assertIs(self.successResultOf(self.pf.setup(iter("ab"))), True)
        self.assertEqual(self.pf.lastFetch, ("a", True))
        results = [self.successResultOf(self.pf.getNext()) for _ in range(4)]
        self.assertEqual(
            results,
            [("a", True, True), ("b", True, False)] + [(None, False, False)] * 2,
        )

    def test_sources(self):
        """
        It takes iterators, generator functions with arguments, and callables
        that return items or Deferreds of them, but nothing else.
        """
        source: Any
        for source, args in ((iter([7]), ()), (calls.count, (1,)), (self.give, (0,))):
            pf = Prefetcherator()
            self.assertIs(self.successResultOf(pf.setup(source, *args)), True)
            items = []
            while pf.isBusy():
                items.append(self.successResultOf(pf.getItem())[0])
            self.assertEqual(items[0], 7 if source is not calls.count else 0)
        for source in ([1], "ab", None, 3):
            self.assertIs(self.successResultOf(self.pf.setup(source)), False)
        self.assertIs(self.successResultOf(self.pf.setup(iter(()))), False)

    given = 0

    def give(self, extra):
        self.given += 1
        if self.given == 1:
            return 7 + extra
        return succeed(8) if self.given == 2 else fail(StopIteration())

    def test_ends(self):
        """
        A callable that has no more may raise C{IndexError}, as C{list.pop} does; in
        an iterator that is an error.
        """
        self.successResultOf(self.pf.setup([2, 1].pop))
        results = [self.successResultOf(self.pf.getNext()) for _ in range(3)]
        self.assertEqual(
            results, [(1, True, True), (2, True, False), (None, False, False)]
        )
        iterator = ([][i] if i else i for i in range(2))
        self.successResultOf(self.pf.setup(iterator))
        self.assertEqual(self.successResultOf(self.pf.getNext()), (0, True, True))
        self.failureResultOf(self.pf.getNext(), IndexError)

    def test_error(self):
        """
        An error comes in the place of an item, once, and is the end.
        """
        self.pf.setup(calls.brittle(1))
        self.assertEqual(self.successResultOf(self.pf.getNext()), (0, True, True))
        self.assertIs(self.failureResultOf(self.pf.getNext()).type, ValueError)
        self.assertEqual(self.successResultOf(self.pf.getNext()), (None, False, False))

    def test_errorAtOnce(self):
        """
        An iterator that raises at once is set up, with an error to be had.
        """
        self.assertIs(self.successResultOf(self.pf.setup(calls.brittle(0))), True)
        self.failureResultOf(self.pf.getItem(), ValueError)

    def test_slow(self):
        """
        The item after the next is not asked for before the next is there, and
        setting it up does not lose the first.
        """
        ready = self.pf.setup(self.source)
        one = self.pf.getNext()
        self.assertEqual(len(self.source.asked), 1)
        self.source.asked[0].callback("a")
        self.assertIs(self.successResultOf(ready), True)
        self.assertNoResult(one)
        self.source.asked[1].callback("b")
        self.assertEqual(self.successResultOf(one), ("a", True, True))
        self.assertEqual(len(self.source.asked), 2)

    def test_itemAlone(self):
        """
        An item can be had without waiting for the one after it.
        """
        self.pf.setup(self.source)
        self.source.asked[0].callback("a")
        self.assertEqual(self.successResultOf(self.pf.getItem()), ("a", True))
        self.assertEqual(len(self.source.asked), 1)
        self.assertTrue(self.pf.isBusy())

    def test_severalAtOnce(self):
        """
        Those who ask before the one before them has got its item each get one
        of their own, in order.
        """
        self.pf.setup(self.source)
        ds = [self.pf.getItem() for _ in range(3)]
        for i in range(3):
            self.source.asked[i].callback(i)
        self.assertEqual([self.successResultOf(d)[0] for d in ds], [0, 1, 2])
        self.assertEqual(len(self.source.asked), 3)

    def test_cancelled(self):
        """
        Who asks no longer takes nothing from who asks next.
        """
        self.pf.setup(self.source)
        one, two = self.pf.getItem(), self.pf.getItem()
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.source.asked[0].callback("a")
        self.assertEqual(self.successResultOf(two), ("a", True))

    def test_stop(self):
        """
        Stopping closes the source, once, and ends the wait for an item at once;
        one that comes too late is dropped.
        """
        self.pf.setup(self.source)
        d = self.pf.getNext()
        for _ in range(2):
            self.pf.stop()
        self.assertEqual(self.successResultOf(d), (None, False, False))
        self.source.asked[0].callback("too late")
        self.assertFalse(self.pf.isBusy())
        self.assertEqual(self.source.closed, 1)
        self.assertEqual(len(self.source.asked), 1)

    def test_stopThenError(self):
        """
        An error that comes too late bothers nobody.
        """
        self.pf.setup(self.source)
        self.pf.stop()
        self.source.asked[0].errback(ValueError())
        self.assertFalse(self.pf.isBusy())

    def test_closedOnlyIfOpen(self):
        """
        What has come to its end is not closed.
        """
        self.pf.setup(self.source)
        self.source.asked[0].errback(StopIteration())
        self.pf.stop()
        self.assertEqual(self.source.closed, 0)

    def test_closeRaises(self):
        """
        If closing the source raises, whoever stops it is told, and nobody waits
        any longer.
        """

        def close():
            raise ZeroDivisionError

        self.pf.resume([], lambda: None, close)
        self.pf.stop()
        self.pf.resume(["a"], Deferred, close)
        self.pf.getItem()
        d = self.pf.getItem()
        self.assertRaises(ZeroDivisionError, self.pf.stop)
        self.assertEqual(self.successResultOf(d), (None, False))

    def test_resume(self):
        """
        It can begin in the middle, with an item that is there already.
        """
        rest = iter("bc")
        self.pf.resume(["a"], lambda: next(rest), lambda: None)
        items = [self.successResultOf(self.pf.getNext()) for _ in range(3)]
        self.assertEqual(
            items, [("a", True, True), ("b", True, True), ("c", True, False)]
        )
