"""
How long something lasts that has to be shut down, at the latest with the reactor.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, succeed

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
    @ivar grace: How long the shutdown may take when the reactor stops, in seconds.
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
        self._atStop = AtStop(self._reactorStops, reactor)

    def isRunning(self) -> bool:
        """
        @return: C{True} until the shutdown begins.
        """
        return self.stage is Stage.RUNNING

    def shutdown(self) -> "Deferred[None]":
        """
        Begins the shutdown, if nobody has.

        @return: A Deferred that fires when it is over.
        """
        if self.stage is Stage.STOPPED:
            return succeed(None)
        d: Deferred[None] = Deferred()
        self._waiters.append(d)
        if self.stage is Stage.RUNNING:
            self.stage = Stage.STOPPING
            self._end().addCallback(self._stopped)
        return d

    def _reactorStops(self) -> "Deferred[None]":
        d = self.shutdown()
        patience = self._reactor.callLater(self.grace, self._kill)
        return d.addCallback(lambda _: patience.active() and patience.cancel())

    def _stopped(self, _: Any) -> None:
        self.stage = Stage.STOPPED
        self._atStop.withdraw()
        waiters, self._waiters = self._waiters, []
        for d in waiters:
            d.callback(None)
