"""
Iterators that live in a worker process.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.channel import Channel
from asynqueue.messages import Close, Next, Status, pack
from asynqueue.openings import OpenIterators, Outcome
from asynqueue.replies import Reply
from asynqueue.requests import Line


class RemoteIterators(OpenIterators):
    """
    I know the iterators that are open in one worker process, and ask it for
    their items.
    """

    def __init__(self, channel: Channel, reactor: Any) -> None:
        super().__init__(self._askFor, self._endIn, reactor)
        self._channel = channel

    def _askFor(self, ID: int) -> "Deferred[Outcome]":
        envelope = Next(self._channel.number(), ID)
        d = self._inquire(envelope, Line.ITEMS, self._open.get(ID))
        return d.addCallbacks(self._read, self._processEnded, (ID,), {}, (ID,))

    def _endIn(self, ID: int) -> "Deferred[Outcome]":
        d = self._inquire(Close(self._channel.number(), ID), Line.CLOSINGS)
        return d.addCallback(Reply.result)

    def _inquire(
        self, envelope: Next | Close, line: Line, call: str | None = None
    ) -> "Deferred[Any]":
        packet = pack(envelope)
        return self._channel.inquire(envelope.number, packet, line, call)

    def _read(self, reply: Reply, ID: int) -> Outcome:
        outcome = reply.result()
        if outcome[0] is Status.ERROR and reply.answer.status is Status.RESULT:
            # It is the item that could not be loaded; the iterator goes on.
            self.close(ID)
        return outcome

    def _processEnded(self, failure: Failure, ID: int) -> Failure:
        call = self._open.get(ID)
        return Failure(self._channel.died(f", and with it the iterator of {call}"))
