"""
Items that become calls, a bounded number of them at a time.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.about import aboutObject
from asynqueue.deferator import Deferator

__all__ = ["Flow", "Source"]

_END = object()


class Source:
    """
    I am where items come from: anything that can be iterated over, by C{for} or by
    C{async for}.
    """

    log = Logger()

    def __init__(self, items: Any) -> None:
        """
        @raise TypeError: if it cannot be iterated over.
        """
        try:
            if isinstance(items, AsyncIterable):
                self._iterator: Any = aiter(items)
                self._next: Callable[[], Any] = self._nextAsync
            else:
                self._iterator = iter(items)
                self._next = lambda: next(self._iterator, _END)
        except TypeError as error:
            raise TypeError(
                "The items have to be iterable, by for or by async for, which "
                f"{aboutObject(items)} is not"
            ) from error

    def read(self) -> "Deferred[Any]":
        """
        @return: A Deferred that fires with the next item, or with C{_END}; or
            fails with what the iterator raised.
        """
        return maybeDeferred(self._next)

    def close(self) -> None:
        """
        Closes what I read from, if it is a generator or a L{Deferator}. Other
        things, such as files, are their owners' to close.
        """
        if isinstance(self._iterator, Generator):
            close: Callable[[], Any] = self._iterator.close
        elif isinstance(self._iterator, AsyncGenerator):
            close = self._closeAsync
        elif isinstance(self._iterator, Deferator):
            close = self._iterator.stop
        else:
            return
        maybeDeferred(close).addErrback(
            lambda failure: self.log.failure(
                "The items of a map could not be closed: {items!r}",
                failure,
                items=self._iterator,
            )
        )

    async def _nextAsync(self) -> Any:
        # Not by anext with a default, which Python 3.11 cannot wait with for a
        # coroutine.
        try:
            return await anext(self._iterator)
        except StopAsyncIteration:
            return _END

    async def _closeAsync(self) -> None:
        await self._iterator.aclose()


class Flow:
    """
    I call a callable with each item, and keep what the calls come to until it is
    asked for.

    A call is outstanding from when its item is read until its result is taken. No
    item is read while as many calls are outstanding as may be, nor after one
    failed whose error is to end it all.
    """

    def __init__(
        self,
        call: "Callable[[Any], Deferred[Any]]",
        source: Source,
        limit: Callable[[], int],
        ordered: bool = True,
        returnExceptions: bool = False,
    ) -> None:
        """
        @param call: Makes a call for an item.
        @param limit: Tells how many calls may be outstanding.
        @param ordered: C{True} if the results come in the order of the items,
            C{False} if they come as they are there.
        @param returnExceptions: C{True} if the exception of a call that failed
            takes the place of its result.
        """
        self._call = call
        self._source = source
        self._limit = limit
        self._ordered = ordered
        self._returnExceptions = returnExceptions
        self._calls: dict[int, Deferred[Any]] = {}
        self._results: dict[int, Any] = {}
        self._read = self._taken = 0
        self._reading: Deferred[Any] | None = None
        self._isFlowing = self._isReading = False
        # No more items are read; then comes the error, if there is one.
        self._isEnded = self._isClosed = False
        self._error: Failure | None = None
        self._wait: tuple[Callable[[], bool], Deferred[None]] | None = None

    def begin(self) -> None:
        """
        Reads items and makes calls, as many as there may be.

        What that brings about, perhaps before this returns, is done by the same
        loop, so nothing nests however quickly calls end.
        """
        if self._isFlowing:
            return
        self._isFlowing = True
        while self._mayRead():
            self._isReading = True
            self._reading = self._source.read()
            self._reading.addCallbacks(self._arrived, self._inputFailed)
        self._isFlowing = False

    def isOver(self) -> bool:
        """
        @return: C{True} if there is nothing to take any more.
        """
        return self._isClosed or (
            self._isEnded and not self._outstanding() and self._error is None
        )

    def getItem(self) -> "Deferred[tuple[Any, bool]]":
        """
        @return: A Deferred that fires with the next result and C{True}, or with
            C{None} and C{False} if there is none; or fails with the error that is
            there in its place.
        """
        return self._until(self._canTake).addCallback(lambda _: self._take())

    def getNext(self) -> "Deferred[tuple[Any, bool, bool]]":
        """
        @return: A Deferred like that of L{getItem}, but its result has a third
            part, C{True} if there is more to get, and waits until that is known.
        """
        return self.getItem().addCallback(self._lookAhead)

    def close(self) -> None:
        """
        Cancels the calls that are outstanding, those that wait before those that
        run, and closes the source.
        """
        if self._isClosed:
            return
        self._isClosed = True
        for index in sorted(self._calls, reverse=True):
            # The end of one may have brought about that of another.
            if index in self._calls:
                self._calls[index].cancel()
        self._results.clear()
        if not self._isReading:
            self._source.close()
        elif self._reading is not None:
            # What follows closes it, when the reading is over.
            self._reading.cancel()
        self._changed()

    def _outstanding(self) -> int:
        return len(self._calls) + len(self._results)

    def _mayRead(self) -> bool:
        isDone = self._isClosed or self._isEnded or self._isReading
        return not isDone and self._outstanding() < self._limit()

    def _arrived(self, item: Any) -> None:
        self._isReading = False
        if self._isClosed:
            self._source.close()
        elif item is _END or self._isEnded:
            self._isEnded = True
        else:
            self._makeCall(item)
        self._changed()
        self.begin()

    def _inputFailed(self, failure: Failure) -> None:
        self._isReading = False
        if self._isClosed:
            # By an item's reading that was cancelled, or too late to matter.
            self._source.close()
        else:
            self._isEnded, self._error = True, _tellable(failure)
            self._changed()

    def _makeCall(self, item: Any) -> None:
        index = self._read
        self._read += 1
        try:
            d = self._call(item)
        except Exception:
            # Not its result: it could not even be made, nor could others.
            self._isEnded, self._error = True, Failure()
            return
        self._calls[index] = d
        d.addCallbacks(self._done, self._failed, (index,), {}, (index,), {})

    def _done(self, result: Any, index: int) -> None:
        del self._calls[index]
        if not self._isClosed:
            self._results[index] = result
            self._changed()

    def _failed(self, failure: Failure, index: int) -> None:
        if self._returnExceptions:
            self._done(failure.value, index)
        else:
            self._isEnded = True
            self._done(_tellable(failure), index)

    def _next(self) -> int | None:
        """
        @return: Which result is to be taken next, C{None} if it is not there.
        """
        if self._ordered:
            return self._taken if self._taken in self._results else None
        return next(iter(self._results), None)

    def _canTake(self) -> bool:
        isEnded = self._isEnded and not self._outstanding()
        return self._isClosed or isEnded or self._next() is not None

    def _take(self) -> Any:
        if self._isClosed:
            return None, False
        index = self._next()
        if index is None:
            error, self._error = self._error, None
            return error or (None, False)
        result = self._results.pop(index)
        self._taken += 1
        if isinstance(result, Failure):
            return result
        self.begin()
        return result, True

    def _lookAhead(self, item: tuple[Any, bool]) -> Any:
        value, isValid = item
        d = self._until(self._isKnown)
        return d.addCallback(lambda _: (value, isValid, not self.isOver()))

    def _isKnown(self) -> bool:
        return self._isClosed or self._isEnded or self._outstanding() > 0

    def _until(self, condition: Callable[[], bool]) -> "Deferred[None]":
        """
        @return: A Deferred that fires when a condition holds. There is one at a
            time.
        """
        if condition():
            return succeed(None)
        d: Deferred[None] = Deferred(self._unwait)
        self._wait = condition, d
        return d

    def _unwait(self, _: "Deferred[None]") -> None:
        self._wait = None

    def _changed(self) -> None:
        if self._wait is not None:
            condition, d = self._wait
            if condition():
                self._wait = None
                d.callback(None)


def _tellable(failure: Failure) -> Failure:
    """
    @return: A failure as it can be told: of what would be taken for the end of
        the iteration, another that has it as its cause.
    """
    if not failure.check(StopIteration, StopAsyncIteration):
        return failure
    error = RuntimeError(f"A call, or what the items come from, raised {failure.type}")
    error.__cause__ = failure.value
    return Failure(error)
