"""
What tasks become in one worker process.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from asynqueue.about import aboutCall
from asynqueue.channel import Channel, Request
from asynqueue.deferreds import branch
from asynqueue.messages import Call, Status, pack
from asynqueue.picklable import notPicklable
from asynqueue.picklers import MakePickler, byName
from asynqueue.remotes import RemoteIterators
from asynqueue.replies import Reply
from asynqueue.task import Task


class Charge(NamedTuple):
    """
    What belongs to a task while it is here.

    @ivar request: What was asked of the process for it.
    @ivar ready: The Deferred that C{run} returned.
    """

    request: Request
    ready: "Deferred[None]"


class Life:
    """
    I run tasks in one worker process, for as long as it lives.

    @ivar channel: The L{Channel} to the process.
    @ivar iterators: The L{RemoteIterators} that are open there.
    """

    def __init__(
        self,
        channel: Channel,
        record: Callable[[float, float], Any],
        reactor: Any,
        makePickler: MakePickler = byName,
    ) -> None:
        """
        @param record: Is called for each call that has been sent and is over,
            with the seconds until its result was here, and those that it ran
            there: 0.0 if the process did not live to tell.
        @param makePickler: What pickles the calls.
        """
        self.channel = channel
        self.iterators = RemoteIterators(channel, reactor)
        self._record = record
        self._makePickler = makePickler
        self._charges: dict[Task, Charge] = {}
        self._whenIdle: list[Deferred[None]] = []

    @property
    def tasks(self) -> list[Task]:
        """
        A list of the tasks that I have.
        """
        return list(self._charges)

    def run(self, task: Task) -> "Deferred[None]":
        """
        Sends a task's call to the process, and ends the task when the result is
        there.

        @return: A Deferred that fires when another may follow. It does not if
            the process ends.
        """
        number = self.channel.number()
        try:
            packet = pack(Call(number, task.raw), task.callTuple, self._makePickler)
        except BaseException as e:
            error = notPicklable(task.callTuple, e, self._makePickler)
            task.callback((Status.ERROR, error))
            return succeed(None)
        request = self.channel.request(number, packet)
        request.about = partial(aboutCall, task.callTuple)
        charge = self._charges[task] = Charge(request, Deferred())
        request.replied.addCallbacks(
            self._answered, self._lost, (task, charge), {}, (task, charge)
        )
        return charge.ready

    def cancel(self, task: Task) -> None:
        """
        Abandons a task: what the process has not begun it never will, and what
        it has begun ends with the process.
        """
        charge = self._charges.get(task)
        if charge is None:
            return
        if self.channel.withdraw(charge.request):
            self._discard(task)
            charge.ready.callback(None)
        else:
            call = aboutCall(task.callTuple)
            self.channel.terminate(f"its call {call} was cancelled or timed out")

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

    async def _idle(self) -> None:
        if self._charges:
            idle: Deferred[None] = Deferred()
            self._whenIdle.append(idle)
            await idle

    def _answered(self, reply: Reply, task: Task, charge: Charge) -> None:
        self._record(reply.seconds, reply.answer.seconds)
        status, result = reply.result()
        if status is Status.ITERATION:
            result = self.iterators.deferator(result, aboutCall(task.callTuple))
        if self._discard(task):
            task.callback((status, result))
        charge.ready.callback(None)

    def _lost(self, failure: Failure, task: Task, charge: Charge) -> None:
        sentAt = charge.request.sentAt
        if sentAt is None:
            # It was not begun, and is kept to be given back.
            return
        self._record(perf_counter() - sentAt, 0.0)
        if not self._discard(task):
            return
        died = self.channel.died(f" in the middle of the call {self.channel.lost}")
        task.callback((Status.ERROR, died))

    def _discard(self, task: Task) -> bool:
        """
        @return: C{False} if the task was given back before.
        """
        charge = self._charges.pop(task, None)
        if not self._charges:
            waiters, self._whenIdle = self._whenIdle, []
            for d in waiters:
                d.callback(None)
        return charge is not None
