"""
Tests of C{async with}, of queues and of L{Deferator}s.
"""

import asyncio
import contextlib
import threading
import time
from contextlib import aclosing
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.python import threadable
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue import awaiting
from asynqueue.deferator import Deferator
from asynqueue.errors import QueueRunError, WorkerError
from asynqueue.null import NullQueue
from asynqueue.process import ProcessQueue
from asynqueue.threads import ThreadQueue
from tests import calls
from tests.memory import MemoryWorker, Results, SteppedQueue
from tests.support import BOUND, processes, threads
from tests.test_base_shutdown import ShutdownTestCase
from tests.test_prefetcherator import Source


class Oops(Exception):
    """
    What a block raises.
    """


class QueueTests(ShutdownTestCase):
    """
    Tests of a queue's block, in a coroutine of Twisted's.
    """

    def setUp(self):
        super().setUp()
        self.results = Results()
        self.inside = Deferred()

    def call(self, *numbers, **kw):
        for number in numbers:
            self.results.watch(number, self.queue.call(calls.echo, number, **kw))

    def begin(self):
        """
        Begins a block that lasts until I{inside} fires.
        """

        async def block():
            async with self.queue as queue:
                self.assertIs(queue, self.queue)
                return await self.inside

        self.block = Deferred.fromCoroutine(block())

    def failed(self, number):
        """
        @return: The class of the error that a call has failed with.
        """
        return self.results[number][0].type

    def test_idle(self):
        """A block that leaves nothing undone shuts the queue down at once."""
        self.begin()
        self.assertTrue(self.queue.isRunning())
        self.inside.callback(3)
        self.assertEqual(self.successResultOf(self.block), 3)
        self.assertFalse(self.queue.isRunning())
        self.clean()

    def test_notUp(self):
        """It does not wait for the workers to come up."""
        self.make(MemoryWorker(up=False))
        self.begin()
        self.call(1)
        self.inside.callback(None)
        self.assertNoResult(self.block)
        self.worker.comeUp()
        self.worker.finish()
        self.successResultOf(self.block)
        self.assertEqual(self.results[1], [1])
        self.clean()

    def test_runsWhatWaits(self):
        """At its end, the calls that wait are run, and those that come of them."""
        self.begin()
        self.results.watch(1, self.queue.call(calls.echo, 1)).addCallback(
            lambda _: self.call(4)
        )
        self.call(2, 3)
        self.inside.callback(None)
        for number in range(1, 5):
            self.assertNoResult(self.block)
            self.worker.finish()
            self.assertEqual(self.results[number], [number])
        self.successResultOf(self.block)
        self.clean()

    def test_nobodysSeries(self):
        """It does not wait for calls that nobody is qualified for."""
        self.make(maxWaiting=1, whenFull="wait")
        self.begin()
        self.call(0)
        self.call(1, 2, series="nobody's")
        self.inside.callback(None)
        self.worker.finish()
        self.successResultOf(self.block)
        self.assertEqual(
            [self.failed(1), self.failed(2)], [QueueRunError, QueueRunError]
        )
        self.clean()

    def test_lastWorkerDetached(self):
        """It ends when somebody else takes the last worker away."""
        self.begin()
        self.call(1, 2)
        self.inside.callback(None)
        detached = self.queue.detachWorker(self.worker)
        self.worker.finish()
        self.successResultOf(detached)
        self.successResultOf(self.block)
        self.assertEqual(self.results[1], [1])
        self.assertIs(self.failed(2), QueueRunError)
        self.clean()

    def test_lastWorkerLost(self):
        """It ends when the last worker is given up."""
        self.begin()
        self.call(1, 2)
        self.inside.callback(None)
        self.worker.mayBeginAnew = False
        self.worker.die()
        self.successResultOf(self.block)
        self.clean()

    def test_error(self):
        """
        An error is raised when all is over. What waits fails, and what runs has the
        grace.
        """
        self.make(grace=3)
        self.begin()
        self.call(1, 2)
        self.inside.errback(Oops())
        self.assertEqual(self.failed(2), QueueRunError)
        self.reactor.advance(2.9)
        self.assertNoResult(self.block)
        self.reactor.advance(0.1)
        self.failureResultOf(self.block, Oops)
        self.assertEqual(self.failed(1), WorkerError)
        self.clean()

    def test_errorSoon(self):
        """The grace is not waited for if nothing runs any more."""
        self.begin()
        self.call(1)
        self.inside.errback(Oops())
        self.worker.finish()
        self.failureResultOf(self.block, Oops)
        self.assertEqual(self.results[1], [1])
        self.clean()

    def test_errorWithTimeout(self):
        """A queue that has a timeout keeps to it after an error, too."""
        self.make(timeout=8, grace=3)
        self.begin()
        self.call(1)
        self.inside.errback(Oops())
        self.reactor.advance(7.9)
        self.assertNoResult(self.block)
        self.reactor.advance(0.1)
        self.failureResultOf(self.block, Oops)
        self.clean()

    def test_cancelled(self):
        """A block that is cancelled cancels what it awaits, and is left like that."""
        self.make(grace=3)
        self.begin()
        self.call(1)
        self.block.cancel()
        self.assertNoResult(self.block)
        self.reactor.advance(3)
        self.failureResultOf(self.block, CancelledError)
        self.assertEqual(self.failed(1), WorkerError)
        self.clean()

    def test_cancelledAtEnd(self):
        """Who cancels it while calls are run at its end has all of them ended."""
        self.begin()
        self.call(1, 2)
        self.inside.callback(None)
        self.block.cancel()
        self.failureResultOf(self.block, CancelledError)
        self.assertEqual([self.failed(1), self.failed(2)], [WorkerError, QueueRunError])
        self.clean()

    def test_shutdownFails(self):
        """An error of the shutdown is raised, but does not hide that of the block."""
        for error in (ValueError, Oops):
            self.make()
            self.patch(self.queue.th, "shutdown", lambda _: fail(ValueError()))
            self.begin()
            if error is Oops:
                self.inside.errback(Oops())
            else:
                self.inside.callback(None)
            self.failureResultOf(self.block, error)
            self.inside = Deferred()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_cancelledTwice(self):
        """Who cancels it once more does not wait for the grace."""
        self.begin()
        self.call(1)
        self.block.cancel()
        self.assertNoResult(self.block)
        self.block.cancel()
        self.failureResultOf(self.block, CancelledError)
        self.assertEqual(self.failed(1), WorkerError)
        self.clean()

    def test_closed(self):
        """A coroutine that is closed in the block has the queue shut down, too."""

        async def block():
            async with self.queue:
                await self.inside

        coroutine = block()
        coroutine.send(None)
        self.call(1)
        coroutine.close()
        self.assertFalse(self.queue.isRunning())
        self.reactor.advance(5)
        self.clean()

    def test_shutDownInside(self):
        """The queue may be shut down in the block, but not before it."""
        self.begin()
        self.successResultOf(self.queue.shutdown())
        self.inside.callback(None)
        self.successResultOf(self.block)
        self.begin()
        self.failureResultOf(self.block, QueueRunError)
        self.clean()

    def test_task(self):
        """A task of asyncio that is cancelled leaves no worker behind."""
        self.make(grace=3)
        self.patch(threadable, "ioThread", threading.get_ident())
        self.patch(awaiting, "isReactors", lambda loop: True)
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)

        async def block():
            async with self.queue as queue:
                await queue.call(calls.echo)

        async def cancel():
            task = asyncio.ensure_future(block())
            await asyncio.sleep(0)
            self.call(1)
            task.cancel()
            await asyncio.sleep(0)
            loop.call_soon(self.reactor.advance, 3)
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return task.cancelled()

        self.assertTrue(loop.run_until_complete(asyncio.wait_for(cancel(), BOUND)))
        self.clean()


