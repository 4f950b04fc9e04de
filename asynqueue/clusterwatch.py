"""
How a cluster grows and shrinks, and whether its scheduler is still there.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from distributed import Client, Future
from distributed.client import FutureCancelledError

from asynqueue.clusterheld import NodeInfo

LOOK = 2.0
"""
How often the scheduler is asked which nodes there are, and how large they are, beside
when it tells that one has come or gone: in seconds.
"""

PATIENCE = 10.0
"""
How long it may take to answer, in seconds, before it counts as gone.
"""


class Watch:
    """
    I watch a cluster, in the thread of its client.
    """

    def __init__(
        self,
        client: Client,
        changed: Callable[[list[NodeInfo]], Any],
        lost: Callable[[str], Any],
    ) -> None:
        """
        @param changed: Is called with what is known of the nodes, when that changes.
        @param lost: Is called when the scheduler is gone, with how that shows. It may
            be called twice.
        """
        self._client = client
        self._changed = changed
        self._lost = lost
        self._nodes: list[NodeInfo] = []
        self._hasChanged = asyncio.Event()

    def wake(self) -> None:
        """
        Has me look soon.
        """
        self._hasChanged.set()

    async def look(self) -> None:
        """
        Asks the scheduler itself: what a client knows of it is old.

        @raise OSError: if it is gone.
        """
        identity = await self._client.scheduler.identity(n_workers=-1)
        nodes = [
            NodeInfo(
                address,
                str(info["name"]),
                info["nthreads"],
                tuple(sorted(info["resources"])),
                info["metrics"].get("memory", 0) // 1024,
            )
            for address, info in identity["workers"].items()
        ]
        if nodes != self._nodes:
            self._nodes = nodes
            self._changed(nodes)

    async def follow(self) -> None:
        """
        Looks again and again, until the scheduler does not answer.
        """
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._hasChanged.wait(), LOOK)
            self._hasChanged.clear()
            try:
                await asyncio.wait_for(self.look(), PATIENCE)
            except asyncio.TimeoutError:
                self._lost(f"The scheduler has not answered for {PATIENCE:g} seconds")
                return
            except OSError as e:
                self._lost(f"{type(e).__name__}: {e}")
                return

    async def listen(self, name: str) -> None:
        """
        Waits for the end of the connection. dask tells that to those who wait for a
        result, so I wait for one that never comes.

        @param name: What the result is called.
        """
        try:
            await Future(name, self._client)
        except FutureCancelledError:
            self._lost("The scheduler has ended, or the network between")
