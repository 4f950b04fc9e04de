"""
One connection to a cluster, as the reactor's thread sees it.
"""

import asyncio
import uuid
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.asyncthread import AsyncioThread
from asynqueue.clusterheld import Errand, Listener
from asynqueue.clusterlink import Link
from asynqueue.clusternode import Settings
from asynqueue.clusternodes import Nodes
from asynqueue.deferreds import branch
from asynqueue.errors import StartFailed

PREPARING = 30.0
"""
How long it may take, in seconds, to put on the scheduler and the nodes what is needed
there, once there is a connection.
"""


class Connection:
    """
    I have a L{Link} to a cluster, and the thread that it lives in.
    """

    log = Logger()

    def __init__(
        self, place: Any, raw: bool, pickler: str, restart: bool, reactor: Any
    ) -> None:
        """
        @param place: Where the cluster is: see L{asynqueue.clusterplaces}.
        @param raw: As of L{Settings}.
        @param pickler: As of L{Settings}.
        @param restart: As of L{Link}.
        """
        self._place = place
        self._restart = restart
        self._settings = Settings(uuid.uuid4().hex, raw, pickler)
        self._thread = AsyncioThread(reactor, "asynqueue cluster")
        self._opening: asyncio.Task[None] | None = None
        self._client: Any = None
        self._link: Any = None
        self._closed: Deferred[None] | None = None

    def open(self, listener: Listener, timeout: float) -> "Deferred[None]":
        """
        Connects to the cluster.

        @param listener: Who is told of it.
        @param timeout: For how long it is tried, in seconds.
        @return: A Deferred that fires when that is done, or fails with a
            L{StartFailed<asynqueue.errors.StartFailed>}.
        """
        self._thread.start()
        return self._thread.run(self._open, listener, timeout).addErrback(self._failed)

    def submit(self, errand: Errand) -> None:
        """
        Has a call made.
        """
        self._thread.post(self._link.submit, errand)

    def cancel(self, errand: Errand) -> None:
        """
        Has a call that was submitted not begin, or interrupts it if it has.
        """
        if self._closed is None:
            self._thread.post(self._link.cancel, errand.number)

    def update(
        self, number: int, call: bytes, isLasting: bool
    ) -> "Deferred[dict[str, list[bytes]]]":
        """
        Does what L{Nodes.update<asynqueue.clusternodes.Nodes.update>} does.
        """
        return self._thread.run(self._update, number, call, isLasting)

    def inquire(self, node: str, packet: list[bytes]) -> "Deferred[list[bytes]]":
        """
        Asks a node for the items of an iterator, or to close it.

        @param node: Its address.
        @param packet: The parts of a packet.
        @return: A Deferred that fires with the parts of the packet that answers it, or
            fails with C{OSError} if the node is gone.
        """
        return self._thread.run(self._inquire, node, packet)

    def close(self) -> "Deferred[None]":
        """
        Ends the connection, and the cluster if it is embedded.

        @return: A Deferred that fires when nothing of it is left.
        """
        if self._closed is None:
            self._closed = Deferred.fromCoroutine(self._end())
        return branch(self._closed)

    # --- In the thread.

    async def _open(self, listener: Listener, timeout: float) -> None:
        self._opening = asyncio.current_task()
        client = self._client = await self._place.open(timeout)
        link = Link(self._thread, client, self._settings, listener, self._restart)
        self._link = link
        try:
            await asyncio.wait_for(link.open(), PREPARING)
        except asyncio.TimeoutError as e:
            raise OSError(
                f"It has not prepared itself and its nodes within {PREPARING:g} seconds"
            ) from e

    async def _update(self, *args: Any) -> dict[str, list[bytes]]:
        answers: dict[str, list[bytes]] = await self._link.nodes.update(*args)
        return answers

    async def _inquire(self, node: str, packet: list[bytes]) -> list[bytes]:
        nodes: Nodes = self._link.nodes
        answer: list[bytes] = await nodes.ask(node, "inquire", packet=packet)
        return answer

    async def _close(self) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            # Once: it may have much to take back.
            await asyncio.wait([self._opening])
        if self._client is not None:
            try:
                await self._link.close()
            finally:
                await self._place.close(self._client)

    # --- In the reactor's.

    async def _end(self) -> None:
        await self._thread.run(self._close).addErrback(self._notClosed)
        await self._thread.stop()

    def _notClosed(self, failure: Failure) -> None:
        text = "The connection to {place} was not ended well"
        self.log.failure(text, failure, place=str(self._place))

    def _failed(self, failure: Failure) -> Failure:
        why = f"{type(failure.value).__name__}: {failure.getErrorMessage()}"
        if failure.check(CancelledError):
            why = "it was closed before it was there"
        elif failure.check(ImportError):
            why += (
                ". asynqueue has to be installed, in the same version as here, with "
                "the scheduler and with each node: pip install 'asynqueue[cluster]'"
            )
        elif failure.check(OSError):
            why += self._place.advice
        error = StartFailed(f"There is no connection to {self._place}: {why}")
        error.__cause__ = failure.value
        return Failure(error)
