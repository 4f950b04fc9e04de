"""
What tasks become in one worker process.
"""

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.about import aboutCall
from asynqueue.channel import Channel
from asynqueue.contents import TooLong
from asynqueue.deferreds import branch
from asynqueue.errors import WorkerDied
from asynqueue.looper import ThreadLooper
from asynqueue.messages import LONG, Call, Status, pack
from asynqueue.packets import Packet
from asynqueue.picklable import notPicklable
from asynqueue.picklers import MakePickler, byName
from asynqueue.remotes import RemoteIterators
from asynqueue.replies import Reply
from asynqueue.requests import Request
from asynqueue.task import Task


class Errand(Request):
    """
    I am a task's call on its way to the process and back.

    @ivar task: The task.
    @ivar isPacked: C{True} when I have my packet.
    @ivar ready: What is called when another may follow.
    """

    __slots__ = ("_life", "isPacked", "ready", "task")

    canBeTakenBack = True

    def __init__(
        self, number: int, task: Task, life: "Life", ready: Callable[[], Any]
    ) -> None:
        super().__init__(number, [])
        self.isPacked = False
        self.task = task
        self.ready = ready
        self._life = life

    def about(self) -> str | None:
        """
        @return: The call as a text.
        """
        return aboutCall(self.task.callTuple)

    def answered(self, reply: Reply) -> None:
        """
        The call is over.
        """
        self._life.answered(self, reply)

    def lost(self, died: WorkerDied) -> None:
        """
        The process is gone.
        """
        self._life.lost(self)


