"""
Items for a thread that iterates, in the order in which they were asked for.
"""

import threading
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from asynqueue.ordered import OrderedItemProducer, Stage
from asynqueue.threadpool import PoolUser
from tests.bridged import OrderedCase, PoolReactor, Spy


class OrderTests(OrderedCase):
    def test_interface(self):
        """It is a push producer, as far as interfaces tell."""
        verifyObject(IPushProducer, self.p)

    def test_order(self):
        """Items are read in the order in which they were asked for."""
        self.start()
        productions, asked = self.ask(4)
        for k in (2, 0, 3):
            productions[k].callback(k)
        self.successResultOf(asked[0])
        for d in asked[1:]:
            self.assertNoResult(d)
        self.assertEqual(self.p.itemBuffer, {1: 2, 2: 3})
        stopped = self.p.stop()
        productions[1].callback(1)
        self.assertEqual(self.reactor.until(stopped), [0, 1, 2, 3])
        self.assertEqual([self.successResultOf(d) for d in asked[1:]], [1, 2, 3])

    def test_arguments(self):
        """Both functions get their arguments, of any name."""
        kw: dict[str, Any] = {"fb": 1, "fp": 2, "self": 3, "args": 4}
        self.start(lambda items, *args, **kw: (list(items), args, kw), 5, **kw)
        d = self.p.produceItem(lambda *args, **kw: (args, kw), 6, **kw)
        self.assertEqual(self.reactor.until(d), ((6,), kw))
        self.assertEqual(self.stop(), ([((6,), kw)], (5,), kw))

    def test_threads(self):
        """One function is called in a thread of the pool, the other is not."""
        self.start(lambda items: (list(items), threading.current_thread()))
        self.p.produceItem(threading.current_thread)
        (here,), there = self.stop()
        self.assertIs(here, threading.current_thread())
        self.assertIn("asynqueue", there.name)

    def test_beforeStart(self):
        """Items can be asked for before there is somebody to read them."""
        asked = [self.produce(k) for k in range(2)]
        self.start()
        self.assertEqual(self.stop(), [0, 1])
        self.assertEqual([self.successResultOf(d) for d in asked], [0, 1])

    def test_bound(self):
        """
        No more items are handed over than there is room for; the Deferreds of the
        others wait.
        """
        read, letGo = self.gate()
        self.start(read)
        asked = [self.produce(k) for k in range(10)]
        for d in asked[:3]:
            self.successResultOf(d)
        for d in asked[3:]:
            self.assertNoResult(d)
        self.assertEqual(self.p.i._buffer.snapshot(), [0, 1, 2])
        letGo()
        self.assertEqual(self.stop(), list(range(10)))
        self.assertEqual(self.spy.most, 3)
        self.assertEqual([self.successResultOf(d) for d in asked[3:]], [*range(3, 10)])

    def test_oneAtATime(self):
        """Who waits for each has one more than fits on its way at most."""
        self.start()

        async def produce():
            for k in range(100):
                assert await self.produce(k) == k
                assert len(self.p.itemBuffer) == 0

        self.reactor.until(Deferred.fromCoroutine(produce()))
        self.assertEqual(self.stop(), list(range(100)))
        self.assertEqual(self.spy.most, 3)

    def test_deep(self):
        """As many items as are there at once take no more stack than one."""
        p = OrderedItemProducer(maxItems=5000, reactor=self.reactor)
        self.reactor.until(p.start(list))
        first: Deferred[Any] = Deferred()
        p.produceItem(lambda: first)
        for k in range(1, 3000):
            p.produceItem(int, k)
        first.callback(0)
        self.assertEqual(self.reactor.until(p.stop()), list(range(3000)))

    def test_deepChain(self):
        """Neither do those each asked for when the one before was handed over."""
        p = OrderedItemProducer(maxItems=5000, reactor=self.reactor)
        self.reactor.until(p.start(list))
        done: Deferred[Any] = Deferred()

        def again(k):
            if k < 3000:
                p.produceItem(int, k + 1).addCallback(again)
            else:
                done.callback(None)

        first: Deferred[Any] = Deferred()
        p.produceItem(lambda: first).addCallback(again)
        first.callback(0)
        self.reactor.until(done)
        self.assertEqual(self.reactor.until(p.stop()), list(range(3001)))

    def test_reentrant(self):
        """A production may ask for another item, which comes after its own."""
        self.start()

        def produce():
            self.produce("second")
            return "first"

        self.p.produceItem(produce)
        self.assertEqual(self.stop(), ["first", "second"])

    def test_shared(self):
        """A Deferred that others have too keeps its result."""
        self.start()
        d: Deferred[Any] = Deferred()
        self.p.produceItem(lambda: d)
        d.callback(5)
        self.assertEqual(self.successResultOf(d), 5)
        self.assertEqual(self.stop(), [5])

    def test_pause(self):
        """It hands nothing over while it is paused."""
        self.start()
        self.p.pauseProducing()
        d = self.produce(0)
        self.assertNoResult(d)
        self.p.resumeProducing()
        self.successResultOf(d)
        self.assertEqual(self.stop(), [0])

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_anyOrder(self, data):
        """Whichever is there first, and whoever reads meanwhile, the order is kept."""
        n = data.draw(st.integers(0, 12))
        order = data.draw(st.permutations(range(n)))
        started = data.draw(st.integers(0, n))
        maxItems = data.draw(st.integers(1, 4))
        reactor = PoolReactor()
        p = OrderedItemProducer(maxItems=maxItems, reactor=reactor)
        spy = Spy(p.i)
        productions: list[Any] = [Deferred() for _ in range(n)]
        asked = [p.produceItem(lambda d=d: d) for d in productions]
        for when, k in enumerate(order):
            if when == started:
                reactor.until(p.start(list))
            productions[k].callback(k)
            reactor.settle()
        if started == n:
            reactor.until(p.start(list))
        self.assertEqual(reactor.until(p.stop()), list(range(n)))
        self.assertEqual([self.successResultOf(d) for d in asked], list(range(n)))
        self.assertLessEqual(spy.most, maxItems)
        reactor.until(PoolUser.shutdown(reactor))


