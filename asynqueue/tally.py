"""
What is counted of the calls of a queue, while they come and go.
"""

from bisect import bisect_right
from collections.abc import Iterable

from asynqueue.statistics import BOUNDS, Histogram

__all__ = ["Tally", "Times"]


AT_ONCE = 200
"""
How many times are sorted into their buckets together, so that most calls only add
theirs to a list. It bounds what a snapshot has to do first.
"""


class Times:
    """
    I am how many of some times are how long, by the L{BOUNDS}.

    @ivar counts: How many belong to each bucket, as of L{Histogram}.
    @ivar total: The sum of all, in seconds.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, new: list[float]) -> None:
        """
        Counts some more.
        """
        new.sort()
        below = 0
        for i, bound in enumerate(BOUNDS):
            upTo = bisect_right(new, bound, below)
            self.counts[i] += upTo - below
            below = upTo
        self.counts[-1] += len(new) - below
        self.total += sum(new)

    def absorb(self, other: "Times") -> None:
        """
        Counts all those of another, too.
        """
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def histogram(self) -> Histogram:
        """
        @return: What has been counted until now.
        """
        return Histogram(BOUNDS, tuple(self.counts), self.total)


class Tally:
    """
    I count what becomes of calls, and of what makes them: in one place of a queue, or
    of all that have no place.

    The place of a worker is its successor's after it. So they share me, and what is
    counted there never becomes less. When nobody has me any more, what I have counted
    goes to where all that is gone is counted.

    @ivar root: Where that is: another of my kind, or I myself.
    @ivar done: How many calls have ended with a result.
    @ivar failed: How many have ended with an error.
    @ivar cancelled: How many were cancelled.
    @ivar deaths: How often what made them died though nobody had asked it to.
    @ivar restarts: How often that has begun anew.
    @ivar callSeconds: How long they took there: L{Times}.
    @ivar overheadSeconds: How much longer they took here.
    """

    __slots__ = (
        "_new",
        "_users",
        "callSeconds",
        "cancelled",
        "deaths",
        "done",
        "failed",
        "overheadSeconds",
        "restarts",
        "root",
    )

    def __init__(self, root: "Tally | None" = None) -> None:
        self.root = self if root is None else root
        self.done = self.failed = self.cancelled = self.deaths = self.restarts = 0
        self.callSeconds = Times()
        self.overheadSeconds = Times()
        self._users = 0
        self._new: list[tuple[float, float]] = []

    def record(self, here: float, there: float) -> None:
        """
        A call was made.

        @param here: How long it took, as far as that can be told here, in seconds.
        @param there: How long of that it ran, in seconds; 0.0 if nobody has told. Then
            all of it counts as that.
        """
        new = self._new
        new.append((here, there))
        if len(new) >= AT_ONCE:
            self._count()

    def join(self) -> None:
        """
        One more worker has me.
        """
        self._users += 1

    def leave(self) -> None:
        """
        A worker that had me is gone.
        """
        self._users -= 1
        if not self._users:
            self.root.absorb([self])

    def absorb(self, others: "Iterable[Tally]") -> None:
        """
        Counts all that some others have counted, too.
        """
        for other in others:
            other._count()
            self.done += other.done
            self.failed += other.failed
            self.cancelled += other.cancelled
            self.deaths += other.deaths
            self.restarts += other.restarts
            self.callSeconds.absorb(other.callSeconds)
            self.overheadSeconds.absorb(other.overheadSeconds)

    def histograms(self) -> tuple[Histogram, Histogram]:
        """
        @return: How long calls took there, and how much longer here.
        """
        self._count()
        return self.callSeconds.histogram(), self.overheadSeconds.histogram()

    def _count(self) -> None:
        if self._new:
            new, self._new = self._new, []
            self.callSeconds.add([there or here for here, there in new])
            self.overheadSeconds.add([max(h - t, 0.0) for h, t in new if t])
