"""
Calls that run one by one in one thread.
"""

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from queue import SimpleQueue
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from asynqueue.errors import ThreadError
from asynqueue.messages import Status
from asynqueue.reactors import theReactor
from asynqueue.runner import CallRunner


def deferUntilEnded(thread: threading.Thread, reactor: Any) -> "Deferred[None]":
    """
    Waits for a thread that has said, as the last thing it does, that it ends.
    It cannot say that it has ended, so here we look, in each of the few
    iterations of the reactor that it takes.

    @return: A Deferred that fires when the thread is no longer alive.
    """
    d: Deferred[None] = Deferred()

    def look() -> None:
        if thread.is_alive():
            reactor.callLater(0, look)
        else:
            d.callback(None)

    look()
    return d


class _Job(NamedTuple):
    f: Callable[..., Any]
    args: tuple[Any, ...]
    kw: dict[str, Any]
    d: "Deferred[Any]"


def _fire(d: "Deferred[Any]", result: Any) -> None:
    if isinstance(result, Deferred):
        result.chainDeferred(d)
    else:
        d.callback(result)


class LooperState(Enum):
    """
    The stages of a L{ThreadLooper}'s life, each followed by the next.
    """

    FRESH = "has no thread yet"
    RUNNING = "has a thread"
    STOPPING = "lets its thread finish what was asked for"
    STOPPED = "has no thread any more"


class ThreadLooper:
    """
    I run calls, one at a time and in order, in a thread of my own.

    The thread begins with my first call and is a daemon: it never keeps the
    interpreter from exiting.

    @ivar state: A L{LooperState}.
    @ivar thread: My thread, C{None} until there is one.
    """

    def __init__(self, raw: bool = False, reactor: Any = None) -> None:
        """
        @param raw: C{True} if L{call} is to treat iterators as plain values.
        @param reactor: Where results are delivered, the global one if C{None}.
        """
        self._reactor = reactor
        self._runner = CallRunner(raw)
        self._jobs: deque[_Job] = deque()
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._waiters: list[Deferred[None]] = []
        self.state = LooperState.FRESH
        self.thread: threading.Thread | None = None

    def call(
        self,
        f: Callable[..., Any],
        /,
        *args: Any,
        doNext: bool = False,
        raw: bool | None = None,
        **kw: Any,
    ) -> "Deferred[tuple[Status, Any]]":
        """
        Runs a call in my thread.

        @param doNext: C{True} to have it run before those that wait.
        @param raw: Overrides my own I{raw}.

        @return: A Deferred that fires with a status and a result, as from
            L{CallRunner<asynqueue.runner.CallRunner>}; a call that raises has
            C{Status.ERROR} and the exception.
        """
        return self._put(self._runner, ((f, args, kw), raw), {}, doNext)

    def deferToThread(
        self, f: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[Any]":
        """
        Runs a call in my thread.

        @return: A Deferred that fires with what the call returns, or fails
            with what it raises.
        """
        return self._put(f, args, kw, False)

    def stop(self) -> "Deferred[None]":
        """
        Ends my thread when it has run what was asked for. I run nothing after
        that.

        @return: A Deferred that fires when the thread is gone.
        """
        if self.state in (LooperState.FRESH, LooperState.STOPPED):
            self.state = LooperState.STOPPED
            return succeed(None)
        if self.state is LooperState.RUNNING:
            self.state = LooperState.STOPPING
            self._tokens.put(False)
        d: Deferred[None] = Deferred()
        self._waiters.append(d)
        return d

    def _put(
        self, f: Callable[..., Any], args: Any, kw: dict[str, Any], first: bool
    ) -> "Deferred[Any]":
        if self.state in (LooperState.STOPPING, LooperState.STOPPED):
            return fail(ThreadError("The thread of this looper was stopped"))
        d: Deferred[Any] = Deferred()
        job = _Job(f, args, kw, d)
        if first:
            self._jobs.appendleft(job)
        else:
            self._jobs.append(job)
        self._tokens.put(True)
        if self.state is LooperState.FRESH:
            self.state = LooperState.RUNNING
            self._reactor = theReactor(self._reactor)
            self.thread = threading.Thread(
                target=self._loop, name="asynqueue looper", daemon=True
            )
            self.thread.start()
        return d

    def _loop(self) -> None:
        deliver = self._reactor.callFromThread
        while self._tokens.get():
            job = self._jobs.popleft()
            try:
                result = job.f(*job.args, **job.kw)
            except BaseException:
                result = Failure()
            deliver(_fire, job.d, result)
            # Not held while the next job is awaited.
            del job, result
        deliver(self._loopEnded)

    def _loopEnded(self) -> None:
        if self.thread is not None:
            deferUntilEnded(self.thread, self._reactor).addCallback(self._ended)

    def _ended(self, _: None) -> None:
        self.state = LooperState.STOPPED
        waiters, self._waiters = self._waiters, []
        for d in waiters:
            d.callback(None)
