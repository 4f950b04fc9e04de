"""
An asyncio loop in a thread beside the reactor.
"""

import asyncio
import os
import sys
import threading
from pathlib import Path
from unittest import mock

import psutil
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    gatherResults,
    inlineCallbacks,
)
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue import asyncthread
from asynqueue.asyncthread import AsyncioState, AsyncioThread
from asynqueue.errors import ThreadError, WorkerError
from tests.support import BOUND, SteppedReactor, leavesNothing, threads

REACTORS = ("epoll", "poll", "select", "asyncio")

PROGRAM = """
import asyncio, sys
from twisted.application.reactors import installReactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import react
installReactor(sys.argv[1])
from asynqueue.asyncthread import AsyncioThread

async def double(x):
    await asyncio.sleep(0)
    return 2 * x

async def main(reactor):
    thread = AsyncioThread()
    thread.start()
    print(await thread.run(double, 4))
    print(sum(await gatherResults([thread.run(double, i) for i in range(5000)])))
    forever = thread.run(asyncio.sleep, 1000)
    forever.addErrback(lambda failure: print(failure.type.__name__))
    await thread.stop()
    print(type(reactor).__name__, len(reactor.getDelayedCalls()))

react(main)
"""

PRINTED = ["8", "24995000", "ThreadError"]


class Odd(BaseException):
    """An exception that is not for C{except Exception}."""


async def raising(error):
    await asyncio.sleep(0)
    raise error


class Awaitable:
    """
    Something that can be awaited, and comes to an object.
    """

    def __init__(self, x):
        self.x = x

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return self.x


class ThreadCase(SynchronousTestCase):
    """
    The tests of an L{AsyncioThread} whose reactor is stepped, and which leaves
    nothing.
    """

    def setUp(self):
        leavesNothing(self)
        self.reactor = SteppedReactor()
        self.thread = AsyncioThread(self.reactor)
        self.order: list[object] = []

    def start(self):
        self.thread.start()
        self.addCleanup(lambda: self.until(self.thread.stop()))

    def until(self, d):
        return self.reactor.until(d)

    def run_(self, f, *args):
        """
        @return: What a call in the loop came to.
        """
        return self.until(self.thread.run(f, *args))

    async def wait(self, name):
        """
        Tells that it waits, does so for ever, and tells that it is cancelled.
        """
        self.thread.tell(self.order.append, f"{name} waits")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.thread.tell(self.order.append, f"{name} is cancelled")
            raise

    def begin(self, name):
        """
        @return: The Deferred of a call that waits for ever, and has begun to.
        """
        d = self.thread.run(self.wait, name)
        while f"{name} waits" not in self.order:
            self.reactor.turn()
        return d


