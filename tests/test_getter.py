"""
An iterator for a thread to wait for.
"""

import gc
import threading
import weakref
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from asynqueue.buffers import MAX_ITEMS, RunState
from asynqueue.errors import NotReadyError, WorkerError
from asynqueue.getter import IterationGetter
from asynqueue.threadpool import PoolUser, thePool
from tests.bridged import PoolCase, Spy
from tests.support import BOUND


class Source(IterationGetter):
    """
    I put the items of an iterable.

    @ivar refused: The item that nobody wanted, if there is one.
    @ivar begun: Is released when I begin with the items that I have.
    """

    items: Any = ()
    refused = None

    def __init__(self, **kw):
        super().__init__(**kw)
        self.begun = threading.Semaphore(0)

    def loop(self):
        items = iter(self.items)
        self.begun.release()
        for item in items:
            if not self.put(item):
                self.refused = item
                return


class OldSource(IterationGetter):
    """
    I take turns by the ancestor's three locks, and put one value each time.
    """

    value: Any = None

    def loop(self):
        self.runState = "running"
        self.cLock.acquire()
        value = self.value
        self.nLock.acquire()
        self.bIterationValue = value
        self.bLock.release()
        self.runState = "stopping"


def brittle():
    yield from range(3)
    raise ZeroDivisionError("enough")


class GetterCase(PoolCase):
    def source(self, items=(), **kw):
        source = Source(reactor=self.reactor, **kw)
        source.items = items
        # Frees all threads, should a test fail.
        self.addCleanup(source.leave)
        return source

    def plain(self, **kw):
        getter = IterationGetter(reactor=self.reactor, **kw)
        self.addCleanup(getter.leave)
        return getter

    def fill(self, getter, n):
        for k in range(n):
            self.assertTrue(getter.put(k))


class LoopTests(GetterCase):
    def test_all(self):
        """A thread gets what a loop in another puts, in order, and the end."""
        source = self.source(range(100))
        source.start()
        self.assertEqual(self.helper().do(list, source), list(range(100)))
        self.reactor.until(source.deferUntilDone())

    def test_bound(self):
        """The loop waits when as many items are there as may be."""
        source = self.source(range(10), maxItems=3)
        spy = Spy(source)
        source.start()
        spy.untilWriterWaits()
        self.assertEqual(source._buffer.snapshot(), [0, 1, 2])
        self.assertEqual(self.helper().do(list, source), list(range(10)))
        self.assertEqual(spy.most, 3)

    def test_error(self):
        """What the loop raises comes after the items before it, once."""
        source = self.source(brittle())
        source.start()
        helper = self.helper()
        items = iter(source)
        self.assertEqual([helper.do(next, items) for _ in range(3)], [0, 1, 2])
        self.assertRaises(ZeroDivisionError, helper.do, next, source)
        self.assertEqual(helper.do(list, source), [])
        self.reactor.until(source.deferUntilDone())

    def test_leave(self):
        """A loop is told when nobody wants more, even while it waits."""
        source = self.source(iter(range(10)), maxItems=2)
        spy = Spy(source)
        source.start()
        spy.untilWriterWaits()
        self.assertEqual(self.helper().do(next, source), 0)
        spy.untilWriterWaits()
        source.leave()
        self.reactor.until(source.deferUntilDone())
        self.assertEqual(source.refused, 3)

    def test_none(self):
        """One without a loop says so where it is read."""
        getter = self.plain()
        getter.start()
        e = self.assertRaises(NotImplementedError, self.helper().do, next, getter)
        self.assertIn("IterationGetter", str(e))

    def test_stopper(self):
        """An IterationStopper in the place of an item ends the iteration."""
        source = self.source([1, Source.IterationStopper(), 2])
        source.start()
        self.assertEqual(self.helper().do(list, source), [1])

    def test_oldLocks(self):
        """
        A loop that takes turns by the ancestor's locks works as it did; it can be
        started again before it is told to have ended, and read in the reactor's
        thread, because it does without the reactor.
        """
        source = OldSource(3, reactor=self.reactor)
        for k in range(10):
            source.start()
            source.value = k
            source.cLock.release()
            self.assertEqual(source.__next__(), k)
        done = self.reactor.until(source.deferUntilDone())
        self.assertEqual(done[-1], (True, None))
        self.assertEqual(self.helper().do(list, source), [])

    def test_two(self):
        """Started twice, it ends when the last of the two has."""
        source = self.source()
        gate = threading.Event()
        self.addCleanup(gate.set)

        def slow():
            gate.wait(BOUND)
            yield "slow"

        for items in (slow(), ["fast"]):
            source.items = items
            source.start()
            # The loop has taken its items when a thread has begun it.
            self.assertTrue(source.begun.acquire(timeout=BOUND))
        helper = self.helper()
        self.assertEqual(helper.do(next, source), "fast")
        self.reactor.until(source.dList[1])
        self.assertEqual(source.runState, "running")
        gate.set()
        self.assertEqual(helper.do(list, source), ["slow"])

    def test_noThread(self):
        """If there can be no thread, the error is what is read."""
        source = self.source([1])

        def start(self):
            raise RuntimeError("can't start new thread")

        helper = self.helper()
        patched = self.patch(threading.Thread, "start", start)
        source.start()
        patched.restore()
        e = self.assertRaises(RuntimeError, helper.do, next, source)
        self.assertIn("can't start new thread", str(e))
        self.reactor.until(source.deferUntilDone())
        source.start()
        self.assertEqual(helper.do(list, source), [1])


