"""
What a worker knows of its cluster: the nodes, what they offer, how much they take, and
how long calls took.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed

from asynqueue.checks import checkInteger
from asynqueue.clusterbundles import LENGTH, expect, together
from asynqueue.clustererrand import hasToAsk
from asynqueue.clusterheld import NodeInfo
from asynqueue.offers import Offers

MOST_TOGETHER = 16
"""
How many short calls are taken at most in the place of one.
"""


class ClusterFigures:
    """
    I know the figures of a cluster, and tell when it takes more or fewer calls, or
    others.

    @ivar nodes: A list of what is known of the nodes, each a
        L{NodeInfo<asynqueue.clusterheld.NodeInfo>}.
    @ivar iQualified: A list of the series that it is qualified for, beside those of its
        class: those that it was made with, and those that nodes offer.
    @ivar pid: C{None}: the processes are others' affair.
    @ivar callStats: C{True} to keep call times.
    @ivar callTimes: A list of what L{stats} gives.
    @ivar callNodes: A list of the addresses of the nodes that made these calls, a
        text without any characters for one that has none.
    """

    def __init__(
        self,
        series: "Iterable[Hashable]",
        prefetch: int,
        patience: float,
        callStats: bool,
        reactor: Any,
    ) -> None:
        """
        @raise ValueError: if I{prefetch} is below 0.
        @raise TypeError: if I{series} is a string.
        """
        if isinstance(series, (str, bytes)):
            raise TypeError(f"series has to be a list of series, not {series!r}")
        checkInteger("prefetch", prefetch, 0)
        self.nodes: list[NodeInfo] = []
        self.pid: int | None = None
        self.callStats = callStats
        self.callTimes: list[tuple[float, float]] = []
        self.callNodes: list[str] = []
        self.iQualified: list[Hashable] = list(series)
        self._perThread = 1 + prefetch
        self._expected: float | None = None
        self._together = 1
        self._offers = Offers(patience, self._withdrawn, reactor)
        self._shown: list[Hashable] = []
        self._added: list[Hashable] = []
        self._listeners: list[Callable[[], Any]] = []

    @property
    def prefetch(self) -> int:
        """
        How many tasks I take beside the first: one less than the cluster has threads,
        times one more than the I{prefetch} that I was made with, times as many as go
        together where calls are short. A cluster without nodes, which may grow when
        there is something to do, counts as one with a thread.
        """
        threads = sum(node.threads for node in self.nodes)
        return max(threads, 1) * self._perThread * self._together - 1

    @property
    def offered(self) -> list[Hashable]:
        """
        A list of the series on offer.
        """
        return list(self._offers.current)

    def setListener(self, callableObject: Callable[[], Any]) -> None:
        """
        Registers a callable that I call, without arguments, when the cluster has grown
        or shrunk, or offers other series.
        """
        self._listeners.append(callableObject)

    def stats(self) -> "Deferred[list[tuple[float, float]]]":
        """
        @return: A Deferred that fires with a list of 2-tuples, one for each call that
            is over, in that order: the time from sending it to getting its result, and
            how long it ran on its node, both in seconds (0.0 if the node did not live
            to tell). Empty without I{callStats}.
        """
        return succeed(list(self.callTimes))

    def memUsage(self) -> int | None:
        """
        @return: The resident set of all nodes together, in kilobytes (1024 bytes), as
            they last told the scheduler; C{None} if there is no node.
        """
        return sum(node.memory for node in self.nodes) if self.nodes else None

    @property
    def memory(self) -> int | None:
        """
        What L{memUsage} returns, in bytes.
        """
        return sum(node.memory for node in self.nodes) * 1024 if self.nodes else None

    def record(self, task: Any, here: float, there: float, node: str = "") -> None:
        """
        A task's call is over.

        @param here: The seconds from sending it to getting its result.
        @param there: The seconds that it ran on its node.
        @param node: The address of that.
        """
        task.measured(here, there)
        if node:
            self._learn(LENGTH if hasToAsk(task) else there)
        if self.callStats:
            self.callTimes.append((here, there))
            self.callNodes.append(node)

    def nodesChanged(self, nodes: list[NodeInfo]) -> None:
        """
        The cluster has grown or shrunk.
        """
        before = self.prefetch
        self.nodes = nodes
        self._offers.update(name for node in nodes for name in node.resources)
        if self._qualify() or self.prefetch != before:
            self._tell()

    def _learn(self, seconds: float) -> None:
        """
        A call has taken so long. If those of late were short, I take more, by powers of
        two so that I need not tell so often; but nothing waits at the cluster, not even
        what is short, for who wants nothing to.
        """
        self._expected = expect(self._expected, seconds)
        most = min(together(self._expected), MOST_TOGETHER)
        if self._perThread > 1 and not self._together <= most < 2 * self._together:
            self._together = 1 << most.bit_length() - 1
            self._tell()

    def _withdrawn(self, series: str) -> None:
        """
        A series is not on offer any more.
        """
        self._qualify()
        self._tell()

    def _qualify(self) -> bool:
        """
        Brings my list up to date.

        @return: C{True} if it has changed.
        """
        shown, self._shown = self._shown, self.offered
        # Others may have added to it.
        own = [series for series in self.iQualified if series not in self._added]
        self._added = [series for series in self._shown if series not in own]
        self.iQualified = [*own, *self._added]
        return shown != self._shown

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
