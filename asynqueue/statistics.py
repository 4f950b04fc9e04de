"""
What a queue tells of itself at one moment: values that can be kept, compared and sent.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["CallInHand", "Histogram", "Statistics", "Waiting", "WorkerStatistics"]

BOUNDS = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
"""
placeholder until measured
"""


class Waiting(NamedTuple):
    """
    How many calls of a series and an urgency wait.

    @ivar series: The series, C{None} for calls made without one.
    @ivar urgency: Their niceness, from -20.0, the most urgent, to 20.0; minus infinity
        for calls made with I{doNext}, infinity for those made with I{doLast}.
    @ivar calls: How many there are, from 1.
    """

    series: Hashable
    urgency: float
    calls: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """
    How many of some times were how long.

    @ivar bounds: The upper bounds of all buckets but the last, which has none: seconds,
        each above the one before. A time belongs to the first whose bound it does not
        exceed.
    @ivar counts: How many times belong to each bucket, one number more than there are
        bounds.
    @ivar total: The sum of all times, in seconds.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class CallInHand:
    """
    A call that a worker has.

    @ivar function: What is called, by its name.
    @ivar text: The call with its arguments, shortened.
    @ivar series: Its series.
    @ivar seconds: How long the worker has had it.
    """

    function: str
    text: str
    series: Hashable
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """
    One worker of a queue.

    @ivar ID: Its ID in the queue, an integer from 1. A successor has that of the worker
        whose place it took.
    @ivar kind: The name of its class.
    @ivar state: C{"preparing"}, C{"working"} or C{"leaving"}.
    @ivar pid: The ID of its process, C{None} if it has none just now, or none of its own.
    @ivar series: The series that it is qualified for, beside C{None}.
    @ivar calls: The calls that it has, the one that it was given first at the front.
    @ivar done: How many calls of its have ended with a result.
    @ivar failed: How many have ended with an error, timeouts and deaths included.
    @ivar deaths: How often what it runs on died though nobody had asked it to.
    @ivar restarts: How often it has begun anew, for whatever reason.
    @ivar memory: The resident set of what it runs on, in bytes, at the last look; C{None}
        if that is not known.
    @ivar callSeconds: How long calls took there.
    @ivar overheadSeconds: How much longer they took here, from being handed over to
        their results.
    """

    ID: int
    kind: str
    state: str
    pid: int | None
    series: tuple[Hashable, ...]
    calls: tuple[CallInHand, ...]
    done: int
    failed: int
    deaths: int
    restarts: int
    memory: int | None
    callSeconds: Histogram
    overheadSeconds: Histogram


@dataclass(frozen=True, slots=True)
class Statistics:
    """
    A queue. What is counted is counted from when the queue was made, workers that are
    gone included, so none of it ever becomes less.

    @ivar time: When that was, in seconds since the epoch.
    @ivar isRunning: C{False} once it is shut down.
    @ivar waiting: How many calls wait, by series and urgency, the most urgent of each
        series first.
    @ivar inHand: How many calls workers have.
    @ivar done: How many calls have ended with a result.
    @ivar failed: How many have ended with an error, timeouts and deaths included.
    @ivar cancelled: How many were cancelled.
    @ivar deaths: As of L{WorkerStatistics}, all together, and so are I{restarts},
        I{callSeconds} and I{overheadSeconds}.
    @ivar workers: The workers, by ID.
    """

    time: float
    isRunning: bool
    waiting: tuple[Waiting, ...]
    inHand: int
    done: int
    failed: int
    cancelled: int
    deaths: int
    restarts: int
    callSeconds: Histogram
    overheadSeconds: Histogram
    workers: tuple[WorkerStatistics, ...]
