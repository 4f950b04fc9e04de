"""
The loads: which exercises there are, how much of each, and what is measured.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asynqueue import exercises, watching
from asynqueue.exercises import Measures, doublings

LIMIT = 60.0
"""
How long one trial may take unless its load says otherwise, in seconds: many times
what it takes on a machine that has other things to do too.
"""


@dataclass(frozen=True)
class Measure:
    """
    I am something that is measured under a load.

    @ivar name: What it is called in samples.
    @ivar title: What it is.
    @ivar unit: What it is measured in.
    @ivar isBetterIfMore: C{True} if more of it is better.
    @ivar ideal: What it would be at best, C{None} if there is no such thing.
    """

    name: str
    title: str
    unit: str
    isBetterIfMore: bool
    ideal: float | None = None


@dataclass(frozen=True)
class Load:
    """
    I am a load.

    @ivar name: What I am chosen by.
    @ivar title: What I am.
    @ivar exercise: What is done: a coroutine function of a
        L{Setting<asynqueue.exercises.Setting>} and my sizes.
    @ivar measures: What is measured meanwhile.
    @ivar sizes: How much is done: keywords of I{exercise} and I{floor}.
    @ivar quick: Those that differ if it only has to be seen that all works.
    @ivar floor: Measures the same of a bare pipe, C{None} if there is no such thing:
        a function of the start method and my sizes.
    @ivar isUsual: C{False} if I am measured only if I am asked for by name.
    @ivar isCurve: C{True} if the measures have numbers of workers for names.
    @ivar limit: How long a trial may take, in seconds.
    """

    name: str
    title: str
    exercise: Callable[..., Awaitable[Measures]]
    measures: tuple[Measure, ...]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    floor: Callable[..., Measures] | None = None
    isUsual: bool = True
    isCurve: bool = False
    limit: float = LIMIT

    def howMuch(self, quick: bool) -> dict[str, Any]:
        """
        @return: My sizes, small ones if it has to be quick.
        """
        return {**self.sizes, **self.quick} if quick else dict(self.sizes)


TRIPS = (
    Measure("p50", "half of the calls return within", "µs", False),
    Measure("p99", "99 of 100 return within", "µs", False),
)
CALLS = (Measure("rate", "calls a second", "calls/s", True),)
WORK = (
    Measure("efficiency", "how much of their time the workers work", "%", True, 100),
    Measure("overhead", "time lost with a call", "ms", False),
)
VOLUME = (
    Measure("rate", "bytes moved, to and fro", "MB/s", True),
    Measure("stall", "longest stall of the reactor", "ms", False),
)


def theLoads(cores: int) -> dict[str, Load]:
    """
    @param cores: How many workers are worth while at most if they need cores.
    @return: All loads by their names, in the order in which they are shown.
    """
    speedUps = tuple(
        Measure(str(n), f"speed-up by {n} workers", "times", True, n)
        for n in doublings(cores)[1:]
    )
    loads = (
        Load(
            "one",
            "no-op calls, one at a time",
            exercises.oneAtATime,
            TRIPS,
            {"calls": 5000},
            {"calls": 200},
            exercises.floorTrips,
        ),
        Load(
            "outstanding",
            "no-op calls, 64 outstanding",
            exercises.outstanding,
            CALLS,
            {"calls": 10_000, "at": 64},
            {"calls": 640},
        ),
        *(
            Load(
                f"cluster{at}",
                f"no-op calls, {at} outstanding, as many as take a cluster long",
                exercises.outstanding,
                CALLS,
                {"calls": 3000, "at": at},
                {"calls": 300},
                isUsual=False,
            )
            for at in (64, 256)
        ),
        Load(
            "burst",
            "20,000 no-op calls queued at once",
            exercises.burst,
            CALLS,
            {"calls": 20_000},
            {"calls": 500},
        ),
        Load(
            "nap100",
            "calls of 100 ms",
            exercises.working,
            WORK,
            {"each": 20, "shortest": 0.1, "longest": 0.1},
            {"each": 2},
        ),
        Load(
            "nap1000",
            "calls of 1 s",
            exercises.working,
            WORK,
            {"each": 4, "shortest": 1.0, "longest": 1.0},
            {"each": 1},
        ),
        Load(
            "mixed",
            "calls of 0 to 200 ms",
            exercises.working,
            WORK,
            {"each": 30, "shortest": 0.0, "longest": 0.2},
            {"each": 3},
        ),
        Load(
            "cpu",
            "CPU-bound calls of 50 ms",
            exercises.speedUp,
            speedUps,
            {"most": cores, "each": 20, "seconds": 0.05},
            {"each": 2},
            isCurve=True,
        ),
        Load(
            "mb1",
            "1 MB to and fro",
            exercises.volume,
            VOLUME,
            {"calls": 200, "size": 10**6},
            {"calls": 5},
            exercises.floorVolume,
        ),
        Load(
            "mb100",
            "100 MB to and fro",
            exercises.volume,
            VOLUME,
            {"calls": 4, "size": 10**8},
            {"calls": 1, "size": 10**7},
            exercises.floorVolume,
        ),
        Load(
            "items",
            "items from a generator in a worker",
            exercises.items,
            (Measure("rate", "items a second", "items/s", True),),
            {"count": 10_000},
            {"count": 500},
        ),
        Load(
            "start",
            "from nothing to the first answer",
            exercises.startUp,
            (Measure("first", "time to the first answer", "ms", False),),
            floor=exercises.floorStart,
        ),
        Load(
            "memory",
            "memory of a worker after 1,000 calls",
            exercises.memory,
            (
                Measure("uss", "what would be free if it ended", "MiB", False),
                Measure("rss", "resident set", "MiB", False),
            ),
            {"calls": 1000},
            {"calls": 10},
        ),
        Load(
            "waiting",
            "a million calls that wait",
            exercises.waiting,
            (
                Measure("size", "memory for one", "bytes", False),
                Measure("first", "making one of the first 10,000", "µs", False),
                Measure("last", "making one of the last 10,000", "µs", False),
                Measure(
                    "growth", "one of the last by one of the first", "times", False
                ),
            ),
            {"calls": 1_000_000, "ahead": 20},
            {"calls": 20_000},
            limit=3 * LIMIT,
        ),
        Load(
            "watched",
            "no-op calls, 64 outstanding, with a page to watch",
            watching.watched,
            (
                Measure("mounted", "as fast if nobody watches", "%", True, 100),
                Measure("watched", "as fast if somebody does", "%", True, 100),
            ),
            {"rounds": 9, "seconds": 3.0},
            {"rounds": 1, "seconds": 0.2},
            isUsual=False,
            limit=3 * LIMIT,
        ),
    )
    return {load.name: load for load in loads if load.measures}
