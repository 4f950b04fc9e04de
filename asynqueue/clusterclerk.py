"""
What a cluster's scheduler does for a client.

dask runs a call again when the node that it was given to is gone. It neither tells the
node that has it next, nor asks anybody. That is what I am for: the node is told, and
asks the client, through me, before it begins.

A scheduler imports me and dask. No Twisted.
"""

import asyncio
from contextlib import suppress
from typing import Any

from distributed import Scheduler, SchedulerPlugin

from asynqueue.clusternode import GIVEN, Settings

Key = tuple[str, int, str, int]
"""
What a call is called by dask: a name that no other has, the priority, the client's
token, and the call's number.
"""


class Clerk(SchedulerPlugin):  # type: ignore[misc]
    """
    I am one client's plugin of a scheduler.
    """

    def __init__(self, settings: Settings, client: str) -> None:
        """
        @param client: What dask calls the client.
        """
        self.name = settings.name
        self._settings = settings
        self._client = client
        self._claims: dict[tuple[int, str], asyncio.Future[bool]] = {}

    async def start(self, scheduler: Scheduler) -> None:
        """
        Is called by dask when I come to the scheduler.
        """
        self._scheduler = scheduler
        verb = self._settings.verb
        self._handlers = {
            verb("claim"): self.claim,
            verb("grant"): self.grant,
            verb("where"): self.where,
            verb("leave"): self.leave,
        }
        scheduler.handlers.update(self._handlers)

    async def claim(self, number: int, node: str) -> bool:
        """
        Asks the client whether a call may begin on a node.
        """
        claim: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._claims[number, node] = claim
        self._scheduler.log_event(self.name, ("claim", number, node))
        try:
            return await claim
        finally:
            del self._claims[number, node]

    def grant(self, number: int, node: str, isGranted: bool) -> None:
        """
        Is told by the client whether it may.
        """
        claim = self._claims.get((number, node))
        if claim is not None and not claim.done():
            claim.set_result(isGranted)

    def where(self, key: Key) -> str | None:
        """
        @return: The address of the node that has a call, C{None} if none has.
        """
        task = self._scheduler.tasks.get(key)
        if task is None or task.processing_on is None:
            return None
        address: str = task.processing_on.address
        return address

    def transition(
        self, key: Any, start: str, finish: str, *args: Any, **kw: Any
    ) -> None:
        """
        Is called by dask with each change of a task's state, when what its node is told
        is made up.
        """
        isMine = type(key) is tuple and len(key) == 4 and key[2] == self._settings.token
        if isMine and finish == "processing":
            # Goes with it to each further node, even if it is moved there without a
            # change of its state.
            task = self._scheduler.tasks[key]
            task.annotations = {**(task.annotations or {}), GIVEN: True}

    def remove_worker(self, scheduler: Scheduler, worker: str, **kw: Any) -> None:
        """
        Is called by dask when a node is gone.
        """
        for (_, node), claim in self._claims.items():
            if node == worker and not claim.done():
                claim.set_result(False)

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """
        Is called by dask when a client is gone.
        """
        if client == self._client:
            self._leaving = asyncio.ensure_future(self.leave())

    async def leave(self) -> None:
        """
        Takes away what is the client's, here and on the nodes.
        """
        for claim in self._claims.values():
            if not claim.done():
                claim.set_result(False)
        for name in list(self._scheduler.worker_plugins):
            if name.startswith(self.name):
                # A node that is gone by now has nothing left to take away.
                with suppress(OSError):
                    await self._scheduler.unregister_worker_plugin(None, name)
        self._scheduler.plugins.pop(self.name, None)
        for name in self._handlers:
            self._scheduler.handlers.pop(name, None)