class RunTests(ThreadCase):
    def setUp(self):
        super().setUp()
        self.start()

    def test_results(self):
        """A call comes to its value, whether that was there or was awaited."""

        async def double(x):
            await asyncio.sleep(0)
            return 2 * x

        def future():
            return asyncio.get_running_loop().run_in_executor(None, int, "5")

        self.assertEqual(self.run_(int, "7"), 7)
        self.assertEqual(self.run_(double, 4), 8)
        self.assertEqual(self.run_(future), 5)
        self.assertEqual(self.run_(Awaitable, 6), 6)
        self.assertIs(self.run_(int), 0)
        self.assertIsNone(self.run_(asyncio.sleep, 0))

    def test_where(self):
        """A call is made in the thread, of which the loop is the current one."""
        self.assertIs(self.run_(threading.current_thread), self.thread.thread)
        self.assertIs(self.run_(asyncio.get_running_loop), self.thread.loop)
        self.assertIs(self.run_(asyncio.get_event_loop), self.thread.loop)
        assert self.thread.thread is not None
        self.assertTrue(self.thread.thread.daemon)
        self.assertEqual(self.thread.thread.name, "asynqueue asyncio")

    def test_deliveredByReactor(self):
        """What a call came to is delivered by the reactor, in its thread."""
        d = self.thread.run(int)
        d.addCallback(lambda _: threading.current_thread())
        self.assertNoResult(d)
        self.assertIs(self.until(d), threading.current_thread())

    def test_errors(self):
        """A call fails with the exception that it raised, at once or later."""
        self.assertRaises(ValueError, self.run_, int, "x")
        self.assertRaises(ValueError, self.run_, raising, ValueError("no"))
        error = KeyError("same")
        d = self.thread.run(raising, error)
        self.assertIs(self.until(d.addErrback(lambda failure: failure.value)), error)

    def test_harmless(self):
        """What would end a program ends only the call, and is told by name."""
        for error in (SystemExit(3), KeyboardInterrupt(), Odd("so")):
            name = type(error).__name__

            def raiseIt(error=error):
                raise error

            for f, args in ((raiseIt, ()), (raising, (error,))):
                e = self.assertRaises(WorkerError, self.run_, f, *args)
                self.assertIn(name, str(e))
                self.assertIs(e.__cause__, error)
        self.assertEqual(self.run_(int, "7"), 7)

    def test_cancelledThere(self):
        """A call that is cancelled by asyncio fails with Twisted's exception."""
        error = asyncio.CancelledError()
        e = self.assertRaises(CancelledError, self.run_, raising, error)
        self.assertIsInstance(e.__cause__, asyncio.CancelledError)

    def test_cancelAll(self):
        """A task that is cancelled before it has begun leaves no call waiting."""

        def cancelAll():
            for task in asyncio.all_tasks():
                task.cancel()

        ds = [self.thread.run(self.wait, "never"), self.thread.run(cancelAll)]
        self.assertRaises(CancelledError, self.until, ds[0])
        self.assertIsNone(self.until(ds[1]))
        self.assertEqual(self.order, [])

    def test_deferred(self):
        """A Deferred is not taken for a result, wherever it comes from."""

        async def later():
            return Deferred()

        e = self.assertRaises(TypeError, self.run_, later)
        self.assertIn("later()", str(e))
        # This one asyncio refuses itself.
        self.assertRaises(RuntimeError, self.run_, Deferred)

    def test_otherLoop(self):
        """A future of another loop is refused."""
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        self.assertRaises(ValueError, self.run_, loop.create_future)

    def test_sharedFuture(self):
        """Two calls may return the same future."""
        future = self.run_(lambda: [asyncio.get_running_loop().create_future()])[0]
        ds = [self.thread.run(lambda: future) for _ in range(2)]
        self.thread.post(future.set_result, 7)
        self.assertEqual(self.until(gatherResults(ds)), [7, 7])

    def test_burst(self):
        """Many calls at once, and each out of the one before, take no deep stack."""
        ds = [self.thread.run(abs, i) for i in range(5000)]
        self.assertEqual(self.until(gatherResults(ds)), list(range(5000)))

        def again(n):
            return self.thread.run(int, n - 1).addCallback(again) if n else n

        self.assertEqual(self.until(self.thread.run(int, 3000).addCallback(again)), 0)

    def test_loopStopped(self):
        """Who stops the loop from within does not end it."""
        assert self.thread.loop is not None
        self.thread.post(self.thread.loop.stop)
        self.assertEqual(self.run_(int, "7"), 7)


class CancelTests(ThreadCase):
    def setUp(self):
        super().setUp()
        self.start()

    def test_before(self):
        """A call that is cancelled before it has begun is not made."""
        d = self.thread.run(self.order.append, "called")
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.run_(int)
        self.assertEqual(self.order, [])

    def test_after(self):
        """The task of a call is cancelled with the Deferred, which fails at once."""
        d = self.begin("it")
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(self.order, ["it waits"])
        self.run_(asyncio.sleep, 0)
        self.assertEqual(self.order, ["it waits", "it is cancelled"])
        self.assertEqual(self.run_(lambda: len(asyncio.all_tasks())), 0)

    def test_resultDropped(self):
        """What a cancelled call comes to all the same is dropped, an error too."""

        async def stubborn(error):
            try:
                await self.wait("stubborn")
            except asyncio.CancelledError:
                if error is not None:
                    raise error from None

        for error in (None, ValueError("dropped")):
            self.order.clear()
            d = self.thread.run(stubborn, error)
            while not self.order:
                self.reactor.turn()
            d.cancel()
            self.failureResultOf(d, CancelledError)
            self.run_(asyncio.sleep, 0)
            self.assertEqual(len(self.order), 2)

    def test_done(self):
        """To cancel a call that was done meanwhile does no harm."""
        d = self.thread.run(int)
        fence = threading.Event()
        self.thread.post(fence.set)
        self.reactor.advance(0)
        self.assertTrue(fence.wait(BOUND))
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(self.run_(int, "7"), 7)

    def test_timeout(self):
        """The timeout of a Deferred cancels its call."""
        d = self.begin("it")
        d.addTimeout(1.0, self.reactor)
        self.reactor.advance(1.0)
        self.assertIn("TimeoutError", self.failureResultOf(d).type.__name__)
        self.run_(asyncio.sleep, 0)
        self.assertEqual(self.order[-1], "it is cancelled")