class WorkersTests(TestCase):
    """
    Tests with real workers.
    """

    timeout = BOUND

    def setUp(self):
        before = processes(), threads()
        self.addCleanup(lambda: self.assertEqual((processes(), threads()), before))

    async def test_queues(self):
        """Processes, threads and all that belongs to them are gone after a block."""
        queue: Any
        for queue in (ProcessQueue(1), ThreadQueue(), NullQueue()):
            with contextlib.suppress(Oops):
                async with queue:
                    self.assertEqual(await queue.call(calls.echo, 1), 1)
                    raise Oops

    async def test_cancelled(self):
        """A process that is in the middle of a call does not outlive the block."""
        from twisted.internet import reactor

        begun = Deferred()

        async def block():
            async with ProcessQueue(1) as queue:
                await queue.call(calls.echo)
                reactor.callLater(0, begun.callback, None)
                await queue.call(time.sleep, BOUND)

        d = Deferred.fromCoroutine(block())
        await begun
        d.cancel()
        with contextlib.suppress(CancelledError):
            await d


class DeferatorTests(SynchronousTestCase):
    """
    Tests of a L{Deferator}'s block.
    """

    def test_break(self):
        """What it iterates over is closed when the block is left."""
        for enter in (lambda dr: dr, aclosing):
            source = Source()
            dr: Any = Deferator(source)

            async def read(dr=dr, enter=enter, source=source):
                async with enter(dr) as items:
                    self.assertIs(items, dr)
                    source.asked[0].callback(1)
                    async for item in items:
                        return item
                return None

            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(read())), 1)
            self.assertEqual(source.closed, 1)

    def test_error(self):
        """It does not hide the block's error."""
        dr: Any = Deferator(calls.count(3))

        async def read():
            async with dr:
                raise Oops

        self.failureResultOf(Deferred.fromCoroutine(read()), Oops)
        self.assertIs(self.successResultOf(dr.d), False)

    def test_map(self):
        """Leaving the loop over a map cancels what is under way, and closes all."""
        worker, other = MemoryWorker(), MemoryWorker()
        queue = SteppedQueue(worker, other)
        closed = []

        async def numbers():
            try:
                for number in range(100):
                    yield number
            finally:
                closed.append(number)

        async def read():
            async with queue.map(calls.echo, numbers(), limit=4) as results:
                async for result in results:
                    return result
            return None

        d = Deferred.fromCoroutine(read())
        worker.finish()
        self.assertEqual(self.successResultOf(d), 0)
        self.assertEqual(len(queue.q), 0)
        self.assertEqual(len(other.cancelled), 1)
        self.assertEqual(worker.begun, [(0,)])
        self.assertEqual(len(closed), 1)
