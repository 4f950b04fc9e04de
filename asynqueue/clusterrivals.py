"""
dask's own client of a cluster that is embedded in the program.

It is imported when it is made, so nobody needs dask who does not measure it.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from asynqueue.contender import Contender


class Dask(Contender):
    """
    I am that client, in a thread of its own.
    """

    title = distribution = "distributed"
    isUsual = False

    def __init__(self, workers: int, method: str) -> None:
        super().__init__(workers, method)
        from asynqueue.asyncthread import AsyncioThread
        from asynqueue.clusterplaces import Embedded

        self._thread = AsyncioThread()
        self._place = Embedded(workers, threads=1, processes=True, security=None)
        self._client: Any = None

    def start(self) -> None:
        """
        Starts the cluster.
        """
        self._thread.start()
        self._started = self._thread.run(self._start)

    def call(self, f: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """
        Submits a call.
        """
        if not self._started.called:
            return ensureDeferred(self._afterStart(f, *args))
        return self._thread.run(self._submit, f, *args)

    def stop(self) -> "Deferred[Any]":
        """
        Ends the cluster.
        """
        return self._thread.run(self._stop).addCallback(lambda _: self._thread.stop())

    async def _afterStart(self, f: Callable[..., Any], *args: Any) -> Any:
        await self._started
        return await self._thread.run(self._submit, f, *args)

    async def _start(self) -> None:
        self._client = await self._place.open(timeout=60)

    async def _submit(self, f: Callable[..., Any], *args: Any) -> Any:
        # Else two equal calls would be one.
        return await self._client.submit(f, *args, pure=False)

    async def _stop(self) -> None:
        await self._client.close()
        await self._place.close(self._client)
