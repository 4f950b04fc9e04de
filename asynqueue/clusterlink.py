"""
A connection to a cluster: calls on their way to the scheduler and back.

All of me runs in a thread of its own, where dask's client lives too: see
L{asynqueue.asyncthread}. What comes of a call is told to its L{Errand} in the
reactor's thread.

How often a call may begin
==========================

dask hands a call to another node when the one that had it is gone, and does not know
whether it had begun. So a call's node asks me before it begins, if it matters: when the
call must not be repeated at all, when its time has to be counted from then, and when
another node had it before. A node that is gone while it had a call that did not ask
counts as one that began it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from distributed import Client, Future, KilledWorker
from distributed.client import FutureCancelledError
from twisted.logger import Logger

from asynqueue.asyncthread import AsyncioThread
from asynqueue.background import Background
from asynqueue.clusterclerk import Clerk, isKey
from asynqueue.clusterheld import Errand, Held, Listener, NodeInfo
from asynqueue.clusternode import NodePlugin, Settings
from asynqueue.clusternodes import Nodes
from asynqueue.clustersubmit import Submitter
from asynqueue.clusterwatch import PATIENCE, Watch
from asynqueue.messages import Status, unpack

INTERRUPTING = 1.0
"""
How long a call that was interrupted may take to end, in seconds, before the process of
its node is begun anew, if that was asked for.
"""

LOST = "scheduler-connection-lost"
"""
The reason that dask gives for a result that never comes because the scheduler is gone.
"""

GONE = "Its node is gone"

UNKNOWN = "an unknown node"
"""
What stands for the node of a call that did not ask, if nobody tells which had it.
"""

TOGETHER = 0.005
"""
After how many seconds further calls are sent at the earliest: those that come meanwhile
go together, which spares the scheduler most of its work. dask's client itself sends
every 10 milliseconds.
"""

KEPT = 0.02
"""
For how long a result that is here is kept on its node, in seconds: to say that it is
not needed would hold up the calls that are made right after, and may go with them.
"""


class Link:
    """
    I am one connection to a cluster.

    @ivar nodes: The L{Nodes} behind it.
    """

    log = Logger()

    def __init__(
        self,
        thread: AsyncioThread,
        client: Client,
        settings: Settings,
        listener: Listener,
        restart: bool,
    ) -> None:
        """
        @param client: An asynchronous client, connected.
        @param restart: C{True} to begin anew the process of a node whose call was
            interrupted and goes on all the same.
        """
        self._tell = thread.tell
        self._client = client
        self._settings = settings
        self._listener = listener
        self._restart = restart
        self._line: list[Held] = []
        self._taken: list[Future] = []
        self._lastFlush = 0.0
        self._held: dict[int, Held] = {}
        self.nodes = Nodes(client, settings)
        self._submitter = Submitter(client, settings)
        self._watch = Watch(client, self._changed, self._lose)
        self._isOpen = False
        self._background = Background(lambda error: self._tell(self._report, error))
        self._abandoning: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """
        Prepares the scheduler and the nodes.

        @raise Exception: whatever dask raises if that fails.
        """
        client, settings = self._client, self._settings
        client.subscribe_topic(settings.name, self._told)
        client.subscribe_topic("all", self._heard)
        await client.register_plugin(Clerk(settings, client.id))
        await client.register_plugin(NodePlugin(settings))
        await self._watch.look()
        self._isOpen = True
        self._background.do(self._watch.follow())
        self._background.do(self._watch.listen(f"{settings.name}-never"))

    async def close(self) -> None:
        """
        Takes away what I have put on the scheduler and the nodes, and ends the client.
        """
        if self._isOpen:
            self._isOpen = False
            self._client.unsubscribe_topic("all")
            await self.nodes.settle()
            if self._abandoning:
                # Nodes that I have left would not know what is meant.
                await asyncio.wait(self._abandoning, timeout=2 * INTERRUPTING)
            # Whoever is gone has nothing left to take away.
            with suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(self._ask("leave"), PATIENCE)
        self._taken.clear()
        await self._background.end()
        with suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(self._client.close(), PATIENCE)

    # --- Calls.

    def submit(self, errand: Errand) -> None:
        """
        Has a call made. Those of some milliseconds go to the scheduler together.
        """
        held = self._held[errand.number] = Held(errand)
        if self._isOpen:
            self._enqueue(held)
        else:
            self._end(held, errand.returned, errand.runs)

    def cancel(self, number: int) -> None:
        """
        Has a call not begin, or interrupts it if it has.
        """
        held = self._held.get(number)
        if held is not None and held.isWanted:
            held.isWanted = False
            abandoning = self._background.do(self._abandon(held))
            self._abandoning.add(abandoning)
            abandoning.add_done_callback(self._abandoning.discard)

    def _enqueue(self, held: Held) -> None:
        if not self._line:
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._lastFlush + TOGETHER), self._flush)
        self._line.append(held)

    def _flush(self) -> None:
        self._lastFlush = asyncio.get_running_loop().time()
        line, self._line = self._line, []
        byResource: dict[str | None, list[Held]] = {}
        for held in line:
            byResource.setdefault(held.errand.resource, []).append(held)
        for resource, some in byResource.items():
            try:
                futures = self._submitter.submit(resource, some)
            except Exception as e:
                # Else nobody would ever be told.
                for held in some:
                    self._end(held, held.errand.failed, e)
                continue
            for held, future in zip(some, futures, strict=True):
                held.future = future
                self._background.do(self._await(held, future))
        self._taken.clear()

    async def _await(self, held: Held, future: Future) -> None:
        errand = held.errand
        try:
            if await future.exception() is None and held.answered is future:
                return
            # Else it is a long one, and has to be fetched.
            node, *parts = await future
        except FutureCancelledError as e:
            if held.isWanted and self._isOpen and e.reason != LOST:
                held.lose(held.begunOn or UNKNOWN)
                self._tryAgain(held, f"The cluster has cancelled it: {e}")
        except KilledWorker as e:
            # It counts all nodes that had it, begun or not.
            self._tryAgain(held, str(e))
        except OSError as e:
            # Its result was on its way, when its node or the scheduler went.
            held.lose(held.begunOn or UNKNOWN)
            self._tryAgain(held, f"Its result was lost: {e}")
        except Exception as e:
            self._end(held, errand.failed, e)
        else:
            self._answered(held, node, parts)
        if not held.isWanted:
            self._end(held, errand.released)

    def _answered(self, held: Held, node: bytes, parts: list[bytes]) -> None:
        self._keep(held.future)
        try:
            envelope, _ = unpack([*parts])
        except Exception as e:
            self._end(held, held.errand.failed, e)
            return
        if envelope.status is Status.DISCONNECTED:
            self._tryAgain(held, "Its node lost the connection to the scheduler")
        else:
            self._end(held, held.errand.answered, node.decode(), parts)

    def _keep(self, future: Future) -> None:
        if not self._taken:
            asyncio.get_running_loop().call_later(KEPT, self._taken.clear)
        self._taken.append(future)

    def _tryAgain(self, held: Held, why: str) -> None:
        if held.mayBegin:
            held.asks = True
            self._enqueue(held)
        elif held.isWanted:
            self._end(held, held.errand.died, held.nodes, why)

    def _end(self, held: Held, tell: Callable[..., Any], *args: Any) -> None:
        """
        Tells of the end of an errand, unless it was told.
        """
        if self._held.pop(held.errand.number, None) is None:
            return
        if held.isWanted:
            held.isWanted = False
            self._tell(tell, *args)
        else:
            self._tell(held.errand.released)

    async def _abandon(self, held: Held) -> None:
        number, future = held.errand.number, held.future
        if held in self._line:
            self._line.remove(held)
            self._end(held, held.errand.released)
        if future is None or future.done():
            return
        node = await self._ask("withdraw", key=held.key)
        if not self._isOpen:
            # All is let go.
            return
        if node is None:
            await self._client.cancel([future])
        elif not await self.nodes.ask(node, "abandon", number=number):
            # It has promised never to begin it; and no other is to be given it.
            self._end(held, held.errand.released)
            await self._client.cancel([future])
        elif self._restart:
            await asyncio.sleep(INTERRUPTING)
            if not future.done():
                await self._client.restart_workers([node], raise_for_error=False)

    # --- What the scheduler tells.

    def _told(self, event: tuple[float, Any]) -> None:
        """
        My clerk tells something.
        """
        _, (what, number, more) = event
        held = self._held.get(number)
        if what == "claim":
            self._claimed(held, number, more)
        elif held is not None:
            held.answered = held.future
            node, *parts = more
            self._answered(held, node, parts)
            if not held.isWanted:
                self._end(held, held.errand.released)

    def _claimed(self, held: Held | None, number: int, node: str) -> None:
        """
        A node asks whether a call may begin there.
        """
        isGranted = False
        if held is not None:
            if held.begunOn is not None:
                held.lose(held.begunOn)
            isGranted = held.mayBegin
            if isGranted:
                held.begunOn = node
                self._tell(held.errand.begun)
            else:
                self._tryAgain(held, GONE)
        granted = self._ask("grant", number=number, node=node, isGranted=isGranted)
        self._background.do(granted)

    def _heard(self, event: tuple[float, Any]) -> None:
        """
        The cluster has changed.
        """
        _, message = event
        self._watch.wake()
        if message["action"] != "remove-worker":
            return
        node = message["worker"]
        self.nodes.forget(node)
        self._tell(self._listener.nodeGone, node)
        token = self._settings.token
        for key in [*message["processing-tasks"], *message["lost-computed-tasks"]]:
            held = self._held.get(key[-1]) if isKey(key, token) else None
            if held is not None:
                held.lose(node)
                if not held.mayBegin:
                    self._end(held, held.errand.died, held.nodes, GONE)
                    self._background.do(self._client.cancel([held.future]))

    def _changed(self, nodes: list[NodeInfo]) -> None:
        self._tell(self._listener.nodesChanged, nodes)

    def _lose(self, why: str) -> None:
        if not self._isOpen:
            return
        self._isOpen = False
        for held in list(self._held.values()):
            if held.begunOn is not None or not (held.asks or held in self._line):
                held.lose(held.begunOn or UNKNOWN)
            runs = held.errand.runs - len(held.nodes)
            if runs > 0:
                self._end(held, held.errand.returned, runs)
            else:
                self._end(held, held.errand.died, held.nodes, why)
        self._line.clear()
        self._tell(self._listener.lost, why)
        # It would look for the scheduler for long, and the client not end meanwhile;
        # another version of dask may do that in another way.
        with suppress(AttributeError):
            self._client._handle_report_task.cancel()

    async def _ask(self, what: str, **request: Any) -> Any:
        """
        Asks my clerk.
        """
        ask = getattr(self._client.scheduler, self._settings.verb(what))
        return await ask(**request)

    def _report(self, error: BaseException) -> None:
        self.log.error("Something went wrong with a cluster: {error!r}", error=error)
