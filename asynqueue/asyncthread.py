"""
An asyncio loop in a thread beside the reactor.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial
from inspect import isawaitable
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.about import aboutCall
from asynqueue.deferreds import branch, deferUntilEnded
from asynqueue.errors import ThreadError, harmless
from asynqueue.reactors import theReactor

__all__ = ["AsyncioState", "AsyncioThread"]


AGAIN = 2.0
"After how many seconds what was cancelled is once more: C{wait_for} may swallow it."


class AsyncioState(Enum):
    """
    The stages of an L{AsyncioThread}'s life. Moves: each to the next, and FRESH to
    STOPPED.
    """

    FRESH = "has no thread yet"
    RUNNING = "has a thread in which a loop runs"
    STOPPING = "has what is under way ended, or its loop has broken"
    STOPPED = "has no thread any more"


class _Call(NamedTuple):
    "What is to be called on the other side."

    f: Callable[..., Any]
    args: tuple[Any, ...]

    def __str__(self) -> str:
        return aboutCall((self.f, self.args, {}))


class AsyncioThread:
    """
    I run an asyncio event loop of my own in a thread, beside a reactor of any kind,
    and see to it that calls cross from one to the other in order, and many of them
    at a time::

        the reactor's thread        |  the loop's thread
        run(f), post(f)  -> _posted -> _takeAll: f is called
        _deliver         <- _told   <- tell(f), and what calls of run come to

    What is posted in one turn of the reactor wakes the loop once, and what is told
    in one turn of the loop wakes the reactor once. So a call begins no sooner than
    with the end of the turn in which it was made.

    My thread lasts until I am stopped, but keeps no interpreter from exiting.

    @ivar state: My L{AsyncioState}.
    @ivar loop: The loop, C{None} before L{start} and when I am stopped. It is to be
        used in its own thread.
    @ivar thread: The thread, C{None} at the same times.
    @ivar name: The name of the thread.
    """

    log = Logger()

    def __init__(self, reactor: Any = None, name: str = "asynqueue asyncio") -> None:
        """
        @param reactor: Where results are delivered, the global one if C{None}.
        @param name: What to call the thread.
        """
        self.name = name
        self.state = AsyncioState.FRESH
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self._reactor = theReactor(reactor)
        self._stopped: Deferred[None] = Deferred()
        self._wakeCall: Any = None
        # On its way into the loop, with the Deferred of what comes of it if any.
        self._posted: deque[tuple[Deferred[Any] | None, _Call]] = deque()
        # What follows is the business of the loop's thread, as long as it lives.
        self._told: list[_Call] = []
        # The calls that have returned something to wait for.
        self._underWay: dict[Deferred[Any], tuple[_Call, asyncio.Future[Any]]] = {}
        self._last: asyncio.Task[None] | None = None
        self._isOver = False

    def start(self) -> None:
        """
        Starts my thread, and the loop in it. It can be done once.

        @raise ThreadError: if there can be no more threads or loops, and then it
            can be tried again; or if it was done before, or I was stopped.
        """
        if self.state is not AsyncioState.FRESH:
            raise ThreadError(
                f"The asyncio thread {self.name!r} was started or stopped before: "
                "make another one"
            )
        loop = None
        try:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(
                target=self._live, args=(loop,), name=self.name, daemon=True
            )
            thread.start()
        except (OSError, RuntimeError) as e:
            if loop is not None:
                loop.close()
            text = f"The asyncio thread {self.name!r} could not be started: {e}"
            raise ThreadError(text) from e
        self.loop, self.thread = loop, thread
        self.state = AsyncioState.RUNNING

    def run(self, f: Callable[..., Any], /, *args: Any) -> "Deferred[Any]":
        """
        Calls a function in the loop, and waits there for what it returns if that
        can be awaited.

        @return: A Deferred that fires with what the call came to, or fails with
            what it raised. C{SystemExit}, C{KeyboardInterrupt} and their like are
            made L{harmless}; a C{CancelledError} of asyncio becomes Twisted's. When
            it is cancelled, it fails at once: a call that has not begun is not
            made, and what one waits for is cancelled and its result dropped. It
            fails with a L{ThreadError<asynqueue.errors.ThreadError>} if I am not
            running, or if I was stopped and the call was cancelled by that.
        """
        call = _Call(f, args)
        if self.state is not AsyncioState.RUNNING:
            return fail(self._notRunning(call))
        d: Deferred[Any] = Deferred(self._cancel)
        self._put(d, call)
        return d

    def post(self, f: Callable[..., Any], /, *args: Any) -> None:
        """
        Has a plain function called in the loop, in order with the calls of L{run}.
        What it returns is dropped; what it raises is logged.

        @raise ThreadError: if I am not running.
        """
        call = _Call(f, args)
        if self.state is not AsyncioState.RUNNING:
            raise self._notRunning(call)
        self._put(None, call)

    def tell(self, f: Callable[..., Any], /, *args: Any) -> None:
        """
        Has a function called in the reactor's thread, in order with the results of
        L{run}. What it returns is dropped; what it raises is logged. To be called
        in the loop's thread only.

        @raise RuntimeError: if no loop runs in this thread.
        """
        if not self._told:
            asyncio.get_running_loop().call_soon(self._flush)
        self._told.append(_Call(f, args))

    def stop(self) -> "Deferred[None]":
        """
        Ends the loop and my thread. What was posted before is done; then all tasks
        of the loop are cancelled, and waited for, as are asynchronous generators
        and what the loop's own executor runs. Deferreds of L{run} that are open get
        what their calls come to, or else a
        L{ThreadError<asynqueue.errors.ThreadError>}.

        @return: A Deferred that fires when the thread is gone and all that it has
            told is delivered.
        """
        if self.state is AsyncioState.FRESH:
            self.state = AsyncioState.STOPPED
            self._stopped.callback(None)
        elif self.state is AsyncioState.RUNNING:
            self.state = AsyncioState.STOPPING
            self._put(None, _Call(self._beginToFinish, ()))
            self._wakeCall.cancel()
            # Now, because the reactor might have no other turn.
            self._wake()
        return branch(self._stopped)

    def _notRunning(self, call: _Call) -> ThreadError:
        isEarly = self.state is AsyncioState.FRESH
        return ThreadError(
            f"The call {call} was made {'before' if isEarly else 'after'} the asyncio "
            f"thread {self.name!r} was {'started' if isEarly else 'stopped'}"
        )

    def _leftUndone(self, call: _Call) -> ThreadError:
        return ThreadError(
            f"The call {call} was not done when the asyncio thread {self.name!r} ended"
        )

    # In the reactor's thread:

    def _put(self, d: "Deferred[Any] | None", call: _Call) -> None:
        self._posted.append((d, call))
        if self._wakeCall is None:
            self._wakeCall = self._reactor.callLater(0, self._wake)

    def _wake(self) -> None:
        self._wakeCall = None
        # It is closed if it broke, and then what it had to do fails in a moment.
        with suppress(RuntimeError):
            if self.loop is not None:
                self.loop.call_soon_threadsafe(self._takeAll)

    def _cancel(self, d: "Deferred[Any]") -> None:
        if self.loop is not None:
            self._put(None, _Call(self._cancelFuture, (d,)))

    def _deliver(self, told: list[_Call]) -> None:
        for call in told:
            self._do(call)

    def _ended(self, told: list[_Call]) -> None:
        # It is so already, but for a loop that broke.
        self.state = AsyncioState.STOPPING
        self._deliver(told)
        if self.thread is not None:
            deferUntilEnded(self.thread, self._reactor).addCallback(self._gone)

    def _gone(self, _: Any) -> None:
        self.state = AsyncioState.STOPPED
        self.loop = self.thread = self._last = None
        if self._wakeCall is not None:
            self._wakeCall.cancel()
            self._wakeCall = None
        # There are some if the loop broke.
        left = [(d, call) for d, (call, _) in self._underWay.items()]
        for d, call in [*left, *self._posted]:
            if d is not None and not d.called:
                d.errback(self._leftUndone(call))
        self._underWay.clear()
        self._posted.clear()
        self._stopped.callback(None)

    # In either:

    def _do(self, call: _Call) -> None:
        try:
            call.f(*call.args)
        except BaseException:
            self.log.failure(
                "A call that crossed by the asyncio thread {name!r} failed: {call}",
                name=self.name,
                call=str(call),
            )

    # In the loop's thread:

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        """
        What the thread does.
        """
        asyncio.set_event_loop(loop)
        try:
            while not self._isOver:
                try:
                    loop.run_forever()
                except (SystemExit, KeyboardInterrupt) as e:
                    # A task's or a callback's, of which nobody else may know.
                    self._logUnlessKnown(e)
        except Exception:
            self.log.failure("The asyncio loop of {name!r} broke", name=self.name)
        asyncio.set_event_loop(None)
        loop.close()
        self._toReactor(self._ended, self._told)

    def _logUnlessKnown(self, error: BaseException) -> None:
        done = (future for _, future in self._underWay.values() if future.done())
        if not any(not f.cancelled() and f.exception() is error for f in done):
            text = "Something in the asyncio loop of {name!r} was to end the program"
            self.log.failure(text, name=self.name)

    def _toReactor(self, f: Callable[..., Any], *args: Any) -> None:
        # One that runs on asyncio refuses calls when it is over; others lose them.
        with suppress(RuntimeError):
            self._reactor.callFromThread(f, *args)

    def _flush(self) -> None:
        told, self._told = self._told, []
        self._toReactor(self._deliver, told)

    def _takeAll(self) -> None:
        posted = self._posted
        # Whatever comes meanwhile has another call of this on its way.
        for _ in range(len(posted)):
            d, call = posted.popleft()
            if d is None:
                self._do(call)
            elif not d.called:
                self._begin(d, call)

    def _begin(self, d: "Deferred[Any]", call: _Call) -> None:
        try:
            result = call.f(*call.args)
            if isawaitable(result):
                loop = asyncio.get_running_loop()
                future = asyncio.ensure_future(result, loop=loop)
                self._underWay[d] = call, future
                future.add_done_callback(partial(self._done, d))
                return
        except BaseException as e:
            self._fail(d, call, e)
        else:
            self._succeed(d, call, result)

    def _done(self, d: "Deferred[Any]", future: "asyncio.Future[Any]") -> None:
        call, _ = self._underWay.pop(d)
        try:
            result = future.result()
        except BaseException as e:
            self._fail(d, call, e)
        else:
            self._succeed(d, call, result)

    def _succeed(self, d: "Deferred[Any]", call: _Call, result: Any) -> None:
        if isinstance(result, Deferred):
            text = f"The call {call} came to a Deferred, which asyncio cannot wait for"
            result = Failure(TypeError(text))
        self.tell(_fire, d, result)

    def _fail(self, d: "Deferred[Any]", call: _Call, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError):
            instead = harmless(error)
        else:
            isLeft = self._last is not None
            instead = self._leftUndone(call) if isLeft else CancelledError()
            instead.__cause__ = error
        self.tell(_fire, d, Failure(instead))

    def _cancelFuture(self, d: "Deferred[Any]") -> None:
        if d in self._underWay:
            self._underWay[d][1].cancel()

    def _beginToFinish(self) -> None:
        self._last = asyncio.get_running_loop().create_task(self._finish())

    async def _finish(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while left := self._unfinished():
                for future in left:
                    future.cancel()
                await asyncio.wait(left, timeout=AGAIN)
            await loop.shutdown_asyncgens()
            await loop.shutdown_default_executor()
        finally:
            self._isOver = True
            loop.stop()

    def _unfinished(self) -> "set[asyncio.Future[Any]]":
        futures = {future for _, future in self._underWay.values()}
        return (futures | asyncio.all_tasks()) - {self._last}


def _fire(d: "Deferred[Any]", result: Any) -> None:
    if not d.called:
        d.callback(result)
