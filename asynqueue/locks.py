"""
A lock to take turns by.
"""

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.checks import checkCallable

__all__ = ["DeferredLock", "Turn"]


class DeferredLock(defer.DeferredLock):
    """
    I am Twisted's lock, with a line of its own for those who are to be served
    first, and with an end: L{stop}.

    However many wait, and however quickly they are done, granting me to them takes
    no deeper a stack than granting me to one.

    @ivar locked: C{True} while somebody has me.
    @ivar waiting: The Deferreds of those who wait for me, in the order of their
        turns.
    @ivar N_vips: How many of them, the first ones, are to be served first.
    @ivar running: C{True} until I am stopped.
    @ivar stoppers: What L{stop} will call: a list of lists of a callable, its
        arguments and its keywords.
    """

    log = Logger()

    def __init__(self, allowZombies: bool = False) -> None:
        """
        @param allowZombies: Without effect, as in AsynQueue: a lock that was
            stopped can always be acquired.
        """
        super().__init__()
        self.N_vips = 0
        self.running = True
        self.stoppers: list[list[Any]] = []
        # How many have acquired me since I was stopped, and not released me yet.
        self._late = 0
        self._isGranting = False
        self._isStopped = False
        self._stopWaiters: list[Deferred[None]] = []

    def acquire(self, vip: bool = False) -> "Deferred[DeferredLock]":
        """
        @param vip: C{True} for a turn before all who did not ask for that, and
            after those who did so earlier.
        @return: A Deferred that fires with me when it is the caller's turn: at
            once if I am free or was stopped. To cancel it is to leave the line.
        """
        if not self.running:
            self._late += 1
            return succeed(self)
        return self._queue(vip)

    def acquireAndRelease(self, vip: bool = False) -> "Deferred[None]":
        """
        Acquires me and releases me at once.

        @param vip: As in L{acquire}.
        @return: A Deferred that fires when that is done.
        """
        return self.acquire(vip).addCallback(lambda lock: lock.release())

    def release(self) -> None:
        """
        Ends the turn of whoever has me. When I was stopped, it does no harm to
        call this once too often.

        @raise RuntimeError: if I am running and nobody has me.
        """
        if self._late:
            # Perhaps it is the one who had his turn before. Whoever is next comes
            # when all have released me.
            self._late -= 1
        elif self.locked:
            self._grant()
        elif self.running:
            raise RuntimeError("A lock was released that nobody had acquired")

    def context(self, vip: bool = False) -> "Turn":
        """
        A turn that ends with a block, however that ends::

            with lock.context() as d:       async with lock.context():
                yield d                         ...
                ...

        @param vip: As in L{acquire}.
        @return: The L{Turn}, which gives the Deferred of L{acquire} in the first
            way.
        """
        return Turn(self, vip)

    def addStopper(self, f: Callable[..., Any], /, *args: Any, **kw: Any) -> None:
        """
        Adds a call to those that L{stop} makes. It may return a Deferred.

        @raise TypeError: if I{f} is not callable.
        """
        checkCallable("f", f)
        self.stoppers.append([f, args, kw])

    def stop(self) -> "Deferred[None]":
        """
        Ends the taking of turns. Who waits for his still gets it, in order; then
        come my stoppers, one after the other in the order in which they were
        added, each when the one before is done. Who acquires me from now on need
        not wait.

        @return: A Deferred that fires when the last stopper is done; or fails
            with the first error of one, but the others run all the same, and
            their errors are logged.
        """
        if self._isStopped:
            return succeed(None)
        d: Deferred[None] = Deferred()
        self._stopWaiters.append(d)
        if self.running:
            self.running = False
            self._queue(False).addCallback(
                lambda _: Deferred.fromCoroutine(self._runStoppers())
            )
        return d

    def _queue(self, vip: bool) -> "Deferred[Any]":
        d: Deferred[Any] = Deferred(self._leave)
        # It is not locked for a moment when it goes from one to the next.
        if not self.locked and not self.waiting:
            self.locked = True
            d.callback(self)
        elif vip:
            self.waiting.insert(self.N_vips, d)
            self.N_vips += 1
        else:
            self.waiting.append(d)
        return d

    def _leave(self, d: "Deferred[Any]") -> None:
        place = self.waiting.index(d)
        del self.waiting[place]
        if place < self.N_vips:
            self.N_vips -= 1

    def _grant(self) -> None:
        self.locked = False
        if self._isGranting:
            # Released already, while being granted below.
            return
        self._isGranting = True
        while self.waiting and not self.locked:
            d: Deferred[Any] = self.waiting[0]
            self._leave(d)
            self.locked = True
            d.callback(self)
        self._isGranting = False

    async def _runStoppers(self) -> None:
        errors: list[Failure] = []
        while self.stoppers:
            f, args, kw = self.stoppers.pop(0)
            await maybeDeferred(partial(f, *args, **kw)).addErrback(errors.append)
        self._isStopped = True
        self._grant()
        for error in errors[1:]:
            self.log.failure("Another stopper of a lock failed", error)
        waiters, self._stopWaiters = self._stopWaiters, []
        for d in waiters:
            if errors:
                d.errback(errors[0])
            else:
                d.callback(None)


class Turn:
    """
    I am the turn of one block of code at a L{DeferredLock}. I end with the block,
    whether I had begun or not.
    """

    def __init__(self, lock: DeferredLock, vip: bool) -> None:
        """
        @param lock: Whose turn.
        @param vip: C{True} to be the next one who gets the lock.
        """
        self._lock = lock
        self._vip = vip
        self._has = False
        self._d: Deferred[DeferredLock] | None = None

    def __enter__(self) -> "Deferred[DeferredLock]":
        self._d = self._lock.acquire(self._vip).addCallback(self._begun)
        return self._d

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._has:
            self._has = False
            self._lock.release()
        elif self._d is not None and not self._d.called:
            self._d.cancel()
            self._d.addErrback(lambda failure: failure.trap(CancelledError))

    async def __aenter__(self) -> DeferredLock:
        return await self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _begun(self, lock: DeferredLock) -> DeferredLock:
        self._has = True
        return lock