class CrossingTests(ThreadCase):
    """
    What crosses besides calls and results, and how.
    """

    def setUp(self):
        super().setUp()
        self.start()

    def test_post(self):
        """What is posted is called in the loop, in order with calls."""

        def where():
            self.order.append(asyncio.get_running_loop())

        loop = self.thread.loop
        self.thread.post(where)
        self.thread.post(self.order.append, 1)
        d = self.thread.run(self.order.append, 2)
        self.thread.post(self.order.append, 3)
        self.until(d)
        self.run_(int)
        self.assertEqual(self.order, [loop, 1, 2, 3])

    def test_postFails(self):
        """What a posted function raises is logged, and those after it are called."""

        def odd():
            raise Odd

        self.thread.post(int, "x")
        self.thread.post(odd)
        self.thread.post(self.order.append, 1)
        self.run_(int)
        self.assertEqual(self.order, [1])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(Odd)), 1)

    def test_tell(self):
        """What is told is called by the reactor, in order with results."""

        def tellSome():
            self.thread.tell(lambda: self.order.append(threading.current_thread()))
            self.thread.tell(self.order.append, 1)
            return 2

        ds = [
            self.thread.run(tellSome).addCallback(self.order.append),
            self.thread.run(int, "3").addCallback(self.order.append),
            self.thread.run(self.thread.tell, self.order.append, 4),
        ]
        self.until(gatherResults(ds))
        self.assertEqual(self.order, [threading.current_thread(), 1, 2, 3, 4])

    def test_tellFails(self):
        """What a told function raises is logged, and those after it are called."""

        def tellSome():
            self.thread.tell(int, "x")
            self.thread.tell(sys.exit)
            self.thread.tell(self.order.append, 1)

        self.run_(tellSome)
        self.assertEqual(self.order, [1])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)

    def test_tellFromElsewhere(self):
        """Who tells from a thread without a loop learns that it is wrong."""
        self.assertRaises(RuntimeError, self.thread.tell, int)

    def test_oneWakeUp(self):
        """What is posted in one turn of the reactor wakes the loop once."""
        loop = self.thread.loop
        assert loop is not None
        with mock.patch.object(
            loop, "call_soon_threadsafe", wraps=loop.call_soon_threadsafe
        ) as wake:
            for turns in range(1, 4):
                for i in range(100):
                    self.thread.post(self.order.append, i)
                    d = self.thread.run(int)
                self.assertEqual(wake.call_count, turns - 1)
                self.until(d)
                self.assertEqual(wake.call_count, turns)
        self.assertEqual(self.order, 3 * list(range(100)))

    def test_oneCallFromThread(self):
        """What is told in one turn of the loop wakes the reactor once."""

        async def tellOften():
            for _ in range(3):
                for i in range(100):
                    self.thread.tell(self.order.append, i)
                await asyncio.sleep(0)

        with mock.patch.object(
            self.reactor, "callFromThread", wraps=self.reactor.callFromThread
        ) as wake:
            self.until(gatherResults([self.thread.run(int) for _ in range(100)]))
            self.assertEqual(wake.call_count, 1)
            self.run_(tellOften)
            # The last is for the result.
            self.assertEqual(wake.call_count, 5)
        self.assertEqual(self.order, 3 * list(range(100)))

    def test_endsNothing(self):
        """A callback that raises SystemExit is logged, and the loop goes on."""
        loop = self.thread.loop
        assert loop is not None
        self.thread.post(loop.call_soon, sys.exit)
        self.run_(asyncio.sleep, 0)
        self.assertEqual(self.run_(int, "7"), 7)
        self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)


