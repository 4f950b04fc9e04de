"""
Iterators that are open elsewhere, in a process or a thread.
"""

import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.deferator import Deferator, Prefetcherator
from asynqueue.errors import UnpicklingError, WorkerError
from asynqueue.messages import Iteration, Status

LINGER = 1.0
"""
How long after what an iterator lives in is to stop it is kept for somebody to ask
for its next item, in seconds.
"""

SLICE = 0.005
"""
For how long a reader may take one item after another, all here already, before the
reactor has a turn, in seconds.
"""

MANY = 8
"""
How many items an answer has at least if the next is asked for while they are read.
"""

Outcome = tuple[Status, Any]
"""
What became of a request: a L{Status} and what belongs to it.
"""

Ask = Callable[[int, int], "Deferred[Outcome]"]
"""
Has items of an iterator taken. It is called with the iterator's ID and how many are
wanted at most, and returns a Deferred that fires with what came of it:
C{Status.RESULT} and a list of callables that return the items, or Deferreds of those
that take long to be loaded, at least one;
C{Status.NONE} at the end; or C{Status.ERROR} and an exception. It fails if the place is
gone.
"""


class Opening:
    """
    I am one of these iterators, and its items that are here.

    I ask for as many as have been taken, when there is none for somebody who waits.
    While they come many at a time, I ask when half of them are taken, so that the
    iterator need not wait for its reader, nor he for it.

    @ivar ID: The integer by which the iterator is known where it is.
    @ivar call: The call that returned it, as a text.
    @ivar isOpen: C{True} as long as there may be more to ask for.
    @ivar isInUse: C{True} if somebody took an item since this was set to C{False}.
    @ivar after: Makes the error that comes after the items that are here, when I am
        not open any more.
    """

    def __init__(self, ID: int, call: str, place: "OpenIterators") -> None:
        """
        @param place: Knows the place that the iterator is in.
        """
        self.ID = ID
        self.call = call
        self.isOpen = True
        self.isInUse = False
        self.after: Callable[[], Exception] = partial(_notOpen, ID)
        self._place = place
        self._reactor = place.reactor
        self._here: deque[Callable[[], Any]] = deque()
        self._waiters: deque[Deferred[Any]] = deque()
        self._isAsked = False
        self._loading = 0
        self._taken = 1
        self._few = 0
        self._turn = 0.0

    @property
    def isWaitedFor(self) -> bool:
        """
        C{True} if somebody waits for an item.
        """
        return bool(self._waiters or self._loading)

    def next(self) -> Any:
        """
        Takes the next item.

        @return: It, or a Deferred like that of L{OpenIterators.do_next}.
        """
        self.isInUse = True
        isHere = bool(self._here)
        if (
            isHere
            and not self._waiters
            and self._reactor.seconds() < self._turn + SLICE
        ):
            return self._take()
        d: Deferred[Any] = Deferred()
        d.addCallback(lambda _: self._take())
        self._waiters.append(d)
        if isHere:
            self._reactor.callFromThread(self._goOn)
        else:
            self._serve()
        return d

    def drop(self) -> None:
        """
        Has the iterator closed, and lets go of what is here of it.
        """
        self._here.clear()
        self._place.close(self.ID)

    def _goOn(self) -> None:
        """
        Gives what is here to those who wait, now that the reactor has had its turn.
        """
        self._turn = self._reactor.seconds()
        self._serve()

    def _serve(self) -> None:
        while self._waiters and (self._here or not self.isOpen):
            self.isInUse = True
            d = self._waiters.popleft()
            if d.called:
                # He waits no more.
                continue
            if self._here:
                d.callback(None)
            else:
                d.errback(self.after())
        if self._waiters and not self._isAsked:
            self._askForMore()

    def _take(self) -> Any:
        self._taken += 1
        load = self._here.popleft()
        if len(self._here) < self._few and self.isOpen and not self._isAsked:
            self._askForMore()
        try:
            item = load()
        except UnpicklingError:
            self.drop()
            raise
        if isinstance(item, Deferred):
            self._loading += 1
            item.addBoth(self._loaded)
        return item

    def _loaded(self, result: Any) -> Any:
        self._loading -= 1
        self.isInUse = True
        if isinstance(result, Failure):
            self.drop()
        return result

    def _askForMore(self) -> None:
        self._isAsked = True
        asked = self._place.ask(self.ID, self._taken)
        asked.addCallbacks(self._answered, self._lost)

    def _answered(self, outcome: Outcome) -> None:
        self._isAsked = False
        status, result = outcome
        if status is not Status.RESULT:
            self._isOver(StopIteration() if status is Status.NONE else result)
        elif self.isOpen:
            self._here.extend(result)
            self._few = len(result) // 2 if len(result) >= MANY else 0
        self._goOn()

    def _lost(self, failure: Failure) -> None:
        self._isAsked = False
        self._isOver(failure.value)
        self._goOn()

    def _isOver(self, error: Any) -> None:
        self.after = lambda: error
        self._place.forget(self)


