"""
What asynqueue promises of its speed, and whether that was so.

The bounds are ratios of medians of one run, but for a few that need no other
contender. They were set for two workers.
"""

from dataclasses import dataclass

from asynqueue.results import Results


@dataclass(frozen=True)
class Bound:
    """
    I am a bound.

    @ivar load: The name of the load.
    @ivar measure: The name of what is measured under it.
    @ivar contender: The name of the contender that has promised something.
    @ivar rival: The name of the one by whose figure its own is divided, C{None} if
        its own counts.
    @ivar isAtMost: C{True} if the figure may be no more than the limit, C{False} if
        no less.
    @ivar limit: The limit.
    """

    load: str
    measure: str
    contender: str
    rival: str | None
    isAtMost: bool
    limit: float

    def measured(self, results: Results) -> float | None:
        """
        @return: The figure that counts, C{None} if it was not measured.
        """
        if self.rival is None:
            return results.median(self.load, self.measure, self.contender)
        return results.ratio(self.load, self.measure, self.contender, self.rival)

    def isMetBy(self, measured: float) -> bool:
        """
        @return: C{True} if a figure is within me.
        """
        return measured <= self.limit if self.isAtMost else measured >= self.limit


AT_MOST, AT_LEAST = True, False

BOUNDS = (
    Bound("one", "p50", "asynqueue", "executor", AT_MOST, 0.5),
    Bound("one", "p50", "asynqueue", "pipe", AT_MOST, 3),
    Bound("one", "p50", "reactor", "pipe", AT_MOST, 2.2),
    Bound("outstanding", "rate", "asynqueue", "executor", AT_LEAST, 1.1),
    Bound("outstanding", "rate", "prefetch", "pool", AT_LEAST, 1.2),
    Bound("burst", "rate", "asynqueue", "executor", AT_LEAST, 1.2),
    Bound("burst", "rate", "prefetch", "pool", AT_LEAST, 1.2),
    Bound("nap100", "efficiency", "asynqueue", None, AT_LEAST, 98.5),
    Bound("nap1000", "efficiency", "asynqueue", None, AT_LEAST, 99.7),
    Bound("nap1000", "overhead", "asynqueue", None, AT_MOST, 1),
    Bound("mixed", "efficiency", "asynqueue", None, AT_LEAST, 98),
    Bound("items", "rate", "asynqueue", "ancestor", AT_LEAST, 5),
    Bound("mb1", "rate", "asynqueue", "executor", AT_LEAST, 1.2),
    Bound("mb100", "stall", "asynqueue", "executor", AT_MOST, 1),
    Bound("waiting", "size", "asynqueue", None, AT_MOST, 2048),
    Bound("waiting", "growth", "asynqueue", None, AT_MOST, 2),
    Bound("watched", "mounted", "asynqueue", None, AT_LEAST, 98),
    Bound("watched", "watched", "asynqueue", None, AT_LEAST, 98),
    Bound("start", "first", "asynqueue", "executor", AT_MOST, 1),
    Bound("cluster64", "rate", "cluster", "dask", AT_LEAST, 1 / 1.2),
    Bound("cluster64", "rate", "cluster", None, AT_LEAST, 800),
    Bound("cluster256", "rate", "cluster", "dask", AT_LEAST, 1 / 1.2),
    Bound("cluster256", "rate", "cluster", None, AT_LEAST, 800),
)
"""
Them all.
"""


def judge(results: Results) -> list[tuple[Bound, float]]:
    """
    @return: The bounds whose contenders were measured, each with the figure that
        counts.
    """
    pairs = [(bound, bound.measured(results)) for bound in BOUNDS]
    return [(bound, figure) for bound, figure in pairs if figure is not None]
