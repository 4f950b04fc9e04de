"""
How long something lasts that has to be shut down, at the latest with the reactor.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from asynqueue.awaiting import DualDeferred
from asynqueue.stops import AtStop


class Stage(Enum):
    """
    The stages of a L{Lifetime}, each followed by the next.
    """

    RUNNING = "does what it is for"
    STOPPING = "finishes what it has begun"
    STOPPED = "is over"


class Lifetime:
    """
    I see to it that something is shut down once, by whoever asks first: its user,
    or the reactor when that stops.

    @ivar stage: A L{Stage}.
    @ivar grace: How long the shutdown may take when the reactor stops, or it is to
        be quick, in seconds.
    """

    def __init__(
        self,
        end: Callable[[], "Deferred[Any]"],
        kill: Callable[[], Any],
        grace: float,
        reactor: Any,
    ) -> None:
        """
        @param end: Begins the shutdown. It returns a Deferred that fires when
            all is over.
        @param kill: Makes short work of it, after the I{grace}.
        @param reactor: The reactor to use.
        """
        self.stage = Stage.RUNNING
        self.grace = grace
        self._end = end
        self._kill = kill
        self._reactor = reactor
        self._waiters: list[Deferred[None]] = []
        self._patience: Any = None
        self._atStop = AtStop(self.shutdownSoon, reactor)

    def isRunning(self) -> bool:
        """
        @return: C{True} until the shutdown begins.
        """
        return self.stage is Stage.RUNNING

    def isOver(self) -> bool:
        """
        @return: C{True} when the shutdown is over.
        """
        return self.stage is Stage.STOPPED

    def shutdown(self) -> "Deferred[None]":
        """
        Begins the shutdown, if nobody has.

        @return: A Deferred that fires when it is over, or fails with what went wrong
            in it.
        """
        if self.stage is Stage.STOPPED:
            return succeed(None)
        d: Deferred[None] = DualDeferred()
        self._waiters.append(d)
        if self.stage is Stage.RUNNING:
            self.stage = Stage.STOPPING
            self._end().addBoth(self._stopped)
        return d

    def shutdownSoon(self) -> "Deferred[None]":
        """
        Begins the shutdown, if nobody has, and makes short work of it after the
        I{grace}.

        @return: A Deferred that fires when it is over.
        """
        d = self.shutdown()
        if self.stage is Stage.STOPPING and self._patience is None:
            self._patience = self._reactor.callLater(self.grace, self._kill)
        return d

    def kill(self) -> None:
        """
        Makes short work of the shutdown, which has begun, if it is not over.
        """
        if self.stage is Stage.STOPPING:
            self._kill()

    def _stopped(self, result: Any) -> None:
        self.stage = Stage.STOPPED
        self._atStop.withdraw()
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        waiters, self._waiters = self._waiters, []
        for d in waiters:
            # A Failure goes to all of them.
            d.callback(result if isinstance(result, Failure) else None)
