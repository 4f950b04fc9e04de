"""
Iterators that live in a worker process.
"""

import weakref
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.channel import Channel
from asynqueue.deferator import Deferator, Prefetcherator
from asynqueue.errors import WorkerDied, WorkerError
from asynqueue.messages import Close, Iteration, Next, Status, pack
from asynqueue.replies import Reply

LINGER = 1.0
"""
How long after its worker is to stop an iterator is kept for somebody to ask for
its next item, in seconds.
"""


class RemoteIterators:
    """
    I know the iterators that are open in one worker process, and ask it for
    their items.
    """

    log = Logger()

    def __init__(self, channel: Channel, reactor: Any) -> None:
        self._channel = channel
        self._reactor = reactor
        self._open: dict[int, str] = {}
        self._asked: set[int] = set()
        self._sweep: Any = None
        self._waiters: list[Deferred[None]] = []

    def deferator(self, iteration: Iteration, call: str) -> Deferator:
        """
        Wraps an iterator that a call returned.

        @param call: The call, as a text.
        """
        ID = iteration.ID
        prefetcherator = Prefetcherator(call)
        if ID is None:
            return Deferator(prefetcherator)
        self._open[ID] = call
        close = partial(self.close, ID)
        prefetcherator.resume(iteration.first, partial(self.do_next, ID), close)
        deferator = Deferator(prefetcherator)
        # It may be collected in any thread.
        weakref.finalize(deferator, self._reactor.callFromThread, close).atexit = False
        return deferator

    def do_next(self, ID: int) -> "Deferred[Any]":
        """
        Asks for an iterator's next item.

        @return: A Deferred that fires with the item, or fails with
            C{StopIteration} at the end, with what the iterator raised, or with
            a L{WorkerError<asynqueue.errors.WorkerError>} if it is not open any
            more.
        """
        if ID not in self._open:
            return fail(
                WorkerError(
                    f"The iterator {ID} is not open any more: it has ended or "
                    "been closed, or its worker was stopped and nobody had "
                    f"asked for an item for {LINGER} seconds"
                )
            )
        self._asked.add(ID)
        number = self._channel.number()
        request = self._channel.request(number, pack(Next(number, ID)), urgent=True)
        d: Deferred[Any] = request.replied.addCallbacks(
            self._answered, self._lost, (ID,), {}, (ID,)
        )
        return d

    def close(self, ID: int) -> None:
        """
        Closes an iterator, if it is still open.
        """
        call = self._forget(ID)
        if call is not None:
            number = self._channel.number()
            request = self._channel.request(
                number, pack(Close(number, ID)), urgent=True
            )
            request.replied.addCallbacks(self._closed, lambda _: None, (call,))

    def drained(self) -> "Deferred[None]":
        """
        Waits for all iterators to end, and closes those that nobody asks for
        items.

        @return: A Deferred that fires when none is open.
        """
        if not self._open:
            return succeed(None)
        d: Deferred[None] = Deferred()
        self._waiters.append(d)
        if self._sweep is None:
            self._asked.clear()
            self._sweep = self._reactor.callLater(LINGER, self._closeIdle)
        return d

    def abandon(self) -> None:
        """
        Forgets all iterators, because the process is gone.
        """
        for ID in list(self._open):
            self._forget(ID)

    def _closeIdle(self) -> None:
        self._sweep = None
        idle = [ID for ID in self._open if ID not in self._asked]
        self._asked.clear()
        for ID in idle:
            self.close(ID)
        if self._open:
            self._sweep = self._reactor.callLater(LINGER, self._closeIdle)

    def _answered(self, reply: Reply, ID: int) -> Any:
        status, result = reply.result()
        if status is Status.RESULT:
            self._asked.add(ID)
            return result
        if reply.answer.status is Status.RESULT:
            # It is the item that could not be loaded; the iterator goes on.
            self.close(ID)
        self._forget(ID)
        return Failure(StopIteration() if status is Status.NONE else result)

    def _lost(self, failure: Failure, ID: int) -> Failure:
        call = self._forget(ID)
        child = self._channel.child
        text = f"{self._channel.aboutDeath()}, and with it the iterator of {call}"
        return Failure(WorkerDied(text, child.pid, child.exitcode))

    def _forget(self, ID: int) -> Any:
        call = self._open.pop(ID, None)
        self._asked.discard(ID)
        if not self._open:
            if self._sweep is not None and self._sweep.active():
                self._sweep.cancel()
            self._sweep = None
            waiters, self._waiters = self._waiters, []
            for d in waiters:
                d.callback(None)
        return call

    def _closed(self, reply: Reply, call: str) -> None:
        status, result = reply.result()
        if status is Status.ERROR:
            self.log.error(
                "The iterator of {call} raised when it was closed: {error!r}{cause}",
                call=call,
                error=result,
                cause=result.__cause__,
            )
