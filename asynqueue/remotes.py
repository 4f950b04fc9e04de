"""
Iterators that live in a worker process.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.batches import MOST
from asynqueue.channel import Channel
from asynqueue.errors import UnpicklingError, WorkerDied
from asynqueue.looper import ThreadLooper
from asynqueue.messages import LONG, Close, Items, Next, Status, load, pack
from asynqueue.nodelines import NodeLine
from asynqueue.openings import OpenIterators, Outcome
from asynqueue.replies import Reply, loaded
from asynqueue.requests import Line


class RemoteIterators(OpenIterators):
    """
    I know the iterators that are open in one worker process, and ask it for
    their items.
    """

    def __init__(
        self,
        channel: "Channel | NodeLine",
        reactor: Any,
        looper: ThreadLooper,
        readAhead: bool = True,
        most: int = MOST,
    ) -> None:
        """
        @param looper: Has a thread, by which items are loaded that are long.
        @param readAhead: C{False} to have each item taken only when it is asked for.
        @param most: How many are taken ahead at most.
        """
        super().__init__(self._askFor, self._endIn, reactor)
        self._channel = channel
        self._looper = looper
        self._most = most if readAhead else 1

    def abandon(self) -> None:
        """
        Forgets all iterators, because the process is gone. What is here of them can
        be taken, and the error that tells of its end comes after.
        """
        for opening in self._open.values():
            opening.after = partial(self._died, opening.call)
        super().abandon()

    def _askFor(self, ID: int, most: int) -> "Deferred[Outcome]":
        envelope = Next(self._channel.number(), ID, min(most, self._most))
        call = self._open[ID].call
        d = self._inquire(envelope, Line.ITEMS, call)
        return d.addCallbacks(self._read, self._processEnded, (ID,), {}, (call,))

    def _endIn(self, ID: int) -> "Deferred[Outcome]":
        d = self._inquire(Close(self._channel.number(), ID), Line.CLOSINGS)
        return d.addCallback(Reply.result)

    def _inquire(
        self, envelope: Next | Close, line: Line, call: str | None = None
    ) -> "Deferred[Any]":
        packet = pack(envelope)
        return self._channel.inquire(envelope.number, packet, line, call)

    def _read(self, reply: Reply, ID: int) -> Outcome:
        status, result = reply.result()
        if status is Status.RESULT:
            return status, self._loaders(result)
        if status is Status.ERROR and reply.answer.status is Status.RESULT:
            # The items are lost; the iterator goes on.
            self.close(ID)
        return status, result

    def _loaders(self, items: Items) -> list[Callable[[], Any]]:
        """
        @return: For each item, a callable to be called once, that returns it, or a
            Deferred of it.
        """
        *pickles, last = items.pickles
        loads: list[Callable[[], Any]]
        loads = [partial(loaded, load, pickled, []) for pickled in pickles]
        loads.append(partial(loaded, load, last, items.buffers))
        if len(last) > LONG:
            # No other can be, as it would have been the last.
            d = self._looper.deferToThread(_tried, loads.pop())
            loads.append(lambda: d.addCallback(lambda tried: tried()))
        return loads

    def _processEnded(self, failure: Failure, call: str) -> Failure:
        died = self._died(call)
        died.__cause__ = failure.value
        return Failure(died)

    def _died(self, call: str) -> WorkerDied:
        return self._channel.died(f", and with it the iterator of {call}")


def _tried(load: Callable[[], Any]) -> Callable[[], Any]:
    """
    @return: A callable that returns what was loaded, or raises why it could not be.
    """
    try:
        item = load()
    except UnpicklingError as error:
        failure = Failure(error)
        return failure.raiseException
    return lambda: item