class ReadTests(GetterCase):
    def test_break(self):
        """Who leaves a loop before the end wants no more, nor does he later."""
        getter = self.plain()
        self.fill(getter, 5)

        def read():
            for item in getter:
                if item == 2:
                    break

        helper = self.helper()
        helper.do(read)
        self.assertFalse(getter.put(5))
        self.assertEqual(getter._buffer.snapshot(), [])
        self.assertIs(getter.runState, RunState.STOPPED)
        self.assertEqual(helper.do(list, getter), [])

    def test_raise(self):
        """An exception where a thread iterates leaves the loop, too."""
        getter = self.plain()
        self.fill(getter, 5)

        def read():
            for item in getter:
                raise ValueError(item)

        self.assertRaises(ValueError, self.helper().do, read)
        self.assertFalse(getter.put(5))

    def test_goOn(self):
        """Who holds on to the iterator can leave a loop and go on after it."""
        getter = self.plain()
        self.fill(getter, 4)
        getter.put(getter.IterationStopper())

        def read():
            items = iter(getter)
            for item in items:
                if item == 1:
                    break
            return list(items)

        self.assertEqual(self.helper().do(read), [2, 3])

    def test_letGo(self):
        """An iterator that was not used yet can be let go of."""
        getter = self.plain()
        iter(getter)
        gc.collect()
        self.assertTrue(getter.put(0))

    def test_collected(self):
        """An iterator can be let go of at any point, as garbage is collected."""
        getter = self.plain()
        getter.put(0)

        def read():
            items: Any = iter(getter)
            next(items)
            with getter._buffer._lock:
                items.close()

        self.helper().do(read)
        self.assertFalse(getter.put(1))

    def test_waits(self):
        """A thread waits for an item that is not there yet."""
        getter = self.plain()
        spy = Spy(getter)
        item = self.helper().begin(next, getter)
        spy.untilReaderWaits()
        self.assertFalse(item.done())
        getter.put("item")
        self.assertEqual(item.result(BOUND), "item")

    def test_inReactorThread(self):
        """In the reactor's thread, only what is there can be read."""
        getter = self.plain()
        self.assertRaises(NotReadyError, next, getter)
        getter.put(1)
        self.assertEqual(next(getter), 1)

    def test_fail(self):
        """An error comes after the items, whatever it was given as."""
        helper = self.helper()
        for error, kind, text in (
            (ValueError("bad"), ValueError, "bad"),
            (Failure(ValueError("bad")), ValueError, "bad"),
            ("bad", WorkerError, "bad"),
            (SystemExit(5), WorkerError, "SystemExit"),
            (StopIteration(), RuntimeError, "StopIteration"),
        ):
            getter = self.plain()
            getter.put(0)
            getter.fail(error)
            self.assertFalse(getter.put(1))
            self.assertEqual(helper.do(next, getter), 0)
            self.assertIn(text, str(self.assertRaises(kind, helper.do, next, getter)))

    def test_failAfterEnd(self):
        """An error after the end changes nothing."""
        getter = self.plain()
        getter.put(getter.IterationStopper())
        getter.fail(ValueError())
        self.assertEqual(self.helper().do(list, getter), [])

    def test_states(self):
        """The states equal the ancestor's texts."""
        getter = self.plain()
        self.assertEqual(getter.runState, "running")
        getter.put(getter.IterationStopper())
        self.assertEqual(getter.runState, "stopping")
        self.assertEqual(list(getter), [])
        self.assertEqual(getter.runState, "stopped")

    def test_refused(self):
        """A number of items, or of threads, is an integer above 0."""
        for bad in (0, -1, 2.0, True, "3"):
            self.assertRaises(ValueError, self.plain, maxItems=bad)
            self.assertRaises(ValueError, self.plain, maxThreads=bad)

    def test_default(self):
        """Unless told otherwise, there is room for as many as is documented."""
        getter = self.plain()
        self.fill(getter, MAX_ITEMS - 1)
        self.successResultOf(getter.deferUntilRoom())
        getter.put(0)
        self.assertNoResult(getter.deferUntilRoom())


