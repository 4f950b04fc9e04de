"""
What tasks become at a cluster, while one connection to it lasts.
"""

import itertools
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from asynqueue.about import aboutCall
from asynqueue.clusterconnection import Connection
from asynqueue.clustererrand import ClusterErrand
from asynqueue.clusterheld import NodeInfo
from asynqueue.clusterpacker import Packer
from asynqueue.deferator import Deferator
from asynqueue.looper import ThreadLooper
from asynqueue.messages import Iteration, Status
from asynqueue.nodelines import NodeLine
from asynqueue.remotes import RemoteIterators
from asynqueue.replies import openReply
from asynqueue.task import Task

MOST_ITEMS = 10_000
"""
How many items of an iterator are asked for at most: as a request takes some
milliseconds, ten times what a process is asked for.
"""


class Owner(Protocol):
    """
    Who has a L{ClusterLife}.
    """

    def nodesChanged(self, nodes: list[NodeInfo]) -> None:
        """
        The cluster has grown or shrunk.
        """

    def lost(self, life: Any, why: str) -> None:
        """
        The connection is lost. The tasks that may not be tried again have ended; the
        others are for L{ClusterLife.giveBack}.
        """

    def record(self, task: Task, here: float, there: float, node: str = "") -> None:
        """
        A task's call is over that was sent.
        """


