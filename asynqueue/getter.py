"""
An iterator for a thread to wait for.
"""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.python.failure import Failure

from asynqueue.buffers import MAX_ITEMS, Buffer, RunState
from asynqueue.errors import asFailure, harmless
from asynqueue.reactors import theReactor
from asynqueue.threadpool import PoolUser, inReactorThread, thePool

__all__ = ["IterationGetter"]


class IterationGetter(PoolUser):
    """
    I am an iterator for a thread to wait for. The items come from elsewhere: a
    subclass gives them to me by L{put}. Between the two I hold no more than a
    set number.

    A thread iterates over me with C{for}, or by C{next}. If it leaves the loop
    before the end, by C{break}, C{return} or an exception, it wants no more: what
    is there is dropped, and whoever brings more is told so. To go on after
    leaving a loop, hold on to the iterator::

        items = iter(getter)
        for item in items:
            break
        for item in items:
            ...

    I am made in the reactor's thread.

    @ivar dList: A list of the Deferreds that L{deferUntilDone} waits for.
    """

    class IterationStopper:
        """
        When I am given one of these in place of an item, the iteration ends.
        """

    def __init__(
        self,
        maxThreads: int | None = None,
        maxItems: int = MAX_ITEMS,
        reactor: Any = None,
    ) -> None:
        """
        @param maxThreads: As in C{PoolUser.setup}.
        @param maxItems: How many items I hold at most for the thread that
            iterates.
        @param reactor: The reactor to use, the global one if C{None}.
        @raise ValueError: if one of the numbers is no integer above 0.
        """
        self._reactor = theReactor(reactor)
        self._buffer = Buffer(maxItems, self._reactor)
        self.setup(maxThreads, self._reactor)
        self.dList: list[Deferred[Any]] = []
        self._lock = threading.Lock()
        self._loops = 0
        # Written by loops that were made for AsynQueue, see L{loop}.
        self.bIterationValue: Any = None
        self._open()

    @property
    def runState(self) -> RunState:
        """
        A L{RunState}. Loops made for AsynQueue set what they take it to be,
        without effect.
        """
        return self._buffer.state

    @runState.setter
    def runState(self, state: str) -> None:
        pass

    def start(self) -> None:
        """
        Runs my L{loop} in a thread of the pool. When it has returned, the
        iteration ends; when it raises, the error is the last thing that the
        reader gets. I can be started again, then or before.
        """
        self._open()
        # Who takes turns by these three locks need not know of put().
        self.cLock = threading.Semaphore(0)
        self.nLock = SimpleNamespace(acquire=self._buffer.waitForRoom)
        self.bLock = SimpleNamespace(release=lambda: self.put(self.bIterationValue))
        with self._lock:
            self._loops += 1
        self.dList = [d for d in self.dList if not d.called]
        d = thePool(self._reactor).call(self._runLoop)
        self.dList.append(d.addErrback(self._loopFailed))

    def loop(self) -> None:
        """
        Override me to L{put} items, blocking as you like.

        A loop that was made for AsynQueue goes on as it did: it waits for
        C{cLock}, which whoever has a value for it releases; then acquires
        C{nLock}, sets C{bIterationValue}, and releases C{bLock}.
        """
        raise NotImplementedError(f"{type(self).__qualname__} needs a loop()")

    def put(self, item: Any) -> bool:
        """
        Gives an item to whoever iterates. In the reactor's thread I take it even
        if I have no room, see L{deferUntilRoom}; in another I block until there
        is some.

        @return: C{False} if nobody wants it, and it was dropped.
        """
        if isinstance(item, self.IterationStopper):
            self._buffer.end()
            return True
        return self._buffer.put(item, wait=not inReactorThread())

    def deferUntilRoom(self) -> "Deferred[None]":
        """
        @return: A Deferred that fires when there is room for another item, or
            when it would be dropped anyway. In a thread it has fired already,
            because L{put} waits there.
        """
        if inReactorThread():
            return self._buffer.deferUntilRoom()
        return succeed(None)

    def fail(self, error: Any) -> None:
        """
        Ends the iteration with an error, which is raised where the thread
        iterates, after the items that are there.

        @param error: A C{Failure}, an exception or a text. If it is one that
            would end the thread or be taken for the iteration's proper end,
            another is raised that has it as its cause.
        """
        cause: Any = asFailure(error).value
        value = harmless(cause)
        if isinstance(value, StopIteration):
            value = RuntimeError("What brought the items raised StopIteration")
            value.__cause__ = cause
        self._buffer.end(value)

    def leave(self) -> None:
        """
        Says that whoever iterates wants no more. To be called by one who takes
        items by C{next}; leaving a C{for} loop does it.
        """
        self._buffer.leave()

    def deferUntilDone(self) -> "Deferred[Any]":
        """
        @return: A Deferred that fires when the thread has come to the end of the
            iteration, or left it; where I was started with a L{loop}, when that
            has returned.
        """
        # One that can be cancelled without those that it waits for.
        d: Deferred[Any] = Deferred()
        DeferredList(self.dList).chainDeferred(d)
        return d

    def __iter__(self) -> Iterator[Any]:
        """
        @return: An iterator over what comes. Once begun, it says when it is let
            go of before its end.
        """
        while True:
            try:
                item = next(self)
            except StopIteration:
                return
            try:
                yield item
            except BaseException:
                self.leave()
                raise

    def __next__(self) -> Any:
        """
        Blocks until there is an item.

        @return: The item.
        @raise StopIteration: if there are no more.
        @raise Exception: what ended the iteration.
        @raise NotReadyError: if I was asked in the reactor's thread, where it
            would block what is to bring the item.
        """
        # A loop of mine goes on without the reactor.
        mayBlock = self._loops > 0 or not inReactorThread()
        return self._buffer.take(mayBlock)

    def _open(self) -> None:
        self._buffer.reopen()
        thePool(self._reactor).guard(self._buffer)

    def _runLoop(self) -> None:
        """
        What the thread does.
        """
        try:
            self.loop()
        except BaseException as e:
            self.fail(e)
        with self._lock:
            self._loops -= 1
            if self._loops == 0:
                self._buffer.end()

    def _loopFailed(self, failure: Failure) -> None:
        """
        There could be no thread.
        """
        with self._lock:
            self._loops -= 1
        self.fail(failure)
