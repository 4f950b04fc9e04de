"""
Tests of loops over a L{asynqueue.deferator.Deferator}.
"""

import gc
import weakref
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.deferator import Deferator
from tests import calls
from tests.test_prefetcherator import Source


@inlineCallbacks
def loop(dr, items, stopAfter=None):
    """
    Appends the items of a Deferator to a list.
    """
    for d in dr:
        items.append((yield d))
        if len(items) == stopAfter:
            break


async def asyncLoop(dr, items, stopAfter=None):
    """
    Appends the items of a Deferator to a list.
    """
    async for item in dr:
        items.append(item)
        if len(items) == stopAfter:
            break


def runAsync(*args):
    return Deferred.fromCoroutine(asyncLoop(*args))


LOOPS = (loop, runAsync)


class LoopTests(SynchronousTestCase):
    """
    Tests of both kinds of loop over a L{Deferator}.
    """

    def both(self, make, *args):
        """
        @return: An iterator over a Deferator, a list, and the Deferred of a
            loop that appends the items to it, for each kind of loop.
        """
        for runLoop in LOOPS:
            dr = make()
            items: list[Any] = []
            yield dr, items, runLoop(dr, items, *args)

    def test_ready(self):
        """
        All items come, in order, and then the iteration is complete.
        """
        for dr, items, done in self.both(lambda: Deferator(calls.count(5))):
            self.successResultOf(done)
            self.assertEqual(items, [0, 1, 2, 3, 4])
            self.assertIs(self.successResultOf(dr.d), True)
            self.assertFalse(dr.moreLeft)
            self.assertEqual(list(dr), [])

    def test_empty(self):
        """
        One over nothing is complete at once, and a loop over it makes no turn.
        """
        for source in (iter(()), calls.count, [1, 2], None, 3, "text"):
            for dr, items, done in self.both(
                lambda source=source: Deferator(
                    source(0) if source is calls.count else source
                )
            ):
                self.assertIs(self.successResultOf(dr.d), True)
                self.successResultOf(done)
                self.assertEqual((items, dr.moreLeft), ([], False))

    def test_slow(self):
        """
        Items that take their time come in order, none lost and none twice.
        """
        for runLoop in LOOPS:
            source = Source()
            items: list[Any] = []
            dr = Deferator(source)
            done = runLoop(dr, items)
            for i in range(3):
                self.assertNoResult(done)
                source.asked[i].callback(i)
            source.asked[3].errback(StopIteration())
            self.successResultOf(done)
            self.assertEqual((items, len(source.asked)), ([0, 1, 2], 4))
            self.assertIs(self.successResultOf(dr.d), True)

    def test_whenItemsCome(self):
        """
        In an async for loop an item comes as soon as it is there, in a for loop
        when it is known whether another follows.
        """
        for runLoop, early in ((loop, 0), (runAsync, 1)):
            source = Source()
            items: list[Any] = []
            runLoop(Deferator(source), items)
            source.asked[0].callback("a")
            self.assertEqual(len(items), early)
            source.asked[1].callback("b")
            self.assertEqual(items[0], "a")

    def test_error(self):
        """
        An error comes after the items before it; the iteration has failed, and
        is over.
        """
        for n in (0, 1, 3):
            for dr, items, done in self.both(lambda n=n: Deferator(calls.brittle(n))):
                self.failureResultOf(done, ValueError)
                self.assertEqual(items, list(range(n)))
                self.assertIs(self.successResultOf(dr.d), False)
                self.assertEqual(list(dr), [])

    def test_manyReadyItems(self):
        """
        20,000 items that are there already are no recursion.
        """
        for _, items, done in self.both(lambda: Deferator(iter(range(20_000)))):
            self.successResultOf(done)
            self.assertEqual(items, list(range(20_000)))

    def test_manyReadyTuples(self):
        """
        Nor are they if they come from a callable.
        """

        def make():
            numbers = iter(range(20_000))
            return Deferator("x", lambda: succeed(tell(next(numbers))))

        def tell(n):
            return n, True, n < 19_999

        for _, items, done in self.both(make):
            self.successResultOf(done)
            self.assertEqual(len(items), 20_000)

    def test_stop(self):
        """
        Stopping closes the iterator, ends the loop, and counts as not
        complete.
        """
        for runLoop in LOOPS:
            source = Source()
            items: list[Any] = []
            dr = Deferator(source)
            done = runLoop(dr, items)
            source.asked[0].callback("a")
            dr.stop()
            dr.stop()
            self.assertIs(self.successResultOf(dr.d), False)
            self.successResultOf(done)
            self.assertEqual((items[:1], source.closed), (["a"], 1))
            self.assertEqual(list(dr), [])

    def test_stopAfterTheEnd(self):
        """
        Stopping what is complete changes nothing.
        """
        for dr, _, done in self.both(lambda: Deferator(calls.count(1))):
            self.successResultOf(done)
            dr.stop()
            self.assertIs(self.successResultOf(dr.d), True)

    def test_brokenOff(self):
        """
        A loop that was broken off leaves nothing that keeps the Deferator: it
        goes at once, without the garbage collector, and closes its generator.
        """
        gc.disable()
        self.addCleanup(gc.enable)
        for runLoop in LOOPS:
            events: list[str] = []
            items: list[int] = []

            def generate(events=events):
                try:
                    yield from range(10)
                finally:
                    events.append("closed")

            dr = Deferator(generate())
            gone = weakref.ref(dr)
            done = runLoop(dr, items, 2)
            del dr
            self.successResultOf(done)
            self.assertEqual((items, gone(), events), ([0, 1], None, ["closed"]))

    def test_itemsKeptKeepNothing(self):
        """
        A slow item that is there, and whose Deferred is kept, does not keep the
        iterator open once the Deferator and the loop are gone.
        """
        gc.disable()
        self.addCleanup(gc.enable)
        source = Source()
        items: list[Any] = []
        dr = Deferator(source)
        gone = weakref.ref(dr)
        done = runAsync(dr, items, 1)
        source.asked[0].callback("a")
        del dr
        self.successResultOf(done)
        self.assertIsNone(gone())

    def test_cancelled(self):
        """
        Whoever cancels the wait for an item gets C{CancelledError}, and the
        iterator is closed.
        """
        for runLoop in LOOPS:
            source = Source()
            dr = Deferator(source)
            done = runLoop(dr, [])
            done.cancel()
            self.failureResultOf(done, CancelledError)
            self.assertIs(self.successResultOf(dr.d), False)
            self.assertEqual(source.closed, 1)
            source.asked[0].callback("too late")