class Life:
    """
    I run tasks in one worker process, for as long as it lives.

    A task's time counts from when it is here, or, where others may wait in the pipe
    behind one, from when it is the first.

    Calls that are long are pickled, and results that are long loaded, by a thread.

    @ivar channel: The L{Channel} to the process.
    @ivar iterators: The L{RemoteIterators} that are open there.
    """

    def __init__(
        self,
        channel: Channel,
        record: Callable[[Task, float, float], Any],
        iterators: RemoteIterators,
        looper: ThreadLooper,
        makePickler: MakePickler = byName,
    ) -> None:
        """
        @param record: Is called for each task whose call has been sent and is
            over, with that, the seconds until its result was here, and those that
            it ran there: 0.0 if the process did not live to tell.
        @param looper: Has the thread.
        @param makePickler: What pickles the calls.
        """
        self.channel = channel
        self.iterators = iterators
        self._record = record
        self._looper = looper
        self._makePickler = makePickler
        self._sharing = channel.child.sharing
        self._errands: dict[Task, Errand] = {}
        self._loading = 0
        self._whenIdle: list[Deferred[None]] = []

    @property
    def tasks(self) -> list[Task]:
        """
        A list of the tasks that I have.
        """
        return list(self._errands)

    def run(self, task: Task, ready: Callable[[], Any]) -> None:
        """
        Sends a task's call to the process, and ends the task when the result is
        there.

        @param ready: Is called when another may follow. It is not if the process
            ends.
        """
        if not (self._errands and self.channel.ahead):
            task.startTimer()
        errand = Errand(self.channel.number(), task, self, ready)
        self._errands[task] = errand
        try:
            packet = self._pack(errand, LONG)
        except TooLong:
            d = self._looper.deferToThread(self._pack, errand)
            d.addCallbacks(self._packed, self._notPacked, (errand,), {}, (errand,))
        except BaseException:
            self._notPacked(Failure(), errand)
        else:
            self._packed(packet, errand)

    def cancel(self, task: Task) -> None:
        """
        Abandons a task: what the process has not begun it never will, and what
        it has begun ends with the process.
        """
        errand = self._errands.get(task)
        if errand is None:
            return
        if self._withdraw(errand):
            self._discard(task)
            errand.ready()
        else:
            call = aboutCall(task.callTuple)
            self.channel.terminate(f"its call {call} was cancelled or timed out")

    def recall(self) -> list[Task]:
        """
        Lets go of all tasks that the process has not begun with, and never will.

        @return: A list of them.
        """
        errands = list(self._errands.values())
        recalled = [e.task for e in errands if self._withdraw(e)]
        for task in recalled:
            self._discard(task)
        return recalled

    def giveBack(self) -> list[Task]:
        """
        Lets go of all tasks.

        @return: A list of those that are not over. I will not end them.
        """
        tasks = self.tasks
        for task in tasks:
            self._discard(task)
        return [task for task in tasks if not task.isOver()]

    async def finish(self) -> None:
        """
        Lets what I have come to its end, and then the process.
        """
        await self._idle()
        await self.iterators.drained()
        ended = branch(self.channel.ended)
        self.channel.stop()
        await ended

    async def settled(self) -> None:
        """
        Waits until no task is here and no iterator open, however long they take.
        """
        await self._idle()
        await self.iterators.allEnded()

    def answered(self, errand: Errand, reply: Reply) -> None:
        """
        A call is over.
        """
        self._record(errand.task, reply.seconds, reply.answer.seconds)
        self._loading += reply.isLong
        isWanted = self._discard(errand.task)
        if reply.isLong:
            d = self._looper.deferToThread(reply.result)
            d.addErrback(lambda failure: (Status.ERROR, failure.value))
            d.addCallback(self._loaded, errand.task, isWanted)
        else:
            self._finish(errand.task, isWanted, *reply.result())
        errand.ready()

    def lost(self, errand: Errand) -> None:
        """
        The process is gone, and had a call, or was to get it.
        """
        if errand.sentAt is None:
            # It was not begun, and is kept to be given back.
            return
        self._record(errand.task, perf_counter() - errand.sentAt, 0.0)
        if self._discard(errand.task):
            died = self.channel.died(f" in the middle of the call {errand.about()}")
            errand.task.callback((Status.ERROR, died))

    def _pack(self, errand: Errand, most: float = math.inf) -> Packet:
        task = errand.task
        call = Call(errand.number, task.raw)
        return pack(call, task.callTuple, self._makePickler, most, self._sharing)

    def _packed(self, packet: Packet, errand: Errand) -> None:
        if self._isHere(errand):
            errand.packet, errand.isPacked = packet, True
            self.channel.ask(errand)

    def _notPacked(self, failure: Failure, errand: Errand) -> None:
        task, why = errand.task, failure.value
        if why is not None and self._isHere(errand):
            self._discard(task)
            error = notPicklable(task.callTuple, why, self._makePickler)
            task.callback((Status.ERROR, error))
            errand.ready()

    def _isHere(self, errand: Errand) -> bool:
        # Its task may have been given back meanwhile, and come again.
        return self._errands.get(errand.task) is errand

    def _withdraw(self, errand: Errand) -> bool:
        return not errand.isPacked or self.channel.withdraw(errand)

    def _loaded(self, outcome: tuple[Status, Any], task: Task, isWanted: bool) -> None:
        self._finish(task, isWanted, *outcome)
        self._loading -= 1
        self._tellIfIdle()

    def _finish(self, task: Task, isWanted: bool, status: Status, result: Any) -> None:
        if status is Status.ITERATION:
            result = self.iterators.deferator(result, aboutCall(task.callTuple))
        if isWanted:
            task.callback((status, result))

    async def _idle(self) -> None:
        if self._errands or self._loading:
            idle: Deferred[None] = Deferred()
            self._whenIdle.append(idle)
            await idle

    def _discard(self, task: Task) -> bool:
        """
        @return: C{False} if the task was given back before.
        """
        errand = self._errands.pop(task, None)
        first = next(iter(self._errands), None)
        if first is not None and not first.isOver():
            first.startTimer()
        self._tellIfIdle()
        return errand is not None

    def _tellIfIdle(self) -> None:
        if self._whenIdle and not self._errands and not self._loading:
            waiters, self._whenIdle = self._whenIdle, []
            for d in waiters:
                d.callback(None)