class OpenIterators:
    """
    I know the iterators that are open in one place, and wrap each in a
    L{Deferator}. None is kept there longer than somebody may want its items.

    @ivar ask: Has items taken, see L{Ask}.
    @ivar reactor: The reactor.
    """

    log = Logger()

    def __init__(
        self,
        ask: Ask,
        end: "Callable[[int], Deferred[Outcome]]",
        reactor: Any,
    ) -> None:
        """
        @param end: Is called with the ID of an iterator, and has it closed. It
            returns a Deferred of C{Status.NONE} and C{None}, or of C{Status.ERROR}
            and the exception that this raised.
        """
        self.ask = ask
        self._end = end
        self.reactor = reactor
        self._open: dict[int, Opening] = {}
        self._sweep: Any = None
        self._waiters: list[Deferred[None]] = []

    def deferator(self, iteration: Iteration, call: str) -> Deferator[Any]:
        """
        Wraps an iterator that a call returned.

        @param call: The call, as a text.
        """
        prefetcherator = Prefetcherator(call)
        if iteration.ID is None:
            return Deferator(prefetcherator)
        opening = self._open[iteration.ID] = Opening(iteration.ID, call, self)
        prefetcherator.resume(iteration.first, opening.next, opening.drop)
        deferator: Deferator[Any] = Deferator(prefetcherator)
        # It may be collected in any thread.
        drop = partial(self.reactor.callFromThread, opening.drop)
        weakref.finalize(deferator, drop).atexit = False
        return deferator

    def do_next(self, ID: int) -> "Deferred[Any]":
        """
        Takes an iterator's next item.

        @return: A Deferred that fires with the item, or fails with
            C{StopIteration} at the end, with what the iterator raised, or with
            a L{WorkerError<asynqueue.errors.WorkerError>} if it is not open any
            more.
        """
        opening = self._open.get(ID)
        return fail(_notOpen(ID)) if opening is None else maybeDeferred(opening.next)

    def close(self, ID: int) -> None:
        """
        Closes an iterator, if it is still open. What is here of it can be taken.
        """
        opening = self._open.get(ID)
        if opening is not None:
            # Asked for before it is forgotten, which may be what the end of
            # the place that it is in waits for.
            ended = self._end(ID)
            ended.addCallbacks(self.closed, lambda _: None, (opening.call,))
            self.forget(opening)

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
        Waits for all iterators to end, and closes those that nobody takes items
        of.

        @return: A Deferred that fires when none is open.
        """
        d = self.allEnded()
        if self._open and self._sweep is None:
            self._beginSweep()
        return d

    def forget(self, opening: Opening) -> None:
        """
        Is told that an iterator has come to its end, or is lost.
        """
        opening.isOpen = False
        self._open.pop(opening.ID, None)
        if self._open:
            return
        if self._sweep is not None and self._sweep.active():
            self._sweep.cancel()
        self._sweep = None
        waiters, self._waiters = self._waiters, []
        for d in waiters:
            d.callback(None)

    def abandon(self) -> None:
        """
        Forgets all iterators, because the place that they are in is gone. What is
        here of them can be taken.
        """
        for opening in list(self._open.values()):
            self.forget(opening)

    def _beginSweep(self) -> None:
        for opening in self._open.values():
            opening.isInUse = False
        self._sweep = self.reactor.callLater(LINGER, self._closeIdle)

    def _closeIdle(self) -> None:
        self._sweep = None
        for opening in list(self._open.values()):
            if not opening.isInUse and not opening.isWaitedFor:
                self.close(opening.ID)
        if self._open:
            self._beginSweep()


def _notOpen(ID: int) -> WorkerError:
    return WorkerError(
        f"The iterator {ID} is not open any more: it has ended or been closed, or "
        f"its worker was stopped and nobody had asked for an item for {LINGER} seconds"
    )
