"""
What a cluster's scheduler does for a client.

dask runs a call again when the node that it was given to is gone. It neither tells the
node that has it next, nor asks anybody. That is what I am for: the node is told, and
asks the client, through me, before it begins.

A scheduler imports me and dask. No Twisted.
"""

import asyncio
import sys
from contextlib import suppress
from functools import partial
from time import time
from typing import Any, NamedTuple

from distributed import Scheduler, SchedulerPlugin

from asynqueue.clusternode import ANSWER, GIVEN, Settings
from asynqueue.clusterturn import Told

WITHDRAWN = "asynqueue-withdrawn"
"""
The reason that dask gives for the end of what was taken back and no node has had.
"""

OVER = ("memory", "erred")
"""
What dask calls the states of a task whose calls have come to their ends.
"""


class Key(NamedTuple):
    """
    What a bundle of calls is called by dask, as a plain tuple.

    @ivar name: What people see, which no other has.
    @ivar urgency: The priority, which no other has that the client waits for.
    @ivar token: The client's token.
    @ivar serial: How many the client has submitted, with this one.
    """

    name: str
    urgency: float
    token: str
    serial: int


def isKey(key: object, token: str) -> bool:
    """
    @return: C{True} if this is what a bundle of the client with a token is called.
    """
    return type(key) is tuple and len(key) == len(Key._fields) and key[2] == token


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
        self._claims: dict[tuple[int, str], asyncio.Future[list[int]]] = {}
        # All up to this have come, because they come in order.
        self._lastSerial = 0

    async def start(self, scheduler: Scheduler) -> None:
        """
        Is called by dask when I come to the scheduler.
        """
        self._scheduler = scheduler
        self._hasCome = asyncio.Event()
        verb = self._settings.verb
        self._handlers = {
            verb("claim"): self.claim,
            verb("grant"): self.grant,
            verb("withdraw"): self.withdraw,
            verb("leave"): self.leave,
        }
        scheduler.handlers.update(self._handlers)
        # It stays: to a message that it does not know, a scheduler closes the
        # connection to the node.
        scheduler.stream_handlers.setdefault(ANSWER, partial(_answered, scheduler))

    async def claim(self, serial: int, node: str) -> list[int]:
        """
        Asks the client which calls of a bundle may begin on a node.

        @return: Their numbers.
        """
        loop = asyncio.get_running_loop()
        claim: asyncio.Future[list[int]] = loop.create_future()
        self._claims[serial, node] = claim
        self._tell("claim", serial, node)
        try:
            return await claim
        finally:
            del self._claims[serial, node]

    def answered(self, serial: int, answers: list[Told]) -> None:
        """
        Sends on what a node tells of some calls of a bundle.
        """
        self._tell("answers", serial, answers)

    def _tell(self, *event: Any) -> None:
        message = {"op": "event", "topic": self.name, "event": (time(), event)}
        self._scheduler.client_send(self._client, message)

    def grant(self, serial: int, node: str, granted: list[int]) -> None:
        """
        Is told by the client which may.
        """
        claim = self._claims.get((serial, node))
        if claim is not None and not claim.done():
            claim.set_result(granted)

    async def withdraw(self, key: tuple[Any, ...]) -> str | None:
        """
        Takes a bundle back that no node has. A request like this may come before the
        bundle itself, and then waits for it.

        @return: The address of the node that has it, C{None} if none has or ever will.
        """
        key = tuple(key)
        serial = Key(*key).serial
        while serial > self._lastSerial:
            self._hasCome.clear()
            await self._hasCome.wait()
        task = self._scheduler.tasks.get(key)
        if task is None or task.state in OVER:
            return None
        if task.processing_on is not None:
            address: str = task.processing_on.address
            return address
        # Now, or one could get it before the client knows.
        self._scheduler.stimulus_cancel(
            [key], self._client, force=False, reason=WITHDRAWN, msg=""
        )
        return None

    def transition(
        self, key: Any, start: str, finish: str, *args: Any, **kw: Any
    ) -> None:
        """
        Is called by dask with each change of a task's state, when what its node is told
        is made up.
        """
        if not isKey(key, self._settings.token):
            return
        serial = key[-1]
        if serial > self._lastSerial:
            self._lastSerial = serial
            self._hasCome.set()
        if finish == "processing":
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
                claim.set_result([])

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
                claim.set_result([])
        self._lastSerial = sys.maxsize
        self._hasCome.set()
        for name in list(self._scheduler.worker_plugins):
            if name.startswith(self.name):
                # A node that is gone by now has nothing left to take away.
                with suppress(OSError):
                    await self._scheduler.unregister_worker_plugin(None, name)
        self._scheduler.plugins.pop(self.name, None)
        for name in self._handlers:
            self._scheduler.handlers.pop(name, None)


def _answered(
    scheduler: Scheduler, name: str, serial: int, answers: list[Told], worker: str
) -> None:
    """
    A node tells of calls of a client that may be gone.

    @param name: What the client's plugins are called.
    """
    clerk = scheduler.plugins.get(name)
    if clerk is not None:
        clerk.answered(serial, answers)
