"""
Where a worker without a process makes its calls: right here, with copies of all that a
process would have copies of, or with the very objects.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.logger import Logger

from asynqueue.about import aboutCall
from asynqueue.deferator import Deferator, Prefetcherator
from asynqueue.errors import WorkerDied, harmless
from asynqueue.messages import Call, Close, Iteration, Next, Status, load, pack
from asynqueue.packets import Incoming, Outgoing, Packet
from asynqueue.picklable import notPicklable
from asynqueue.picklers import findPickler
from asynqueue.replies import Reply, loaded, openReply
from asynqueue.runner import CallRunner
from asynqueue.task import Task
from asynqueue.universe import ProcessUniverse

Died = Callable[[str], WorkerDied]
"""
Makes an error that tells of a death, of what its text goes on with.
"""


class Side(Protocol):
    """
    I am to a worker without a process what that would be.
    """

    def pack(self, task: Task) -> Packet:
        """
        @return: A task's call, as it is sent.
        @raise PicklingError: if it cannot be.
        """

    def make(self, task: Task, packet: Packet) -> tuple[Status, Any]:
        """
        Makes a call.

        @param task: The task.
        @param packet: What was sent, which is used up.
        @return: The status and the result, where an iterator has become a
            L{Deferator} unless it is to stay raw.
        """

    def end(self, died: Died) -> None:
        """
        Has the iterators that calls have returned end with an error.
        """


class Direct:
    """
    I make calls with the very objects that they are given, and give back what they
    return. Iterators need nothing of me, and go on when I have ended.
    """

    def __init__(self, raw: bool = False) -> None:
        """
        @param raw: C{True} if an iterator is a value like any other.
        """
        self._run = CallRunner(raw)

    def pack(self, task: Task) -> Packet:
        """
        @return: Nothing.
        """
        return []

    def make(self, task: Task, packet: Packet) -> tuple[Status, Any]:
        """
        Makes a call, as of L{Side}.
        """
        status, result = self._run(task.callTuple, task.raw)
        if status is Status.ITERATION:
            result = Deferator(result)
        return status, harmless(result) if status is Status.ERROR else result

    def end(self, died: Died) -> None:
        """
        Does nothing.
        """


class Copying:
    """
    I make calls with what comes of them when they cross a pipe, and give back what
    comes of their results when these do. What answers in a worker process does here.
    """

    log = Logger()

    def __init__(self, raw: bool = False, pickler: str = "pickle") -> None:
        """
        @param raw: C{True} if an iterator is a value like any other.
        @param pickler: By its name in L{PICKLERS<asynqueue.picklers.PICKLERS>}.
        @raise ValueError: if no pickler has this name.
        @raise ImportError: if it is not installed.
        """
        self._makePickler = findPickler(pickler)
        self._universe = ProcessUniverse(raw, pickler=pickler)
        self._died: Died | None = None

    def pack(self, task: Task) -> Packet:
        """
        Copies a call, as of L{Side}.
        """
        call = Call(0, task.raw)
        try:
            return _crossed(pack(call, task.callTuple, self._makePickler))
        except BaseException as e:
            raise notPicklable(task.callTuple, e, self._makePickler) from e

    def make(self, task: Task, packet: Packet) -> tuple[Status, Any]:
        """
        Makes a call, as of L{Side}.
        """
        status, result = self._ask(packet).result()
        if status is Status.ITERATION:
            result = self._deferator(result, aboutCall(task.callTuple))
        return status, result

    def end(self, died: Died) -> None:
        """
        Has the iterators end, as of L{Side}.
        """
        self._died = died
        self._universe.iterators.clear()

    def _ask(self, packet: Packet) -> Reply:
        _, answer = self._universe.answer(packet)
        # Only several items could have been sent already, and one is asked for.
        return openReply(_crossed(answer or []), 0, 0.0)

    def _deferator(self, iteration: Iteration, call: str) -> Deferator[Any]:
        prefetcherator, ID = Prefetcherator(call), iteration.ID
        if ID is not None:
            close = partial(self._close, ID, call)
            prefetcherator.resume(iteration.first, partial(self._next, ID, call), close)
        return Deferator(prefetcherator)

    def _next(self, ID: int, call: str) -> Any:
        if self._died is not None:
            raise self._died(f", and with it the iterator of {call}")
        status, result = self._ask(_crossed(pack(Next(0, ID)))).result()
        if status is Status.NONE:
            raise StopIteration
        if status is Status.ERROR:
            raise result
        return loaded(load, result.pickles[0], result.buffers)

    def _close(self, ID: int, call: str) -> None:
        status, error = self._universe.do(Close(0, ID))
        if status is Status.ERROR:
            self.log.error(
                "The iterator of {call} raised when it was closed: {error!r}",
                call=call,
                error=error,
            )


def _crossed(packet: Packet) -> Packet:
    """
    @return: A packet as it is received when it has been sent.
    """
    outgoing, incoming = Outgoing(), Incoming()
    outgoing.add(packet)
    while outgoing.packets:
        data = b"".join(outgoing.next())
        incoming.feed(data)
        outgoing.written(len(data))
    return incoming.packets.popleft()