class EndTests(OrderedCase):
    def test_early(self):
        """A reader that has enough is done; no more is produced."""
        self.start(next)
        self.produce("a")
        self.finish()
        self.assertIsNone(self.successResultOf(self.produce("b")))
        self.assertEqual(self.calls, ["a"])
        self.assertEqual(self.stop(), "a")
        self.assertEqual(self.p.i.runState, "stopped")

    def test_afterStop(self):
        """When it was stopped, no more is produced, though some is on its way."""
        self.start()
        productions, _ = self.ask(1)
        d = self.p.stop()
        self.assertIs(self.p.stage, Stage.STOPPING)
        self.assertIsNone(self.successResultOf(self.produce("late")))
        self.assertNoResult(d)
        productions[0].callback(0)
        self.assertEqual(self.reactor.until(d), [0])
        self.assertEqual(self.calls, [])

    def test_twice(self):
        """Whoever stops it gets the result."""
        self.start()
        self.produce(0)
        first, second = self.p.stop(), self.p.stop()
        self.assertEqual(self.reactor.until(first), [0])
        self.assertEqual(self.successResultOf(second), [0])
        self.assertEqual(self.stop(), [0])

    def test_finished(self):
        """The end of the reader can be waited for without stopping anything."""
        self.start(next)
        self.produce("a")
        self.assertEqual(self.reactor.until(self.p.dFinished), "a")

    def test_never(self):
        """One that was not started has no result, and lets go of all."""
        productions, asked = self.ask(2)
        productions[1].callback(1)
        self.assertIsNone(self.successResultOf(self.p.stop()))
        self.assertIsNone(self.successResultOf(asked[1]))
        productions[0].callback(0)
        self.assertIsNone(self.successResultOf(asked[0]))
        self.assertRaises(RuntimeError, self.p.start, list)

    def test_neverButShutDown(self):
        """So has one whose pool was shut down before it was started."""
        self.produce(0)
        self.reactor.until(PoolUser.shutdown(self.reactor))
        self.reactor.settle()
        self.assertIsNone(self.successResultOf(self.p.stop()))

    def test_withFailure(self):
        """A failure to stop it with comes after the items, and is what it comes to."""
        for failure in (ZeroDivisionError("enough"), Failure(ZeroDivisionError())):
            p = OrderedItemProducer(reactor=self.reactor)
            found: list[int] = []
            self.reactor.until(p.start(found.extend))
            p.produceItem(int, 1)
            d = p.stop(failure)
            self.assertRaises(ZeroDivisionError, self.reactor.until, d)
            self.assertEqual(found, [1])

    def test_withFailureHandled(self):
        """So it is if the reader deals with it."""

        def fb(items):
            try:
                return list(items)
            except ZeroDivisionError:
                return "handled"

        self.start(fb)
        d = self.p.stop(ZeroDivisionError())
        self.assertRaises(ZeroDivisionError, self.reactor.until, d)
        self.assertEqual(self.reactor.until(self.p.stop()), "handled")

    def test_stopProducing(self):
        """To stop it producing ends the iteration after what was handed over."""
        self.start()
        _, asked = self.ask(1)
        self.produce("late")
        self.p.stopProducing()
        self.assertIsNone(self.successResultOf(self.produce("later")))
        self.assertEqual(self.stop(), [])
        self.assertNoResult(asked[0])

    def test_startTwice(self):
        """It is started once."""
        self.start()
        self.assertRaises(RuntimeError, self.p.start, list)
        self.assertEqual(self.stop(), [])
        self.assertRaises(RuntimeError, self.p.start, list)

    def test_refused(self):
        """What cannot be called is refused at once, and so are bad numbers."""
        bad: Any = 5
        self.assertRaises(TypeError, self.p.start, bad)
        self.assertRaises(TypeError, self.p.produceItem, bad)
        for name in ("maxItems", "maxThreads"):
            kw: dict[str, Any] = {name: 0, "reactor": self.reactor}
            self.assertRaises(ValueError, OrderedItemProducer, **kw)
        self.start()
        self.assertEqual(self.stop(), [])