class RoomTests(GetterCase):
    def test_half(self):
        """The reactor is told when half of the room is free again."""
        getter = self.plain(maxItems=4)
        self.fill(getter, 4)
        d = getter.deferUntilRoom()
        helper = self.helper()
        helper.do(next, getter)
        self.reactor.settle()
        self.assertNoResult(d)
        helper.do(next, getter)
        self.reactor.settle()
        self.successResultOf(d)

    def test_turns(self):
        """
        Though its reader keeps up, the reactor puts no more at a go than there was
        room for, and then goes round.
        """
        getter = self.plain(maxItems=4)
        helper = self.helper()
        for k in range(4):
            self.successResultOf(getter.deferUntilRoom())
            getter.put(k)
            helper.do(next, getter)
        d = getter.deferUntilRoom()
        self.assertNoResult(d)
        self.reactor.settle()
        self.successResultOf(d)
        self.successResultOf(getter.deferUntilRoom())

    def test_noMore(self):
        """Who waits for room is told when there is no more to wait for."""
        for end in (
            lambda getter: getter.leave(),
            lambda getter: getter.fail(ValueError()),
            lambda getter: getter.put(getter.IterationStopper()),
        ):
            for n in (2, 1):
                getter = self.plain(maxItems=2)
                self.fill(getter, n)
                waiting = getter.deferUntilRoom()
                self.assertEqual(waiting.called, n == 1)
                end(getter)
                late = getter.deferUntilRoom()
                # A turn at a time for who goes on all the same.
                self.assertNoResult(late)
                self.reactor.settle()
                self.successResultOf(waiting)
                self.successResultOf(late)

    def test_filledByThread(self):
        """Room that a thread has filled meanwhile is none for the reactor."""
        getter = self.plain(maxItems=1)
        self.fill(getter, 1)
        d = getter.deferUntilRoom()
        helper = self.helper()
        self.assertEqual(helper.do(next, getter), 0)
        self.assertTrue(helper.do(getter.put, 1))
        self.reactor.settle()
        self.assertNoResult(d)
        self.assertEqual(helper.do(next, getter), 1)
        self.reactor.settle()
        self.successResultOf(d)

    def test_filledBefore(self):
        """Neither is the room that one has filled before the reactor put an item."""
        getter = self.plain(maxItems=3)
        helper = self.helper()
        for k in range(2):
            helper.do(getter.put, k)
        getter.put(2)
        self.assertNoResult(getter.deferUntilRoom())

    def test_inThread(self):
        """A thread has waited already."""
        getter = self.plain(maxItems=1)
        d = self.helper().do(getter.deferUntilRoom)
        self.successResultOf(d)


class ShutdownTests(GetterCase):
    def test_cut(self):
        """
        When the pool is shut down, or the reactor stops, a reader gets what is
        there, and then an error.
        """
        helper = self.helper()
        for shutDown in (
            lambda: PoolUser.shutdown(self.reactor),
            lambda: self.reactor.stopping()[0],
        ):
            getter = self.plain()
            spy = Spy(getter)
            self.fill(getter, 2)
            self.assertEqual([helper.do(next, getter) for _ in range(2)], [0, 1])
            item = helper.begin(next, getter)
            spy.untilReaderWaits()
            self.reactor.until(shutDown())
            self.assertRaises(CancelledError, item.result, BOUND)
            self.assertFalse(getter.put(2))
            self.assertEqual(helper.do(list, getter), [])

    def test_loopEnds(self):
        """A loop that waits for room does not keep the pool from its end."""
        source = self.source(range(10), maxItems=2)
        spy = Spy(source)
        source.start()
        spy.untilWriterWaits()
        self.reactor.until(PoolUser.shutdown(self.reactor))
        self.assertEqual(source.refused, 2)
        self.successResultOf(source.deferUntilDone())

    def test_again(self):
        """After that, it can be started again, and cut again."""
        source = self.source([1])
        for _ in range(2):
            source.start()
            self.assertEqual(self.helper().do(list, source), [1])
            self.reactor.until(PoolUser.shutdown(self.reactor))
        source.start()
        self.assertEqual(self.helper().do(next, source), 1)

    def test_ended(self):
        """What has come to its end is read to its end after a shutdown."""
        getter = self.plain()
        self.fill(getter, 3)
        getter.put(getter.IterationStopper())
        self.reactor.until(PoolUser.shutdown(self.reactor))
        self.assertEqual(self.helper().do(list, getter), [0, 1, 2])

    def test_notHeld(self):
        """One that nobody holds any more is not held for the shutdown either."""
        getter = IterationGetter(reactor=self.reactor)
        gone = weakref.ref(getter._buffer)
        thePool(self.reactor)
        del getter
        gc.collect()
        self.assertIsNone(gone())