class StartTests(ThreadCase):
    def test_states(self):
        """It goes from state to state, and has a loop and a thread between."""
        thread = self.thread
        self.assertIs(thread.state, AsyncioState.FRESH)
        self.assertEqual((thread.loop, thread.thread), (None, None))
        thread.start()
        self.assertIs(thread.state, AsyncioState.RUNNING)
        loop = thread.loop
        assert loop is not None
        d = thread.stop()
        self.assertIs(thread.state, AsyncioState.STOPPING)
        self.until(d)
        self.assertIs(thread.state, AsyncioState.STOPPED)
        self.assertEqual((thread.loop, thread.thread), (None, None))
        self.assertTrue(loop.is_closed())

    def test_once(self):
        """It cannot be started twice, nor after it was stopped."""
        self.start()
        self.assertRaises(ThreadError, self.thread.start)
        self.until(self.thread.stop())
        self.assertRaises(ThreadError, self.thread.start)

    def test_notStarted(self):
        """If there can be no more threads or loops, it says so, and can retry."""
        error = RuntimeError("can't start new thread")
        with mock.patch.object(threading.Thread, "start", side_effect=error):
            e = self.assertRaises(ThreadError, self.thread.start)
        self.assertIn("can't start new thread", str(e))
        with mock.patch.object(asyncio, "new_event_loop", side_effect=OSError(24)):
            self.assertRaises(ThreadError, self.thread.start)
        self.assertIs(self.thread.state, AsyncioState.FRESH)
        self.start()
        self.assertEqual(self.run_(int, "7"), 7)

    def test_notRunning(self):
        """Calls before the start and after the stop fail, and are named."""
        for when in ("before", "after"):
            f = self.failureResultOf(self.thread.run(int, "7"), ThreadError)
            e = self.assertRaises(ThreadError, self.thread.post, int, "7")
            for text in (str(f.value), str(e)):
                self.assertIn("builtins.int('7')", text)
                self.assertIn(when, text)
            self.until(self.thread.stop())

    def test_often(self):
        """Thirty that were started and stopped leave no thread and no descriptor."""
        known = threading.enumerate()
        before = psutil.Process().num_fds()
        for _ in range(30):
            self.thread = AsyncioThread(self.reactor)
            self.thread.start()
            self.assertEqual(self.run_(asyncio.to_thread, int, "7"), 7)
            self.until(self.thread.stop())
        self.assertEqual(psutil.Process().num_fds(), before)
        self.assertEqual(threading.enumerate(), known)


