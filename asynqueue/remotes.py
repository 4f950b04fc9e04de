"""
Iterators that live in a worker process.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.channel import Channel, Request
from asynqueue.errors import WorkerDied
from asynqueue.messages import Close, Next, Status, pack
from asynqueue.openings import OpenIterators, Outcome
from asynqueue.replies import Reply


class RemoteIterators(OpenIterators):
    """
    I know the iterators that are open in one worker process, and ask it for
    their items.
    """

    def __init__(self, channel: Channel, reactor: Any) -> None:
        super().__init__(self._askFor, self._endIn, reactor)
        self._channel = channel

    def _askFor(self, ID: int) -> "Deferred[Outcome]":
        d: Deferred[Any] = self._request(Next(self._channel.number(), ID)).replied
        return d.addCallbacks(self._read, self._processEnded, (ID,), {}, (ID,))

    def _endIn(self, ID: int) -> "Deferred[Outcome]":
        d: Deferred[Any] = self._request(Close(self._channel.number(), ID)).replied
        return d.addCallback(Reply.result)

    def _request(self, envelope: Next | Close) -> Request:
        return self._channel.request(envelope.number, pack(envelope), urgent=True)

    def _read(self, reply: Reply, ID: int) -> Outcome:
        outcome = reply.result()
        if outcome[0] is Status.ERROR and reply.answer.status is Status.RESULT:
            # It is the item that could not be loaded; the iterator goes on.
            self.close(ID)
        return outcome

    def _processEnded(self, failure: Failure, ID: int) -> Failure:
        child, call = self._channel.child, self._open.get(ID)
        text = f"{self._channel.aboutDeath()}, and with it the iterator of {call}"
        return Failure(WorkerDied(text, child.pid, child.exitcode))