class ClusterLife:
    """
    I run tasks on a cluster, over one connection to it.

    Tasks that come while an update is under way wait until it is done on all nodes.
    """

    def __init__(
        self,
        connection: Connection,
        owner: Owner,
        looper: ThreadLooper,
        packer: Packer,
        reactor: Any,
    ) -> None:
        """
        @param connection: The connection, not opened yet.
        @param looper: Has a thread, by which results and items are loaded that are
            long.
        @param packer: What pickles the calls.
        """
        self._connection = connection
        self._owner = owner
        self._looper = looper
        self._reactor = reactor
        self._packer = packer
        self._numbers = itertools.count(1)
        self._errands: dict[Task, ClusterErrand] = {}
        self._updates: dict[Task, None] = {}
        # To be called when the connection is open.
        self._early: list[Callable[[], None]] = []
        self._line: list[ClusterErrand] = []
        self._iterators: dict[str, RemoteIterators] = {}
        self._whenIdle: list[Deferred[None]] = []
        self._isOpen = False

    @property
    def tasks(self) -> list[Task]:
        """
        A list of the tasks that I have.
        """
        errands = self._errands.values()
        return [*self._updates, *[e.task for e in errands if e.isWanted]]

    def open(self, timeout: float) -> "Deferred[None]":
        """
        Connects to the cluster.

        @param timeout: For how long it is tried, in seconds.
        @return: A Deferred that fires when that is done, or fails with a
            L{StartFailed<asynqueue.errors.StartFailed>}.
        """
        return self._connection.open(self, timeout).addCallback(self._opened)

    def run(self, task: Task, resource: str | None, ready: Callable[[], Any]) -> None:
        """
        Has a node make a task's call, and ends the task when the result is there.

        @param resource: What the node has to offer, C{None} for nothing.
        @param ready: Is called when another may follow. It is not if the connection is
            lost.
        """
        errand = ClusterErrand(next(self._numbers), task, resource, ready, self)
        self._errands[task] = errand
        self._packer.pack(
            errand.number,
            task,
            partial(self._packed, errand),
            partial(self._notPacked, errand),
        )

    def update(self, task: Task, isLasting: bool) -> None:
        """
        Has all nodes make a task's call, and ends the task by a C{dict} of what each
        returned, by address.

        @param isLasting: C{True} if nodes that come later make it too.
        """
        self._updates[task] = None
        number = next(self._numbers)
        packed = partial(self._updatePacked, task, number, isLasting)
        self._packer.pack(
            number, task, packed, lambda e: self._notUpdated(Failure(e), task)
        )

    def cancel(self, task: Task) -> None:
        """
        Abandons a task.
        """
        errand = self._errands.get(task)
        if errand is None or not errand.isWanted:
            return
        errand.isWanted = False
        if errand in self._line:
            self._line.remove(errand)
        elif errand.call:
            self._connection.cancel(errand)
            return
        # It has not been sent; perhaps it is being pickled still.
        self.released(errand)

    def resources(self) -> set[Any]:
        """
        @return: What nodes have to offer for the tasks that I have.
        """
        return {errand.resource for errand in self._errands.values() if errand.isWanted}

    def refuse(self, resource: Any, error: Exception) -> None:
        """
        Abandons all tasks whose nodes have to offer something, and fails them.
        """
        for errand in list(self._errands.values()):
            if errand.resource == resource and errand.isWanted:
                self.cancel(errand.task)
                errand.task.fail(error)

    def giveBack(self) -> list[Task]:
        """
        Lets go of all tasks.

        @return: A list of those that are not over. I will not end them.
        """
        tasks = self.tasks
        for errand in list(self._errands.values()):
            self.cancel(errand.task)
        self._errands.clear()
        self._updates.clear()
        self._line.clear()
        self._tellIfIdle()
        return [task for task in tasks if not task.isOver()]

    async def finish(self) -> None:
        """
        Lets what I have come to its end, and then the connection.
        """
        await self._idle()
        for iterators in list(self._iterators.values()):
            await iterators.drained()
        await self.close()

    def close(self) -> "Deferred[None]":
        """
        Ends the connection.

        @return: A Deferred that fires when nothing of it is left.
        """
        return self._connection.close().addCallback(lambda _: self._forgetNodes())

    # --- What errands tell.

    def answered(self, errand: ClusterErrand, node: str, packet: list[bytes]) -> None:
        """
        A call is over.
        """
        here = perf_counter() - errand.sentAt
        reply = openReply(packet, errand.number, here)
        self._owner.record(errand.task, here, reply.answer.seconds, node)
        if reply.isLong:
            d = self._looper.deferToThread(reply.result)
            d.addErrback(lambda failure: (Status.ERROR, failure.value))
        else:
            d = succeed(reply.result())
        d.addCallback(self._finish, errand, node)

    def end(self, errand: ClusterErrand, error: Exception) -> None:
        """
        A call came to nothing.
        """
        self._owner.record(errand.task, perf_counter() - errand.sentAt, 0.0)
        if errand.isWanted:
            errand.task.callback((Status.ERROR, error))
        self.released(errand)

    def released(self, errand: ClusterErrand) -> None:
        """
        A call takes up no place any more.
        """
        # Its task may have been given back meanwhile, and come again.
        if self._errands.get(errand.task) is errand:
            del self._errands[errand.task]
            errand.ready()
            self._tellIfIdle()

    # --- What the link tells.

    def nodesChanged(self, nodes: list[NodeInfo]) -> None:
        """
        The cluster has grown or shrunk.
        """
        self._owner.nodesChanged(nodes)

    def nodeGone(self, address: str) -> None:
        """
        A node is gone, and with it the iterators that it had.
        """
        iterators = self._iterators.pop(address, None)
        if iterators is not None:
            iterators.abandon()

    def lost(self, why: str) -> None:
        """
        The scheduler is gone.
        """
        self._forgetNodes()
        self._owner.lost(self, why)

    def _opened(self, _: None) -> None:
        self._isOpen = True
        for send in self._early:
            send()
        self._early.clear()
        self._flush()

    def _forgetNodes(self) -> None:
        for address in list(self._iterators):
            self.nodeGone(address)

    def _flush(self) -> None:
        if not self._isOpen or self._updates:
            return
        line, self._line = self._line, []
        for errand in line:
            errand.sentAt = perf_counter()
            if not errand.asks:
                errand.begun()
            self._connection.submit(errand)

    def _packed(self, errand: ClusterErrand, call: bytes) -> None:
        # Its task may have been given back meanwhile.
        if self._errands.get(errand.task) is errand:
            errand.call = call
            self._line.append(errand)
            self._flush()

    def _notPacked(self, errand: ClusterErrand, error: Exception) -> None:
        if errand.isWanted:
            errand.task.callback((Status.ERROR, error))
        self.released(errand)

    def _finish(
        self, outcome: tuple[Status, Any], errand: ClusterErrand, node: str
    ) -> None:
        status, result = outcome
        if status is Status.ITERATION:
            # Also for nobody, because then it is closed.
            result = self._deferator(node, result, errand.task)
        if errand.isWanted:
            errand.task.callback((status, result))
        self.released(errand)

    def _deferator(self, node: str, iteration: Iteration, task: Task) -> Deferator[Any]:
        iterators = self._iterators.get(node)
        if iterators is None:
            line = NodeLine(node, self._connection.inquire, self._numbers)
            iterators = RemoteIterators(
                line, self._reactor, self._looper, most=MOST_ITEMS
            )
            self._iterators[node] = iterators
        return iterators.deferator(iteration, aboutCall(task.callTuple))

    def _updatePacked(
        self, task: Task, number: int, isLasting: bool, call: bytes
    ) -> None:
        send = partial(self._sendUpdate, task, number, isLasting, call)
        if self._isOpen:
            send()
        else:
            self._early.append(send)

    def _sendUpdate(
        self, task: Task, number: int, isLasting: bool, call: bytes
    ) -> None:
        if task in self._updates:
            d = self._connection.update(number, call, isLasting)
            d.addCallbacks(self._updated, self._notUpdated, (task, number), {}, (task,))

    def _updated(
        self, answers: dict[str, list[bytes]], task: Task, number: int
    ) -> None:
        if task not in self._updates:
            return
        values, errors = {}, []
        for node, answer in answers.items():
            status, result = openReply([*answer], number, 0.0).result()
            if status is Status.ITERATION:
                result = self._deferator(node, result, task)
            if status is Status.ERROR:
                errors.append(result)
            values[node] = result
        outcome = (Status.ERROR, errors[0]) if errors else (Status.RESULT, values)
        self._updateEnded(task, outcome)

    def _notUpdated(self, failure: Failure, task: Task) -> None:
        # If the scheduler is gone, that is told too, and it is given back.
        if task in self._updates and not failure.check(OSError):
            self._updateEnded(task, (Status.ERROR, failure))

    def _updateEnded(self, task: Task, outcome: tuple[Status, Any]) -> None:
        del self._updates[task]
        task.callback(outcome)
        self._flush()
        self._tellIfIdle()

    async def _idle(self) -> None:
        if self._errands or self._updates:
            idle: Deferred[None] = Deferred()
            self._whenIdle.append(idle)
            await idle

    def _tellIfIdle(self) -> None:
        if self._whenIdle and not self._errands and not self._updates:
            waiters, self._whenIdle = self._whenIdle, []
            for d in waiters:
                d.callback(None)
