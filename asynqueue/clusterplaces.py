"""
Where a cluster is: somewhere else, or embedded in this program.

What is here runs in the thread that a client lives in.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.comm import CommClosedError

from asynqueue import clusterchild
from asynqueue.clusteraddress import ENCRYPTED

_REACHING = (
    ". Is there a scheduler, and may this machine speak to it? The command 'dask "
    "scheduler' starts one, and connectTimeout says how long it is waited for"
)
_SHOWING = (
    ". By TLS, the scheduler has to know the authority of the certificate that is "
    "shown to it, the security's tls_client_cert with its tls_client_key; and that of "
    "the scheduler's has to be in tls_ca_file"
)

CHANGING = 1.0
"""
For how long a scheduler is tried again that closes the connection as soon as it is
there, in seconds.
"""

PAUSE = 0.1
"""
After how many seconds it is.
"""

CLOSING = 20.0
"""
How long the end of an embedded cluster may take, in seconds.
"""

ENDING = 3.0
"""
How long its nodes may take to end by themselves, in seconds, before they are killed:
nobody waits any more for what they do.
"""


class NotCancelled(logging.Filter):
    """
    I let pass what dask logs of its client, but not that it was told to end while it
    tried to find a scheduler that is gone.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """
        @return: C{False} for that.
        """
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or not issubclass(kind, asyncio.CancelledError)


class NotClosed(logging.Filter):
    """
    I let pass what dask logs of nodes in this process, but not that the heart of one
    beat while its cluster was being closed.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """
        @return: C{False} for that.
        """
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or not issubclass(kind, CommClosedError)


logging.getLogger("distributed.client").addFilter(NotCancelled())
logging.getLogger("distributed.worker").addFilter(NotClosed())


class Elsewhere:
    """
    I am a cluster that others run.

    @ivar address: Its scheduler's address.
    @ivar advice: What to do if it cannot be reached.
    """

    def __init__(self, address: str, security: Any) -> None:
        """
        @param security: A C{distributed.Security}, or C{None}.
        """
        self.address = address
        self.advice = _REACHING
        self._security = security
        self._isEncrypted = address.split(":")[0] in ENCRYPTED
        if self._isEncrypted:
            self.advice += _SHOWING

    def __str__(self) -> str:
        return f"the scheduler at {self.address}"

    async def open(self, timeout: float) -> Client:
        """
        Connects to the scheduler.

        @param timeout: For how long it is tried, in seconds.
        @return: An asynchronous client.
        @raise OSError: if it cannot be reached.
        @raise ValueError: if there is no certificate to be shown to it.
        """
        if self._isEncrypted:
            shown = self._security.get_connection_args("client")
            if shown.get("ssl_context") is None:
                raise ValueError(f"The security that was given lacks a part{_SHOWING}")
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            try:
                return await newClient(self.address, self._security, timeout)
            except CommClosedError:
                # Maybe by a scheduler that was about to go, whose place another takes.
                if loop.time() - began >= CHANGING:
                    raise
            await asyncio.sleep(PAUSE)

    async def close(self, client: Client) -> None:
        """
        Does nothing, because it is not mine.
        """


class Embedded:
    """
    I am a cluster in this program: its scheduler in the thread that I am opened in, its
    nodes in processes of their own, or in threads.

    @cvar advice: Nothing, as there is nobody to be reached.
    """

    advice = ""

    def __init__(
        self, nodes: int, threads: int, processes: bool, security: Any
    ) -> None:
        """
        @param nodes: How many nodes.
        @param threads: How many calls each runs at a time.
        @param processes: C{False} to have the nodes in threads.
        @param security: A C{distributed.Security}, or C{None}.
        """
        self._processes = processes
        kw: dict[str, Any] = {}
        if processes:
            others = dask.config.get("distributed.worker.preload")
            kw["preload"] = [*others, clusterchild.__name__]
        self._make: Callable[[], Any] = lambda: LocalCluster(
            n_workers=nodes,
            threads_per_worker=threads,
            processes=processes,
            asynchronous=True,
            # There has to be one; without a dashboard, and on loopback.
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            security=security,
            **kw,
        )
        self._security = security
        # For each client, since one may be opened while another is being closed.
        self._clusters: dict[Client, asyncio.Future[Any]] = {}

    def __str__(self) -> str:
        return "the embedded cluster"

    async def open(self, timeout: float) -> Client:
        """
        Starts the cluster.

        @param timeout: As of L{Elsewhere.open}.
        @return: An asynchronous client.
        """
        starting = asyncio.ensure_future(self._start())
        try:
            # One that is given up while it starts leaves processes behind.
            cluster = await asyncio.shield(starting)
            address = cluster.scheduler_address
            client = await newClient(address, self._security, timeout)
        except BaseException:
            # It has begun things that would go on.
            await self._end(starting)
            raise
        self._clusters[client] = starting
        return client

    async def close(self, client: Client) -> None:
        """
        Ends the cluster of a client.
        """
        starting = self._clusters.pop(client)
        await asyncio.wait_for(self._end(starting), CLOSING)

    async def _start(self) -> Any:
        return await self._make()

    async def _end(self, starting: "asyncio.Future[Any]") -> None:
        # If it has not come up, it has ended itself.
        await asyncio.wait([starting])
        if starting.cancelled() or starting.exception() is not None:
            return
        cluster = starting.result()
        if self._processes:
            nannies = cluster.workers.values()
            await asyncio.gather(*[nanny.close(timeout=ENDING) for nanny in nannies])
        await cluster.close()


async def newClient(address: str, security: Any, timeout: float) -> Client:
    """
    @return: An asynchronous client of the scheduler at an address.
    """
    client = Client(
        address,
        asynchronous=True,
        set_as_default=False,
        security=security,
        timeout=timeout,
        name="asynqueue",
    )
    try:
        return await client
    except BaseException:
        # It has begun things that would go on.
        await client.close()
        raise
