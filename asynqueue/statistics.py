"""
What a queue tells of itself at one moment: values that can be kept, compared and sent.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "BOUNDS",
    "MOST_CALLS",
    "CallInHand",
    "Histogram",
    "Statistics",
    "Waiting",
    "WorkerStatistics",
]

# fmt: off
BOUNDS = (
    0.00001, 0.000025, 0.00005,
    0.0001, 0.00025, 0.0005,
    0.001, 0.0025, 0.005,
    0.01, 0.025, 0.05,
    0.1, 0.25, 0.5,
    1.0, 2.5, 5.0,
    10.0, 30.0, 60.0,
    300.0, 900.0, 3600.0,
)
# fmt: on
"""
The upper bounds of the buckets of times, in seconds.

What a call costs beside its work is some ten microseconds in a process, and some
milliseconds on a cluster; the work itself takes from a microsecond to an hour. So they
begin below the least overhead, and go on in steps of 2 to 2.5, as the buckets of
Prometheus' own clients do: where a quantile is read from them, it is wrong by less than
that. Above ten seconds, where people count in minutes, steps are longer.
"""

MOST_CALLS = 100
"""
How many of its calls are told of one worker, at most. Only a cluster has more, and the
text of each takes some microseconds.
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
    A call that a worker has, and that is not over. (One that has timed out in a thread,
    which cannot be killed, is, though the thread still runs it.)

    @ivar function: What is called, by its dotted name.
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

    What is counted is counted in its place, from when that was made: a successor goes
    on with the counts of the worker whose place and ID it took, whose own are 0 from
    then on. Updates are no calls, and are not counted.

    @ivar ID: Its ID in the queue, an integer from 1. A successor has that of the worker
        whose place it took, which may be still there, and leaving.
    @ivar kind: The name of its class.
    @ivar state: C{"preparing"}, C{"working"} or C{"leaving"}.
    @ivar pid: The ID of its process, C{None} if it has none of its own just now.
    @ivar series: The series that it is qualified for, beside C{None}.
    @ivar calls: The calls that it has, the one that it was given first at the front; no
        more than the first L{MOST_CALLS}.
    @ivar done: How many calls of its have ended with a result.
    @ivar failed: How many have ended with an error, timeouts and deaths included. One
        that is tried again counts when it ends for good, where it was last.
    @ivar deaths: How often what it runs on died though nobody had asked it to: its
        process, or the connection to its cluster.
    @ivar restarts: How often it has begun anew, for whatever reason, or a successor
        has taken its place.
    @ivar memory: The resident set of what it runs on, in bytes, at the last look;
        C{None} if that is not known. A process is looked at when a call ends, at most
        every L{PAUSE<asynqueue.deaths.PAUSE>} seconds. A cluster's is the sum of its
        nodes'.
    @ivar callSeconds: How long calls took there, each try for itself: those that
        were killed too, but not those that never began. Where only the whole is known
        it is that: of calls in this process, of those that a process died of, and of
        all of a worker that is no L{IMeasured<asynqueue.interfaces.IMeasured>}, from
        when it is handed them.
    @ivar overheadSeconds: How much longer they took here, from being sent to having
        their results, where that is known.
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
    @ivar waiting: How many calls wait, also for room, by series and urgency, the most
        urgent of each series first.
    @ivar inHand: How many calls workers have that are not over.
    @ivar done: How many calls have ended with a result.
    @ivar failed: How many have ended with an error, timeouts and deaths included, and
        those that no worker has had.
    @ivar cancelled: How many were cancelled.
    @ivar deaths: As of L{WorkerStatistics}, all together, and so are I{restarts},
        I{callSeconds} and I{overheadSeconds}.
    @ivar workers: The workers, by ID, those that are leaving too. A successor to be,
        which has no place yet, is not among them.
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
