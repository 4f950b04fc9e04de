"""
Waiting for Deferreds that others hold.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from asynqueue.about import aboutObject
from asynqueue.delays import checkSeconds
from asynqueue.reactors import theReactor

__all__ = ["DeferredTracker"]

#: How long L{DeferredTracker.deferUntilFewer} gives others to fire as well before
#: it tells that enough have, in seconds.
SETTLING = 0.001

T = TypeVar("T")


class DeferredTracker:
    """
    I count Deferreds that have yet to fire, and tell those who wait when all,
    any, or enough of them have. I hold none of them, and each keeps its result,
    or its failure, for the callbacks that are added after it was given to me.

    Whoever waits is told in the reactor's next iteration, or L{SETTLING} later: by
    then those later callbacks have run too.

    @ivar dCount: How many I wait for, C{None} after L{quitWaiting}.
    """

    def __init__(
        self,
        interval: float | None = None,
        backoff: float | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param interval: Without effect. AsynQueue looked at such intervals; I am
            told.
        @param backoff: Without effect, too.
        @param reactor: The reactor to use, the global one if C{None}.
        """
        self.dCount: int | None = 0
        self._removed = 0
        self._reactor = reactor
        self._waiters = _Waiters(0, reactor)
        self._throttled = _Waiters(SETTLING, reactor)

    def put(self, d: "Deferred[T]") -> "Deferred[T]":
        """
        Waits for a Deferred to fire or fail, too.

        @param d: The Deferred.
        @return: The same Deferred.
        @raise TypeError: if it is none.
        """
        addBoth = getattr(d, "addBoth", None)
        if addBoth is None:
            raise TypeError(f"Only a Deferred can be tracked, not {aboutObject(d)}")
        self.addWait()
        addBoth(self._fired)
        return d

    def addWait(self) -> None:
        """
        Waits for a call of L{removeWait}, too.
        """
        if self.dCount is not None:
            self.dCount += 1

    def removeWait(self) -> None:
        """
        Waits for one less. To be called once for each call of L{addWait}; does
        nothing if I wait for nothing.
        """
        if self.dCount:
            self.dCount -= 1
            self._removed += 1
            self._tellAll()

    def quitWaiting(self) -> None:
        """
        Waits for nothing any more, now and from now on: all who wait are told
        so, with C{True}.
        """
        self.dCount = None
        self._tellAll()

    def notWaiting(self) -> bool:
        """
        @return: C{True} if there is nothing that I wait for.
        """
        return not self.dCount

    def deferToAll(self, timeout: float | None = None) -> "Deferred[bool]":
        """
        Waits until I wait for nothing. What is put to me meanwhile counts, too.

        @param timeout: How long to wait, in seconds; C{None} for as long as it
            takes.
        @return: A Deferred that fires with C{True} then, or with C{False} if it
            has not come to that when the time is over.
        @raise ValueError: if I{timeout} is negative or no number.
        """
        return self._waiters.wait(self.notWaiting, timeout)

    def deferToAny(self, timeout: float | None = None) -> "Deferred[bool]":
        """
        Waits until the next of those that I wait for has fired. If there are
        none, nobody need wait.

        @param timeout: As in L{deferToAll}.
        @return: A Deferred like that of L{deferToAll}.
        @raise ValueError: if I{timeout} is negative or no number.
        """
        # What is less than ever has been, if there is nothing to wait for.
        removed = -1 if self.notWaiting() else self._removed
        return self._waiters.wait(
            lambda: self.dCount is None or self._removed > removed, timeout
        )

    def deferUntilFewer(
        self, N: float, timeout: float | None = None
    ) -> "Deferred[bool]":
        """
        Waits until I wait for fewer than a number of Deferreds. So one can have
        that many calls under way at a time::

            for item in items:
                await tracker.deferUntilFewer(10)
                tracker.put(process(item))
            await tracker.deferToAll()

        Those that fire within L{SETTLING} of one another are told of together. If
        several wait so and one of them, when told, puts what makes too many again,
        the others wait on.

        @param N: The number, above 0.
        @param timeout: As in L{deferToAll}.
        @return: A Deferred like that of L{deferToAll}.
        @raise ValueError: if I{N} is not above 0, or I{timeout} is negative or no
            number.
        """
        if not N > 0:
            raise ValueError(f"There are never fewer than {N!r}: N has to be above 0")
        return self._throttled.wait(
            lambda: self.dCount is None or self.dCount < N, timeout
        )

    def _fired(self, result: T) -> T:
        self.removeWait()
        return result

    def _tellAll(self) -> None:
        self._waiters.tellSoon()
        self._throttled.tellSoon()


class _Waiters:
    """
    Those who wait for something of a tracker, and are told a pause after it
    happened.
    """

    def __init__(self, pause: float, reactor: Any) -> None:
        self._pause = pause
        self._reactor = reactor
        # What tells whether he who waits need wait no longer.
        self._waiting: dict[Deferred[bool], Callable[[], bool]] = {}
        self._telling: IDelayedCall | None = None

    def wait(
        self, isOver: Callable[[], bool], timeout: float | None
    ) -> "Deferred[bool]":
        if timeout is not None:
            checkSeconds("timeout", timeout)
        if isOver():
            return succeed(True)
        d: Deferred[bool] = Deferred(self._forget)
        self._waiting[d] = isOver
        if timeout is not None:
            # It may be over, and only not told yet.
            d.addTimeout(timeout, theReactor(self._reactor), lambda *_: isOver())
        return d

    def tellSoon(self) -> None:
        if self._waiting and self._telling is None:
            self._telling = theReactor(self._reactor).callLater(self._pause, self._tell)

    def _tell(self) -> None:
        self._telling = None
        for d, isOver in list(self._waiting.items()):
            # Not so any more, perhaps, after what those before have done.
            if d in self._waiting and isOver():
                del self._waiting[d]
                d.callback(True)

    def _forget(self, d: "Deferred[bool]") -> None:
        del self._waiting[d]
        if self._telling is not None and not self._waiting:
            self._telling.cancel()
            self._telling = None