class StopTests(ThreadCase):
    def test_fresh(self):
        """One that was not started stops at once."""
        self.successResultOf(self.thread.stop())
        self.successResultOf(self.thread.stop())
        self.assertIs(self.thread.state, AsyncioState.STOPPED)

    def test_severalCallers(self):
        """All who stop it are told when it is gone, the late ones at once."""
        self.start()
        first, second = self.thread.stop(), self.thread.stop()
        self.assertNoResult(first)
        self.until(gatherResults([first, second]))
        self.successResultOf(self.thread.stop())
        self.assertEqual(threads(), {})

    def test_postedBefore(self):
        """What was posted before is done, and what it told is delivered."""
        self.start()
        d = self.thread.run(int, "7").addCallback(self.order.append)
        self.thread.post(self.thread.tell, self.order.append, 8)
        stopped = self.thread.stop().addCallback(lambda _: self.order.append("gone"))
        self.failureResultOf(self.thread.run(int), ThreadError)
        self.until(stopped)
        self.successResultOf(d)
        self.assertEqual(self.order, [7, 8, "gone"])

    def test_underWay(self):
        """Calls under way are cancelled and fail, named, before the end is told."""
        self.start()
        early, late = self.begin("early"), self.thread.run(self.wait, "late")
        stopped = self.thread.stop().addCallback(lambda _: self.order.append("gone"))
        self.until(stopped)
        for d in (early, late):
            text = str(self.failureResultOf(d, ThreadError).value)
            self.assertIn("wait('", text)
        self.assertEqual(self.order[:2], ["early waits", "late waits"])
        self.assertIn("early is cancelled", self.order[2:4])
        self.assertIn("late is cancelled", self.order[2:4])
        self.assertEqual(self.order[4:], ["gone"])

    def test_takesItsTime(self):
        """Who has something left to do when cancelled does it, and has a result."""
        self.start()

        async def tidy():
            try:
                await self.wait("tidy")
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                # Which is cancelled too.
                self.last = asyncio.ensure_future(self.wait("last"))
                await asyncio.sleep(0)
            return "tidied"

        d = self.thread.run(tidy)
        while not self.order:
            self.reactor.turn()
        self.until(self.thread.stop())
        self.assertEqual(self.successResultOf(d), "tidied")
        self.assertEqual(self.order[-2:], ["last waits", "last is cancelled"])

    def test_future(self):
        """A future that no task waits for is cancelled too."""
        self.start()
        d = self.thread.run(lambda: asyncio.get_running_loop().create_future())
        self.until(self.thread.stop())
        self.failureResultOf(d, ThreadError)

    def test_swallowed(self):
        """What misses that it is cancelled is cancelled again."""

        async def deaf():
            for _ in range(2):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    continue
            await self.wait("deaf")

        self.patch(asyncthread, "AGAIN", 0.01)
        self.start()
        self.thread.run(deaf).addErrback(lambda failure: failure.trap(ThreadError))
        self.until(self.thread.stop())
        self.assertEqual(self.order, ["deaf waits", "deaf is cancelled"])

    def test_generatorsAndExecutor(self):
        """Asynchronous generators are closed, and threads of the loop are gone."""
        self.start()
        known = threading.enumerate()

        async def numbers():
            try:
                yield threading.current_thread()
            finally:
                self.thread.tell(self.order.append, "closed")

        async def first():
            self.numbers = numbers()
            return await anext(self.numbers)

        thread = self.thread.thread
        self.assertIs(self.run_(first), thread)
        self.run_(asyncio.to_thread, int)
        self.assertGreater(len(threading.enumerate()), len(known))
        self.until(self.thread.stop())
        self.assertEqual(self.order, ["closed"])
        self.assertEqual(threading.enumerate(), [t for t in known if t is not thread])

    def test_systemExit(self):
        """A task that raises SystemExit when it is cancelled hinders nothing."""
        self.start()

        async def leave():
            try:
                await self.wait("it")
            finally:
                sys.exit(3)

        d = self.thread.run(leave)
        while not self.order:
            self.reactor.turn()
        self.until(self.thread.stop())
        self.failureResultOf(d, WorkerError)

    def test_cancelsTheEnd(self):
        """A task that cancels all others when it is cancelled hinders no end."""
        self.start()

        async def mean():
            try:
                await self.wait("mean")
            finally:
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()

        d = self.thread.run(mean)
        while not self.order:
            self.reactor.turn()
        self.until(self.thread.stop())
        self.failureResultOf(d, ThreadError)

    def test_fromCallback(self):
        """It can be stopped where a result of its own is delivered."""
        self.start()
        self.assertIsNone(
            self.until(self.thread.run(int).addCallback(lambda _: self.thread.stop()))
        )

    def test_cancelled(self):
        """A call that is cancelled while all ends is over, and ends nothing else."""
        self.start()
        d = self.begin("it")
        stopped = self.thread.stop()
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.until(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_reactorGone(self):
        """The thread ends though the reactor is over, and takes no calls."""
        for answer in (None, RuntimeError("Event loop is closed")):
            self.thread = AsyncioThread(self.reactor)
            self.thread.start()
            d = self.begin("it")
            self.order.clear()
            thread = self.thread.thread
            assert thread is not None
            with mock.patch.object(
                self.reactor, "callFromThread", side_effect=answer
            ) as lost:
                stopped = self.thread.stop()
                thread.join(BOUND)
            self.assertFalse(thread.is_alive())
            self.assertTrue(lost.called)
            self.assertNoResult(d)
            self.assertNoResult(stopped)

    def test_broken(self):
        """If the loop breaks, that is logged, and calls fail."""
        with mock.patch.object(
            asyncio.BaseEventLoop, "run_forever", side_effect=OSError("broken")
        ):
            self.thread.start()
            thread = self.thread.thread
            assert thread is not None
            thread.join(BOUND)
        ds = [self.thread.run(int, "7"), self.thread.run(int, "8")]
        # Who is told may do something about the others.
        ds[0].addErrback(lambda failure: ds[1].cancel())
        stopped = self.thread.stop()
        self.until(gatherResults([ds[0], stopped]))
        self.failureResultOf(ds[1], CancelledError)
        self.assertIs(self.thread.state, AsyncioState.STOPPED)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class EachReactorTests(TestCase):
    @inlineCallbacks
    def test_program(self):
        """It works beside each reactor, from the start to the stop."""
        path = Path(self.mktemp()).absolute()
        path.write_text(PROGRAM)
        root = str(Path(__file__).parents[1])
        runs = yield gatherResults(
            getProcessOutputAndValue(
                sys.executable,
                [str(path), reactor],
                {**os.environ, "PYTHONPATH": root},
            )
            for reactor in REACTORS
        )
        for reactor, (out, err, code) in zip(REACTORS, runs, strict=True):
            *printed, last = out.decode().splitlines() or [""]
            self.assertEqual((printed, code), (PRINTED, 0), err.decode())
            self.assertEqual(err, b"")
            self.assertTrue(last.lower().startswith(reactor), last)
            self.assertTrue(last.endswith(" 0"), last)
