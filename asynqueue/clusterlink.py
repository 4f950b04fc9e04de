"""
A connection to a cluster: calls on their way to the scheduler and back.

All of me runs in a thread of its own, where dask's client lives too: see
L{asynqueue.asyncthread}. What comes of a call is told to its L{Errand} in the
reactor's thread.

How often a call may begin
==========================

When a node is gone, I take back what it had, and submit it anew; but dask hands it to
another node at once, and does not know whether it had begun. So a call's node asks me
before it begins, if it matters: when the call must not be repeated at all, when its
time has to be counted from then, and when another node had it before. A node that is
gone while it had a call that did not ask counts as one that began it.
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
from asynqueue.clusterbundles import Bundler
from asynqueue.clusterclerk import WITHDRAWN, Clerk, Key, isKey
from asynqueue.clusterheld import Bundle, Errand, Held, Listener, NodeInfo
from asynqueue.clusternode import NodePlugin, Settings
from asynqueue.clusternodes import Nodes
from asynqueue.clustersubmit import Submitter
from asynqueue.clusterturn import STUCK
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
        self._held: dict[int, Held] = {}
        self._bundles: dict[int, Bundle] = {}
        self.nodes = Nodes(client, settings)
        self._bundler = Bundler()
        self._submitter = Submitter(
            client,
            settings,
            self._bundler,
            outstanding=lambda: len(self._held),
            submitted=self._submitted,
            failed=lambda held, error: self._end(held, held.errand.failed, error),
        )
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
        self._submitter.letGo()
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
            self._submitter.put(held)
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

    def _submitted(self, bundle: Bundle) -> None:
        self._bundles[bundle.serial] = bundle
        self._background.do(self._await(bundle, bundle.future))

    async def _await(self, bundle: Bundle, future: Future) -> None:
        """
        Waits for the end of a bundle, and sees to it that all of its calls go on.
        """
        why = "Its result was lost"
        try:
            if await future.exception() is None:
                self._submitter.keep(future)
            if bundle.waiting:
                # Short answers have come already.
                for number, answer in await future:
                    self._answered(bundle, number, answer)
        except FutureCancelledError as e:
            if e.reason == WITHDRAWN:
                for held in bundle.end():
                    self._goOn(held)
            elif not self._isOpen or e.reason == LOST:
                # What is still wanted is told of that by other ways.
                for held in bundle.unwanted():
                    self._end(held, held.errand.released)
                return
            why = f"The cluster has cancelled it: {e}"
        except KilledWorker as e:
            why = str(e)
        except OSError as e:
            # It was on its way, when its node or the scheduler went.
            why = f"{why}: {e}"
        except Exception as e:
            for held in bundle.end():
                self._end(held, held.errand.failed, e)
        finally:
            self._bundles.pop(bundle.serial, None)
        for held in bundle.end():
            self._tryAgain(held, held.begunOn or UNKNOWN, why)

    def _answered(
        self, bundle: Bundle, number: int, answer: list[bytes] | None
    ) -> None:
        """
        A node tells of a call.
        """
        held = bundle.waiting.get(number)
        if held is None:
            return
        held.leave()
        errand = held.errand
        if answer is None:
            # Those before it took long, and it is alike.
            self._bundler.learn(errand.name, STUCK)
            self._goOn(held)
            return
        node, *parts = answer
        try:
            envelope, _ = unpack([*parts])
        except Exception as e:
            self._end(held, errand.failed, e)
            return
        if envelope.status is Status.DISCONNECTED:
            why = "Its node lost the connection to the scheduler"
            self._tryAgain(held, node.decode(), why)
        else:
            self._bundler.learn(errand.name, envelope.seconds)
            self._end(held, errand.answered, node.decode(), parts)

    def _tryAgain(self, held: Held, node: str, why: str) -> None:
        """
        A node that had a call is gone, or has let it be.
        """
        held.lose(node)
        held.asks = True
        if held.isWanted and not held.mayBegin:
            self._end(held, held.errand.died, held.nodes, why)
        else:
            self._goOn(held)

    def _goOn(self, held: Held) -> None:
        """
        Sends a call once more, if it is wanted.
        """
        if held.isWanted:
            self._submitter.put(held)
        else:
            self._end(held, held.errand.released)

    def _end(self, held: Held, tell: Callable[..., Any], *args: Any) -> None:
        """
        Tells of the end of an errand, unless it was told.
        """
        if self._held.pop(held.errand.number, None) is None:
            return
        held.leave()
        if held.isWanted:
            held.isWanted = False
            self._tell(tell, *args)
        else:
            self._tell(held.errand.released)

    async def _abandon(self, held: Held) -> None:
        number, bundle = held.errand.number, held.bundle
        if held in self._submitter.line:
            self._submitter.line.remove(held)
            self._end(held, held.errand.released)
        if bundle is None:
            return
        node = await self._ask("withdraw", key=bundle.key)
        if not self._isOpen or held.bundle is not bundle:
            # All is let go, or this is over.
            return
        if node is None:
            if len(bundle.waiting) == 1:
                await self._client.cancel([bundle.future])
        elif not await self.nodes.ask(node, "abandon", number=number):
            # It has promised never to begin it; no other is let begin it.
            self._end(held, held.errand.released)
            if not bundle.waiting:
                await self._client.cancel([bundle.future])
        elif self._restart:
            await asyncio.sleep(INTERRUPTING)
            if held.bundle is bundle:
                await self._client.restart_workers([node], raise_for_error=False)

    # --- What the scheduler tells.

    def _told(self, event: tuple[float, Any]) -> None:
        """
        My clerk tells something.
        """
        _, (what, serial, more) = event
        bundle = self._bundles.get(serial)
        if what == "claim":
            self._claimed(bundle, serial, more)
        elif bundle is not None:
            for number, answer in more:
                self._answered(bundle, number, answer)

    def _claimed(self, bundle: Bundle | None, serial: int, node: str) -> None:
        """
        A node asks which calls of a bundle may begin there.
        """
        granted = []
        for held in [] if bundle is None else list(bundle.waiting.values()):
            if held.begunOn is not None:
                held.lose(held.begunOn)
            if held.mayBegin:
                held.begunOn = node
                self._tell(held.errand.begun)
                granted.append(held.errand.number)
            elif held.isWanted:
                self._end(held, held.errand.died, held.nodes, GONE)
        grant = self._ask("grant", serial=serial, node=node, granted=granted)
        self._background.do(grant)

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
            serial = Key(*key).serial if isKey(key, token) else 0
            bundle = self._bundles.pop(serial, None)
            if bundle is not None:
                # Each by itself: they need not all have the same luck.
                for held in bundle.end():
                    self._tryAgain(held, node, GONE)
                self._background.do(self._client.cancel([bundle.future]))

    def _changed(self, nodes: list[NodeInfo]) -> None:
        self._bundler.nodes = nodes
        self._tell(self._listener.nodesChanged, nodes)

    def _lose(self, why: str) -> None:
        if not self._isOpen:
            return
        self._isOpen = False
        for held in list(self._held.values()):
            if held.bundle is not None:
                held.lose(held.begunOn or UNKNOWN)
            runs = held.errand.runs - len(held.nodes)
            if runs > 0:
                self._end(held, held.errand.returned, runs)
            else:
                self._end(held, held.errand.died, held.nodes, why)
        self._submitter.line.clear()
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
