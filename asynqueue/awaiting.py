"""
Deferreds that the tasks of asyncio can await, too.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python import threadable

__all__ = ["DualDeferred", "dual"]

T = TypeVar("T")

_BY_TWISTED = object()

ELSEWHERE = (
    "only tasks in the loop that the reactor runs on can await it; install Twisted's "
    "asyncioreactor first of all, and run the reactor instead of asyncio.run"
)
"""
What is wrong if a task in another loop awaits what the reactor is to fire.
"""


def isReactors(loop: asyncio.AbstractEventLoop) -> bool:
    """
    @return: C{True} if the reactor runs on a loop; also if there is no reactor yet, and
        so whoever fires something is another.
    """
    reactor = sys.modules.get("twisted.internet.reactor")
    if reactor is None:
        return True
    # That there is one has been decided, so this installs none.
    from twisted.internet.asyncioreactor import AsyncioSelectorReactor

    isAsyncio = isinstance(reactor, AsyncioSelectorReactor)
    return isAsyncio and getattr(reactor, "_asyncioEventloop", loop) is loop


class _Fired:
    """
    I am what a task is told has its result. It looks for that where it waits.
    """

    def result(self) -> None:
        pass


class DualDeferred(Deferred[T]):
    """
    I am a Deferred that can be awaited in a coroutine of Twisted's, like any, and
    in a task of asyncio whose loop is that of the reactor.

    Whoever runs a coroutine is given what it awaits. Twisted is given a Deferred,
    and asyncio something that has the attribute of
    C{asyncio.isfuture}; I am both, so it need not be known who runs it. I have the
    attribute only while I am awaited. So to C{asyncio.gather} and the like I am
    something that can be awaited, for which they make a task.

    If the task that awaits me is cancelled, so am I, and the task goes on when I have
    fired.
    """

    _isElsewhere = False

    def __repr__(self) -> str:
        about = super().__repr__()
        # A part of the error that a task fails with.
        return f"{about[:-1]}: {ELSEWHERE}>" if self._isElsewhere else about

    def __await__(self) -> Generator[Deferred[Any], Any, T]:
        self._asyncio_future_blocking = True
        return Deferred.__iter__(self)

    def cancel(self, msg: Any = _BY_TWISTED) -> None:
        """
        Cancels me as any Deferred.

        @param msg: Given by a task that awaits me and was cancelled, and by nobody
            else. It raises an error of its own then, so mine is not missed.
        """
        super().cancel()
        if msg is not _BY_TWISTED:
            self.addErrback(lambda _: None)

    def get_loop(self) -> asyncio.AbstractEventLoop | None:
        """
        For a task that awaits me.

        @return: Its loop. C{None} if that is not the reactor's, or runs in another
            thread, so that the task fails with an error that says so.
        """
        loop = asyncio.get_running_loop()
        isHere = threadable.ioThread in (None, threading.get_ident())
        self._isElsewhere = not (isHere and isReactors(loop))
        return None if self._isElsewhere else loop

    def add_done_callback(self, f: Callable[[Any], Any], *, context: Any) -> None:
        """
        For a task that awaits me: has it go on, in its loop, when I have fired.
        """
        loop = asyncio.get_running_loop()
        # The task has taken it back. It may have to wait once more, if a callback
        # returns a Deferred.
        self._asyncio_future_blocking = True

        def fired(result: Any) -> Any:
            loop.call_soon(f, _Fired(), context=context)
            return result

        self.addBoth(fired)


def dual(d: "Deferred[T]") -> "Deferred[T]":
    """
    @return: A L{DualDeferred} that fires, or fails, with what another does, and
        cancels that when it is cancelled; or the other itself if it is one, or has
        a result.
    """
    if isinstance(d, DualDeferred) or (d.called and not d.paused):
        return d
    # It takes its result from the other, so that being cancelled, too, takes as long.
    both: DualDeferred[Any] = DualDeferred()
    both.callback(None)
    return both.addCallback(lambda _: d)
