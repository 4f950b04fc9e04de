"""
Tests of L{asynqueue.awaiting}.
"""

import asyncio
import contextlib
import gc
import sys
import threading

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.python import threadable
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import awaiting
from asynqueue.awaiting import DualDeferred, dual, isReactors
from asynqueue.deferator import Deferator
from tests import calls
from tests.memory import MemoryWorker, SteppedQueue
from tests.support import BOUND


async def wait(awaitable):
    return await awaitable


class AwaitCase(SynchronousTestCase):
    """
    What the tests below use: a loop that runs for as long as a test waits.
    """

    def setUp(self):
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        # As where the reactor runs in the loop's thread.
        self.patch(threadable, "ioThread", threading.get_ident())
        self.patch(awaiting, "isReactors", lambda loop: True)

    def run_(self, coroutine):
        """
        @return: What a task of asyncio's comes to.
        """
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, BOUND))

    def soon(self, f, *args):
        self.loop.call_soon(f, *args)


class TaskTests(AwaitCase):
    """
    Tests of L{DualDeferred} in the tasks of asyncio.
    """

    def test_result(self):
        """A task gets the result, whether it is there or comes later."""
        for d in (DualDeferred(), DualDeferred()):
            self.soon(d.callback, 1)
            self.assertEqual(self.run_(wait(d)), 1)
            self.assertEqual(self.run_(wait(d)), 1)

    def test_error(self):
        """A task gets the error, and then nobody has missed it."""
        d = DualDeferred()
        self.soon(d.errback, ValueError("x"))
        self.assertRaises(ValueError, self.run_, wait(d))
        del d
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_chained(self):
        """A task waits for the Deferred that a callback has returned."""
        inner, d = Deferred(), DualDeferred()
        d.addCallback(lambda _: inner)
        d.callback(None)
        self.soon(inner.callback, 2)
        self.assertEqual(self.run_(wait(d)), 2)

    def test_chainedLater(self):
        """A task waits on if a Deferred is returned by a callback that came later."""
        inner, d = Deferred(), DualDeferred()

        async def task():
            waits = asyncio.ensure_future(wait(d))
            await asyncio.sleep(0)
            d.addCallback(lambda _: inner)
            d.callback(None)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            inner.callback(4)
            return await waits

        self.assertEqual(self.run_(task()), 4)

    def test_several(self):
        """What asyncio has for several takes them as it takes coroutines."""

        async def gather():
            ds = [DualDeferred(), DualDeferred()]
            for number, d in enumerate(ds):
                self.soon(d.callback, number)
            return await asyncio.gather(*ds)

        self.assertEqual(self.run_(gather()), [0, 1])
        self.assertFalse(asyncio.isfuture(DualDeferred()))

    def test_taskCancelled(self):
        """It is cancelled with the task, which ends as one that was cancelled."""
        cancelled = []
        d = DualDeferred(cancelled.append)

        async def cancel():
            task = asyncio.ensure_future(wait(d))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return task.cancelled()

        self.assertTrue(self.run_(cancel()))
        self.assertEqual(cancelled, [d])
        self.successResultOf(d)

    def test_cleansUp(self):
        """A task that is cancelled goes on when what it has cancelled is over."""
        cleaned = Deferred()

        async def work():
            try:
                await Deferred()
            finally:
                await cleaned

        async def cancel():
            task = asyncio.ensure_future(wait(dual(Deferred.fromCoroutine(work()))))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
            isDone = task.done()
            cleaned.callback(None)
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return isDone, task.cancelled()

        self.assertEqual(self.run_(cancel()), (False, True))

    def test_deferredCancelled(self):
        """Who cancels it and not the task gives the task an error."""
        d = DualDeferred()
        self.soon(d.cancel)
        self.assertRaises(CancelledError, self.run_, wait(d))

    def test_timeout(self):
        """It is cancelled when asyncio has waited long enough."""
        d = DualDeferred()
        self.assertRaises(asyncio.TimeoutError, self.run_, asyncio.wait_for(d, 0.001))
        self.successResultOf(d)

    def test_otherThread(self):
        """A task in a thread that is not the reactor's gets an error at once."""
        self.patch(threadable, "ioThread", -1)
        with self.assertRaisesRegex(RuntimeError, "attached to a different loop"):
            self.run_(wait(DualDeferred()))

    def test_otherLoop(self):
        """So does one in a loop that no reactor runs on, and is told what to do."""
        self.patch(awaiting, "isReactors", lambda loop: False)
        d = DualDeferred()
        with self.assertRaisesRegex(RuntimeError, "asyncioreactor.* different loop"):
            self.run_(wait(d))
        self.assertNotIn("asyncioreactor", repr(DualDeferred()))

    def test_twistedInTask(self):
        """A coroutine of Twisted's that was begun in a task is one all the same."""

        async def task():
            d = DualDeferred()
            outer = Deferred.fromCoroutine(wait(d))
            self.soon(d.callback, 3)
            return await dual(outer)

        self.assertEqual(self.run_(task()), 3)


