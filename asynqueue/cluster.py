"""
A queue whose calls are made on a cluster of dask, and the address of all that has to do
with clusters.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from twisted.internet.defer import Deferred

from asynqueue.base import TaskQueue
from asynqueue.clusterheld import NodeInfo
from asynqueue.clusterworker import ClusterWorker
from asynqueue.deferreds import branch
from asynqueue.errors import WorkerError
from asynqueue.offers import aboutOffers
from asynqueue.signatures import ClusterSignatures, signed
from asynqueue.task import Task

__all__ = ["ClusterQueue", "ClusterWorker", "NodeInfo"]


class ClusterQueue(TaskQueue):
    """
    I am a L{TaskQueue<asynqueue.base.TaskQueue>} with one L{ClusterWorker}.

    A call in a series that no worker of mine is qualified for fails at once, when the
    cluster is known.

    @ivar worker: The L{ClusterWorker}.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        callStats: bool = False,
        pickler: str = "cloudpickle",
        prefetch: int = 1,
        connectTimeout: float = 10.0,
        reconnect: float = 60.0,
        patience: float = 30.0,
        restart: bool = False,
        security: Any = None,
        trustNetwork: bool = False,
        nodes: int | None = None,
        threads: int = 1,
        processes: bool = True,
        reactor: Any = None,
        **kw: Any,
    ) -> None:
        """
        @param address: The address of the scheduler, as C{"tls://10.0.0.1:8786"};
            C{None} for an embedded cluster. What is said in L{ClusterWorker} of this
            and of all that follows, but for I{kw}, holds here.
        @param series: A list of series that it is qualified for, beside those on
            offer.
        @param raw: C{True} to have iterators returned as the values that they are.
        @param callStats: C{True} to keep call times for L{stats}.
        @param pickler: C{"cloudpickle"} or C{"pickle"}.
        @param prefetch: How many further calls may wait at the cluster for each of
            its threads.
        @param connectTimeout: For how long it is tried to connect at first, in
            seconds.
        @param reconnect: For how long when the connection was lost, in seconds.
        @param patience: How long a series that no node offers any more counts as on
            offer, in seconds.
        @param restart: C{True} to begin anew the process of a node whose call goes on
            after it was given up.
        @param security: A C{distributed.Security} with TLS certificates.
        @param trustNetwork: C{True} to speak to another machine without TLS.
        @param nodes: How many nodes an embedded cluster has; as many as there are
            cores if C{None}.
        @param threads: How many calls each of them runs at a time.
        @param processes: C{False} to have them in threads of this process.
        @param reactor: The reactor to use, the global one if C{None}.
        @param kw: Keywords of L{TaskQueue<asynqueue.base.TaskQueue>}.
        @raise ValueError: as of L{ClusterWorker}.
        @raise TypeError: as of L{ClusterWorker}.
        """
        self.worker = ClusterWorker(
            address,
            series=series,
            raw=raw,
            callStats=callStats,
            pickler=pickler,
            prefetch=prefetch,
            connectTimeout=connectTimeout,
            reconnect=reconnect,
            patience=patience,
            restart=restart,
            security=security,
            trustNetwork=trustNetwork,
            nodes=nodes,
            threads=threads,
            processes=processes,
            reactor=reactor,
        )
        super().__init__(reactor=reactor, **kw)
        self.worker.setListener(self._refuseUnoffered)
        # As a list, so that it is no error that nobody looks at: the calls tell, too.
        self._hired = self.attachWorker(self.worker).addBoth(lambda result: [result])

    @property
    def d(self) -> "Deferred[int]":
        """
        A Deferred that fires with my worker's ID when that takes tasks, or fails if it
        could not connect. It is another one each time.
        """
        return branch(self._hired).addCallback(lambda results: results[0])

    @property
    def nodes(self) -> list[NodeInfo]:
        """
        What is known of the nodes: a list.
        """
        return self.worker.nodes

    def places(self) -> int:
        """
        @return: As many as the cluster takes, and one for each other worker.
        """
        return super().places() + self.worker.prefetch

    def stats(self) -> "Deferred[list[tuple[float, float]]]":
        """
        @return: As of L{ClusterWorker.stats}.
        """
        return self.worker.stats()

    @signed(ClusterSignatures.update)
    def update(
        self, func: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[list[Any]]":
        """
        As of L{TaskQueue<asynqueue.base.TaskQueue.update>}, for each node of the
        cluster and each other worker.

        @param func: What they call.
        @return: A Deferred of a list of the results. That of the L{ClusterWorker}
            among them is a dict: the result of each node, by its address.
        """
        return super().update(func, *args, **kw)

    def newTask(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kw: dict[str, Any],
        niceness: int = 0,
        series: Hashable = None,
        timeout: float | None = None,
    ) -> Task:
        """
        As of L{TaskQueue<asynqueue.base.TaskQueue.newTask>}.

        @param func: The callable.
        @param args: A tuple of its arguments.
        @param kw: A dict of its keywords.
        @param niceness: Its niceness, from -20, the most urgent, to 20.
        @param series: Its series, C{None} for none.
        @param timeout: How long it may take, in seconds, C{None} for any time.
        """
        task = super().newTask(func, args, kw, niceness, series, timeout)
        self._refuseUnoffered(series)
        return task

    def _refuseUnoffered(self, *allSeries: Hashable) -> None:
        """
        Has calls fail that wait for a series which nobody is qualified for, and those
        of the given series.
        """
        worker = self.worker
        if not worker.nodes:
            return
        for series in [*allSeries, *self.q.heaps]:
            if series not in self.q.refused and not self.th.roster(series):
                about = aboutOffers(series, worker.place, worker.offered)
                self.q.refuse(series, WorkerError(about))
