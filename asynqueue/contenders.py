"""
Who is measured: asynqueue in several ways, its ancestor, and its rivals.

The process that measures the ancestor imports me too, and has another package by the
name of ours, in which only the modules are added that it lacks. So nothing of ours
is imported here before it is asked for, but for what belongs to measuring.
"""

from collections.abc import Callable
from importlib import metadata
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, maybeDeferred

from asynqueue.clusterrivals import Dask
from asynqueue.contender import Contender
from asynqueue.rivals import Ampoule, Executor, Loky, Pebble, Pool

AHEAD = 256
"""
How many calls a cluster has at a time at least: as many as any of its loads has
outstanding.
"""


class Asynqueue(Contender):
    """
    I am asynqueue as it is unless told otherwise.

    @cvar settings: Keywords of the queue.
    """

    title = "asynqueue"
    settings: ClassVar[dict[str, Any]] = {}

    def __init__(self, workers: int, method: str) -> None:
        super().__init__(workers, method)
        from asynqueue.process import ProcessQueue

        self._make: Callable[..., Any] = ProcessQueue

    @classmethod
    def version(cls) -> str:
        """
        @return: The version, whether or not it is installed.
        """
        from asynqueue.version import __version__

        return __version__

    def start(self) -> None:
        """
        Makes a queue.
        """
        self._queue = self._make(self.workers, context=self.method, **self.settings)

    def call(self, f: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """
        Makes a call.
        """
        d: Deferred[Any] = self._queue.call(f, *args)
        return d

    async def read(self, f: Callable[..., Any], *args: Any) -> int:
        """
        Reads by C{async for}.
        """
        items = 0
        async for _ in await self.call(f, *args):
            items += 1
        return items

    def watch(self) -> tuple[str, Callable[[], Any]]:
        """
        Serves the page of the queue.
        """
        from asynqueue import monitor

        port = monitor.listen(self._queue)
        return monitor.address(port), lambda: maybeDeferred(port.stopListening)

    def stop(self) -> "Deferred[Any]":
        """
        Shuts the queue down.
        """
        d: Deferred[Any] = self._queue.shutdown()
        return d


class ReactorPoller(Asynqueue):
    """
    I am asynqueue with the reactor watching the pipes.
    """

    title = "asynqueue, reactor poller"
    settings: ClassVar[dict[str, Any]] = {"poller": "reactor"}


class Prefetch(Asynqueue):
    """
    I am asynqueue with calls sent ahead of need.
    """

    title = "asynqueue, prefetch 16"
    settings: ClassVar[dict[str, Any]] = {"prefetch": 16}


class Cluster(Asynqueue):
    """
    I am asynqueue with a cluster that has a node for each worker.
    """

    title = "asynqueue on a cluster"
    isUsual = False

    def __init__(self, workers: int, method: str) -> None:
        super().__init__(workers, method)
        from asynqueue.cluster import ClusterQueue

        self._make = ClusterQueue

    def start(self) -> None:
        """
        Makes a queue that has as many calls at the cluster as any load has outstanding.
        """
        prefetch = -(-AHEAD // self.workers) - 1
        self._queue = self._make(nodes=self.workers, prefetch=prefetch)


class Ancestor(Asynqueue):
    """
    I am AsynQueue, in an interpreter of its own, where the package is another one.
    """

    title = "the ancestor"

    @classmethod
    def version(cls) -> str:
        """
        @return: The version, if it is installed.
        """
        try:
            return metadata.version("AsynQueue")
        except metadata.PackageNotFoundError:
            return "(not installed)"

    def start(self) -> None:
        """
        Makes a queue, of processes that are forked: AsynQueue knows nothing else.
        """
        import multiprocessing

        multiprocessing.set_start_method("fork", force=True)
        self._queue = self._make(self.workers, returnFailure=True)

    def watch(self) -> tuple[str, Callable[[], Any]]:
        """
        There is no page.
        """
        return Contender.watch(self)

    async def read(self, f: Callable[..., Any], *args: Any) -> int:
        """
        Reads in a loop over Deferreds.
        """
        items = 0
        for d in await self.call(f, *args):
            await d
            items += 1
        return items


CONTENDERS: dict[str, type[Contender]] = {
    "asynqueue": Asynqueue,
    "reactor": ReactorPoller,
    "prefetch": Prefetch,
    "executor": Executor,
    "pool": Pool,
    "ampoule": Ampoule,
    "loky": Loky,
    "pebble": Pebble,
    "ancestor": Ancestor,
    "cluster": Cluster,
    "dask": Dask,
}
"""
Them all, by the names that they are chosen by.
"""
