"""
Iterators that are open elsewhere, in a process or a thread.
"""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.deferator import Deferator, Prefetcherator
from asynqueue.errors import WorkerError
from asynqueue.messages import Iteration, Status

LINGER = 1.0
"""
How long after what an iterator lives in is to stop it is kept for somebody to ask
for its next item, in seconds.
"""

Outcome = tuple[Status, Any]
"""
What became of a request: a L{Status} and what belongs to it.
"""


class OpenIterators:
    """
    I know the iterators that are open in one place, and wrap each in a
    L{Deferator}. None is kept there longer than somebody may want its items.
    """

    log = Logger()

    def __init__(
        self,
        ask: "Callable[[int], Deferred[Outcome]]",
        end: "Callable[[int], Deferred[Outcome]]",
        reactor: Any,
    ) -> None:
        """
        @param ask: Is called with the ID of an iterator, and has its next item
            taken. It returns a Deferred that fires with what came of it:
            C{Status.RESULT} and the item, C{Status.NONE} at the end, or
            C{Status.ERROR} and an exception; or fails if the place is gone.
        @param end: Is called with the ID of an iterator, and has it closed. It
            returns the like, with C{Status.ERROR} if that raised.
        """
        self._ask = ask
        self._end = end
        self._reactor = reactor
        self._open: dict[int, str] = {}
        self._asked: set[int] = set()
        self._waitedFor: set[int] = set()
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
        self._waitedFor.add(ID)
        d: Deferred[Any] = self._ask(ID)
        return d.addCallbacks(self._answered, self._lost, (ID,), {}, (ID,))

    def close(self, ID: int) -> None:
        """
        Closes an iterator, if it is still open.
        """
        call = self._open.get(ID)
        if call is not None:
            # Asked for before it is forgotten, which may be what the end of
            # the place that it is in waits for.
            self._end(ID).addCallbacks(self.closed, lambda _: None, (call,))
            self._forget(ID)

    def closed(self, outcome: Outcome, call: str) -> None:
        """
        Reports what an iterator raised when it was closed, if it did.

        @param call: The call that returned it, as a text.
        """
        status, error = outcome
        if status is Status.ERROR:
            self.log.error(
                "The iterator of {call} raised when it was closed: {error!r}{cause}",
                call=call,
                error=error,
                cause=error.__cause__ or "",
            )

    def allEnded(self) -> "Deferred[None]":
        """
        Waits for all iterators to end, however slowly they are read.

        @return: A Deferred that fires when none is open.
        """
        if not self._open:
            return succeed(None)
        d: Deferred[None] = Deferred()
        self._waiters.append(d)
        return d

    def drained(self) -> "Deferred[None]":
        """
        Waits for all iterators to end, and closes those that nobody asks for
        items.

        @return: A Deferred that fires when none is open.
        """
        d = self.allEnded()
        if self._open and self._sweep is None:
            self._asked.clear()
            self._sweep = self._reactor.callLater(LINGER, self._closeIdle)
        return d

    def abandon(self) -> None:
        """
        Forgets all iterators, because the place that they are in is gone.
        """
        for ID in list(self._open):
            self._forget(ID)

    def _closeIdle(self) -> None:
        self._sweep = None
        inUse = self._asked | self._waitedFor
        idle = [ID for ID in self._open if ID not in inUse]
        self._asked.clear()
        for ID in idle:
            self.close(ID)
        if self._open:
            self._sweep = self._reactor.callLater(LINGER, self._closeIdle)

    def _answered(self, outcome: Outcome, ID: int) -> Any:
        status, result = outcome
        if status is Status.RESULT:
            self._waitedFor.discard(ID)
            if ID in self._open:
                self._asked.add(ID)
            return result
        self._forget(ID)
        return Failure(StopIteration() if status is Status.NONE else result)

    def _lost(self, failure: Failure, ID: int) -> Failure:
        self._forget(ID)
        return failure

    def _forget(self, ID: int) -> None:
        self._open.pop(ID, None)
        self._asked.discard(ID)
        self._waitedFor.discard(ID)
        if self._open:
            return
        if self._sweep is not None and self._sweep.active():
            self._sweep.cancel()
        self._sweep = None
        waiters, self._waiters = self._waiters, []
        for d in waiters:
            d.callback(None)