class TwistedTests(SynchronousTestCase):
    """
    Tests of L{DualDeferred} in Twisted's coroutines, and of L{dual}.
    """

    def test_await(self):
        """It is awaited as any Deferred is."""
        d = DualDeferred()
        outer = Deferred.fromCoroutine(wait(d))
        self.assertNoResult(outer)
        d.callback(1)
        self.assertEqual(self.successResultOf(outer), 1)
        outer = Deferred.fromCoroutine(wait(DualDeferred()))
        outer.cancel()
        self.failureResultOf(outer, CancelledError)

    def test_dual(self):
        """What fires later is passed on, and cancelling goes the other way."""
        first, second, third = Deferred(), Deferred(), Deferred()
        d = dual(first)
        first.callback(1)
        self.assertEqual(self.successResultOf(d), 1)
        d = dual(second)
        second.errback(ValueError())
        self.failureResultOf(d, ValueError)
        d = dual(third)
        d.cancel()
        self.failureResultOf(d, CancelledError)

    def test_same(self):
        """What has a result, or is one already, is not wrapped."""
        for d in (succeed(1), fail(ValueError()), DualDeferred()):
            self.assertIs(dual(d), d)
            d.addErrback(lambda _: None)
        paused = succeed(1).addCallback(lambda _: Deferred())
        self.assertIsNot(dual(paused), paused)


class ReactorTests(SynchronousTestCase):
    """
    Tests of L{isReactors}.
    """

    def setUp(self):
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.modules = dict(sys.modules)
        self.patch(sys, "modules", self.modules)

    def isReactors(self, reactor):
        self.modules["twisted.internet.reactor"] = reactor
        return isReactors(self.loop)

    def test_other(self):
        """No loop is that of a reactor of another kind."""
        self.assertFalse(self.isReactors(MemoryReactorClock()))

    def test_asyncio(self):
        """One that is made on a loop runs on that and on no other."""
        other = asyncio.new_event_loop()
        self.addCleanup(other.close)
        for loop in (self.loop, other):
            reactor = AsyncioSelectorReactor(loop)
            self.assertIs(self.isReactors(reactor), loop is self.loop)
            reactor.removeAll()

    def test_none(self):
        """Where no reactor is, anybody may fire what is awaited."""
        self.modules.pop("twisted.internet.reactor", None)
        self.assertTrue(isReactors(self.loop))


class QueueTests(AwaitCase):
    """
    Tests of what a queue returns, in the tasks of asyncio.
    """

    def setUp(self):
        super().setUp()
        self.worker = MemoryWorker(["x"])
        self.queue = SteppedQueue(self.worker)

    def test_methods(self):
        """All that a queue has one wait for can be awaited."""

        async def task():
            self.soon(self.worker.finish)
            results = [await self.queue.call(calls.echo, 1)]
            self.soon(self.worker.finish)
            results.append(await self.queue.update(calls.echo, 2))
            await self.queue.whenReady()
            other = MemoryWorker(up=False)
            self.soon(other.comeUp)
            # The update of before.
            self.soon(other.finish)
            results.append(await self.queue.attachWorker(other))
            results.append(await self.queue.detachWorker(other))
            self.queue.call(calls.echo)
            self.soon(self.worker.finish)
            await self.queue.shutdown()
            return results

        self.assertEqual(self.run_(task()), [1, [2], 2, []])

    def test_iterators(self):
        """Iterators and maps are read by async for, and what is slow is waited for."""

        async def task():
            ds = [Deferred(), Deferred()]
            for d, item in zip(ds, [(5, True), (None, False)], strict=True):
                self.soon(self.soon, d.callback, item)
            items = [item async for item in Deferator("slow", iter(ds).__next__)]
            for _ in range(2):
                self.soon(self.soon, self.worker.finish)
            items += [item async for item in self.queue.map(calls.echo, [6, 7])]
            return items

        self.assertEqual(self.run_(task()), [5, 6, 7])

    def test_cancel(self):
        """The call is cancelled with the task."""

        async def cancel():
            task = asyncio.ensure_future(wait(self.queue.call(calls.echo)))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        self.run_(cancel())
        self.assertEqual(len(self.worker.cancelled), 1)
