"""
Waiting for a time to pass, and for events that nobody tells of.
"""

import math
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any

from twisted.internet.defer import Deferred, succeed

from asynqueue.about import aboutObject
from asynqueue.checks import checkCallable
from asynqueue.reactors import theReactor
from asynqueue.stops import AtStop

__all__ = ["BACKOFF", "INTERVAL", "Delay", "checkSeconds", "deferToDelay"]

INTERVAL = 0.001
"""
The interval between looks that a L{Delay} begins with, in seconds, unless set.
"""

BACKOFF = 1.10
"""
By what it multiplies that interval after each look in vain, unless set. A look
then comes late by at most a tenth of the time waited so far, and the first
interval.
"""


def checkSeconds(name: str, value: Any) -> None:
    """
    @raise ValueError: if a value, called by a name, is no time to wait for: it
        has to be in seconds, at least 0, and finite.
    """
    if not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise ValueError(
            f"{name} has to be a number of seconds, at least 0, not "
            f"{aboutObject(value)}"
        )


def deferToDelay(delay: float, reactor: Any = None) -> "Deferred[None]":
    """
    @param delay: A time in seconds.
    @param reactor: The reactor to use, the global one if C{None}.
    @return: A Deferred that fires after that time, or when the reactor is about
        to stop.
    @raise ValueError: if I{delay} is negative or no number.
    """
    return Delay(reactor=reactor)(delay)


class Delay:
    """
    I wait, without blocking: call me for a Deferred that fires after some time, or
    have me look again and again for an event that nobody tells of.

    I leave nothing behind in the reactor while nobody waits, and when it is about
    to stop nobody has to wait any longer: see L{shutdown}.

    @ivar interval: How long to wait between the second look and the third, and
        when I am called without a delay, in seconds.
    @ivar backoff: By what that is multiplied after each further look.
    @ivar timeout: How long L{untilEvent} goes on looking, in seconds; C{None} for
        as long as it takes.
    @ivar pendingCalls: The delays that are being waited for: Deferreds, by the
        reactor's delayed calls that will fire them.
    """

    def __init__(
        self,
        interval: float | None = None,
        backoff: float | None = None,
        timeout: float | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param interval: In seconds, L{INTERVAL} if C{None}.
        @param backoff: From 1.0 to 1.3, L{BACKOFF} if C{None}.
        @param reactor: The reactor to use, the global one if C{None}.
        @raise ValueError: if one of them is out of range.
        """
        self.interval = INTERVAL if interval is None else interval
        self.backoff = BACKOFF if backoff is None else backoff
        self.timeout = timeout
        checkSeconds("interval", self.interval)
        if not 1.0 <= self.backoff <= 1.3:
            raise ValueError(f"backoff has to be from 1.0 to 1.3, not {self.backoff!r}")
        if timeout is not None:
            checkSeconds("timeout", timeout)
        self.pendingCalls: dict[Any, Deferred[None]] = {}
        self._reactor = reactor
        self._atStop: AtStop | None = None
        self._isShutDown = False

    @property
    def triggerID(self) -> Any:
        """
        The reactor's identifier of the trigger that has it shut me down before it
        stops, C{None} while nobody waits.
        """
        return None if self._atStop is None else self._atStop.triggerID

    def __call__(self, delay: float | None = None) -> "Deferred[None]":
        """
        @param delay: A time in seconds, 0 for the reactor's next iteration; my
            I{interval} if C{None}.
        @return: A Deferred that fires after that time, or when I am shut down.
        @raise ValueError: if I{delay} is negative or no number.
        """
        if delay is None:
            delay = self.interval
        checkSeconds("delay", delay)
        if self._isShutDown:
            return succeed(None)
        reactor = theReactor(self._reactor)
        call: Any = reactor.callLater(delay, lambda: self._forget(call).callback(None))

        def interrupt(_: object) -> None:
            call.cancel()
            self._forget(call)

        d = self.pendingCalls[call] = Deferred(interrupt)
        if self._atStop is None:
            self._atStop = AtStop(self.shutdown, reactor)
        return d

    def untilEvent(
        self, eventChecker: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[bool | None]":
        """
        Looks for an event: at once, in the reactor's next iteration, after my
        I{interval}, and then at intervals that grow by my I{backoff}.

        Whoever can be told of the event had better be told.

        @param eventChecker: Is called with the other arguments, and returns at
            once what counts as true if the event has happened.
        @return: A Deferred that fires with C{True} when the event has happened,
            with C{False} if it has not when my I{timeout} has passed, or with
            C{None} if it has not when I am shut down; or fails with what
            I{eventChecker} raises.
        @raise TypeError: if I{eventChecker} is not callable.
        """
        checkCallable("eventChecker", eventChecker)
        return Deferred.fromCoroutine(self._look(partial(eventChecker, *args, **kw)))

    def shutdown(self) -> None:
        """
        Has all that are waiting wait no longer, now and from now on: what they
        wait with fires at once. The reactor calls me so before it stops.
        """
        self._isShutDown = True
        while self.pendingCalls:
            # One by one, because what one fires may cancel another.
            call = next(iter(self.pendingCalls))
            call.cancel()
            self._forget(call).callback(None)

    async def _look(self, hasHappened: Callable[[], Any]) -> bool | None:
        now = theReactor(self._reactor).seconds
        end = math.inf if self.timeout is None else now() + self.timeout
        wait, interval = 0.0, self.interval
        while not hasHappened():
            left = end - now()
            if self._isShutDown:
                return None
            if left <= 0:
                return False
            await self(min(wait, left))
            wait, interval = interval, interval * self.backoff
        return True

    def _forget(self, call: Any) -> "Deferred[None]":
        d = self.pendingCalls.pop(call)
        if self._atStop is not None and not self.pendingCalls:
            self._atStop.withdraw()
            self._atStop = None
        return d
