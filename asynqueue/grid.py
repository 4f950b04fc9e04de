"""
The grid: which settings of a queue are tried by C{asynqueue tune}, and under which
loads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from operator import attrgetter
from typing import Any

from asynqueue.pace import intervals


@dataclass(frozen=True)
class Choice:
    """
    I am how a queue can be set.

    @ivar poller: The name of a poller.
    @ivar interval: Its interval, in seconds.
    @ivar backoff: Its backoff.
    """

    poller: str = "thread"
    interval: float = 0.001
    backoff: float = 1.10

    @property
    def isPaced(self) -> bool:
        """
        C{True} if the interval and the backoff make a difference: that poller looks.
        """
        return self.poller == DEFAULTS.poller

    @property
    def title(self) -> str:
        """
        What I am called in tables.
        """
        if not self.isPaced:
            return self.poller
        return f"{self.poller}, {1000 * self.interval:g} ms, {self.backoff:.2f}"

    def keywords(self) -> dict[str, Any]:
        """
        @return: What to give to a
            L{ProcessQueue<asynqueue.process.ProcessQueue>}.
        """
        return {
            "poller": self.poller,
            "interval": self.interval,
            "backoff": self.backoff,
        }


DEFAULTS = Choice()
"""
How a queue is set unless it is told otherwise.
"""


def theChoices(
    pollers: Sequence[str], spans: Sequence[float], backoffs: Sequence[float]
) -> list[Choice]:
    """
    @param spans: Intervals, in seconds.
    @return: What is to be tried: the grid, from the shortest interval and the
        smallest backoff on, with the L{DEFAULTS} in any case; and each other poller
        once.
    """
    paced = {DEFAULTS}
    if DEFAULTS.poller in pollers:
        paced.update(
            Choice(interval=span, backoff=backoff)
            for span in spans
            for backoff in backoffs
        )
    others = [Choice(poller) for poller in pollers if poller != DEFAULTS.poller]
    return [*sorted(paced, key=attrgetter("interval", "backoff")), *others]


def looks(seconds: float, interval: float, backoff: float) -> int:
    """
    @return: How many looks in vain a thread has for a call that takes some seconds,
        as L{intervals<asynqueue.pollers.intervals>} tells. It is not counted.
    """
    ends = accumulate(intervals(interval, backoff))
    return sum(1 for _ in takewhile(lambda end: end <= seconds, ends))


@dataclass(frozen=True)
class Naps:
    """
    I am a load of calls that take their time and need no core.

    @ivar name: What I am chosen by.
    @ivar title: What I am.
    @ivar shortest: How long the shortest call takes, in seconds.
    @ivar longest: How long the longest one takes.
    """

    name: str
    title: str
    shortest: float
    longest: float

    def each(self, seconds: float) -> int:
        """
        @return: How many calls keep a worker busy for about as long.
        """
        return max(1, round(2 * seconds / (self.shortest + self.longest)))


LOADS = {
    load.name: load
    for load in (
        Naps("mixed", "calls of 0 to 200 ms", 0.0, 0.2),
        Naps("nap100", "calls of 100 ms", 0.1, 0.1),
        Naps("nap1000", "calls of 1 s", 1.0, 1.0),
    )
}
"""
Those that AsynQueue's author tried, by their names.
"""
