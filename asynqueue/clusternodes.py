"""
Requests to the nodes of a cluster, past its scheduler where they can be reached.
"""

import asyncio
from contextlib import suppress
from typing import Any

from distributed import Client

from asynqueue.clusternode import Settings, UpdatePlugin
from asynqueue.messages import unpack

REACHING = 3.0
"""
How long it may take to reach a node, in seconds, before the scheduler is asked to hand
over what is for it.
"""

SETTLING = 1.0
"""
How long those that were asked may take to answer when the connection is ended, in
seconds.
"""


class Nodes:
    """
    I ask the nodes of a cluster, in the thread of its client.
    """

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._reachable: dict[str, bool] = {}
        # What is under way, and to which node.
        self._asked: dict[asyncio.Future[Any], str] = {}
        # What of it nobody will answer.
        self._vain: set[asyncio.Future[Any]] = set()

    def forget(self, node: str) -> None:
        """
        Is told that a node is gone. What it was asked fails, since dask would try to
        reach it for long.
        """
        self._reachable.pop(node, None)
        for asked, whom in self._asked.items():
            if whom == node:
                self._vain.add(asked)
                asked.cancel()

    async def update(
        self, number: int, call: bytes, isLasting: bool
    ) -> dict[str, list[bytes]]:
        """
        Has all nodes make a call.

        @param number: What no other update has; a higher one than those before.
        @param call: As of L{perform<asynqueue.clusternode.perform>}.
        @param isLasting: C{True} if nodes that come later make it too, before any
            other. They do not if it has failed on all.
        @return: For the address of each node, the parts of the packet that answers it.
        """
        plugin = UpdatePlugin(self._settings, number, call)
        if isLasting:
            # A node that is gone by now need not make it.
            with suppress(OSError):
                await self._client.register_plugin(plugin)
        request = {
            "op": self._settings.verb("update"),
            "number": number,
            "call": call,
            "isLasting": isLasting,
        }
        answers: dict[str, list[bytes]] = await self._client.scheduler.broadcast(
            msg=request, on_error="ignore"
        )
        failed = [unpack([*parts])[0].status.failed for parts in answers.values()]
        if isLasting and failed and all(failed):
            await self._client.unregister_worker_plugin(plugin.name)
        return answers

    async def ask(self, node: str, what: str, **request: Any) -> Any:
        """
        Asks a node.

        @param node: Its address.
        @param what: Which of its requests.
        @raise OSError: if it is gone.
        """
        asked = asyncio.ensure_future(self._ask(node, what, request))
        self._asked[asked] = node
        try:
            return await asked
        except asyncio.CancelledError:
            if asked in self._vain:
                raise OSError(f"The node {node} is gone") from None
            raise
        finally:
            del self._asked[asked]
            self._vain.discard(asked)

    async def settle(self) -> None:
        """
        Waits for the answers to what was asked, if that does not take too long.
        """
        if self._asked:
            await asyncio.wait(list(self._asked), timeout=SETTLING)

    async def _ask(self, node: str, what: str, request: dict[str, Any]) -> Any:
        verb = self._settings.verb(what)
        if node not in self._reachable:
            await self._find(node)
            self._reachable[node] = await self._canReach(node)
        if self._reachable[node]:
            return await getattr(self._client.rpc(node), verb)(**request)
        message = {"op": verb, **request}
        return await self._client.scheduler.proxy(worker=node, msg=message)

    async def _find(self, node: str) -> None:
        # One that is gone would be tried for long, and by the scheduler too.
        identity = await self._client.scheduler.identity(n_workers=-1)
        if node not in identity["workers"]:
            raise OSError(f"The node {node} is gone")

    async def _canReach(self, node: str) -> bool:
        try:
            await asyncio.wait_for(self._client.rpc(node).identity(), REACHING)
        except (OSError, asyncio.TimeoutError):
            return False
        return True
