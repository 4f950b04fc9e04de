"""
Iterators whose items take their time.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import CoroutineType, TracebackType
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from asynqueue.awaiting import dual
from asynqueue.errors import NotReadyError

__all__ = ["Deferator", "Prefetcherator"]

T = TypeVar("T")

_END = (None, False)
_LATER = (Deferred, CoroutineType, Failure)


class Prefetcherator:
    """
    I take items from an iterator, or from a callable that returns them or
    Deferreds of them, and can be one item ahead, so as to tell with each
    whether there is another.

    The end is a C{StopIteration}, raised or in a Deferred's failure; from a
    callable an C{IndexError} too, which is what C{list.pop} has for it. Any other
    exception is handed on in the place of the item, once, and is the end as well.

    @ivar ID: Whatever identifies what I iterate over.
    """

    def __init__(self, ID: object = None) -> None:
        self.ID = ID
        self._next: Callable[[], Any] = iter(()).__next__
        self._close: Callable[[], Any] = lambda: None
        self._ends: tuple[type[Exception], ...] = (StopIteration,)
        # What has been fetched and not yet taken: an item with True, the end,
        # an error, or nothing.
        self._ahead: tuple[Any, bool] | Failure | None = _END
        self._isFetching = False
        self._waiters: list[Deferred[None]] = []

    def __repr__(self) -> str:
        return f"<Prefetcherator of {self.ID!r}>"

    @property
    def lastFetch(self) -> tuple[Any, bool]:
        """
        The item that I am ahead and C{True}, or C{(None, False)}.
        """
        return self._ahead if isinstance(self._ahead, tuple) else _END

    def isBusy(self) -> bool:
        """
        @return: C{True} if there may be more to get.
        """
        return self._ahead is not _END

    def setup(self, source: Any, *args: Any, **kw: Any) -> "Deferred[bool]":
        """
        Begins with an iterator, or with a callable and the arguments to call it
        with for each item, and fetches the first item.

        @return: A Deferred that fires with C{False} if there is no item, or
            I{source} is neither.
        """
        if inspect.isgeneratorfunction(source):
            source = source(*args, **kw)
        if Deferator.isIterator(source):
            self._next = source.__next__
            self._ends = (StopIteration,)
            self._close = getattr(source, "close", self._close)
        elif callable(source):
            self._next = partial(source, *args, **kw)
            self._ends = (StopIteration, IndexError)
        else:
            return succeed(False)
        self._ahead = None
        return self._deferred(self.isBusy)

    def resume(
        self,
        first: "list[Any]",
        nextItem: Callable[[], Any],
        close: Callable[[], Any],
    ) -> None:
        """
        Begins in the middle: with the item that is there already.

        @param first: A list with it, or an empty one if the end is reached.
        @param nextItem: Is called for each further item.
        @param close: Is called when no more items are wanted.
        """
        self._next = nextItem
        self._close = close
        self._ahead = (first[0], True) if first else _END

    def getNext(self) -> "Deferred[tuple[Any, bool, bool]]":
        """
        Takes an item, and fetches the one after it.

        @return: A Deferred that fires with a tuple: the item, C{False} if there
            was none, and C{True} if there is more to get (an item or an error);
            or fails with the error that is there in the item's place.
        """
        return self._deferred(self._takeNext)

    def getItem(self) -> "Deferred[tuple[Any, bool]]":
        """
        Takes an item without waiting for the one after it.

        @return: A Deferred that fires with the item and C{False} if there was
            none; or fails with the error that is there in the item's place.
        """
        return self._deferred(self._take)

    def stop(self) -> None:
        """
        Gets no more, and closes what I got it from.
        """
        if self.isBusy():
            try:
                self._close()
            finally:
                self._arrived(_END)

    def _fetchAhead(self) -> bool:
        """
        Fetches what comes next, unless it is there or on its way.

        @return: C{True} if there is something to take.
        """
        if self._ahead is None and not self._isFetching:
            self._isFetching = True
            try:
                item = self._next()
            except BaseException:
                self._failed(Failure())
            else:
                # One that is there needs no Deferred.
                if isinstance(item, _LATER):
                    d = maybeDeferred(lambda: item)
                    d.addCallbacks(self._fetched, self._failed)
                else:
                    self._fetched(item)
        return self._ahead is not None

    def _deferred(self, take: Callable[[], Any]) -> "Deferred[Any]":
        """
        @return: A Deferred of what I{take} returns, which is called when there is
            something to take. If it is cancelled before, what is being fetched will
            still be there for the next.
        """
        if self._fetchAhead():
            taken = take()
            return taken if isinstance(taken, Deferred) else succeed(taken)
        d: Deferred[None] = Deferred()
        self._waiters.append(d)
        # Unless somebody else takes it before.
        return d.addCallback(lambda _: self._deferred(take))

    def _fetched(self, item: Any) -> None:
        self._isFetching = False
        if self._ahead is None:
            self._arrived((item, True))

    def _failed(self, failure: Failure) -> None:
        self._isFetching = False
        if self._ahead is None:
            self._arrived(_END if failure.check(*self._ends) else failure)

    def _arrived(self, ahead: tuple[Any, bool] | Failure) -> None:
        self._ahead = ahead
        waiters, self._waiters = self._waiters, []
        for d in waiters:
            d.callback(None)

    def _take(self) -> Any:
        ahead = self._ahead
        if ahead is not _END:
            self._ahead = _END if isinstance(ahead, Failure) else None
        return ahead

    def _takeNext(self) -> Any:
        taken = self._take()
        if isinstance(taken, Failure):
            return taken
        value, isValid = taken
        if not isValid:
            return value, False, False
        return self._deferred(lambda: (value, True, self.isBusy()))


class Deferator(Generic[T]):
    """
    I iterate over the items of an iterator that is elsewhere or slow. Each item
    comes in a Deferred::

        for d in deferator:
            item = yield d      # in a function with inlineCallbacks

        async for item in deferator:
            ...                 # in a coroutine

    The second way gives each item as soon as it is there, the first when it is
    known whether another follows. If the iterator raises, the error comes
    after the items before it. One item has to be there before the next can be
    asked for.

    Whoever does not want all items calls L{stop}, or lets go of me: what I
    iterate over is closed then. An C{async with} block does it, however it is left.

    @ivar d: A Deferred that fires when the iteration is over: with C{True} if
        it came to its end, C{False} if it was stopped or failed. Attributes
        that I do not have are looked up there.
    @ivar moreLeft: C{False} if there are no more items.
    @ivar representation: What I iterate over, as a text.
    """

    builtIns = (str, list, tuple, bytearray, memoryview, dict, set, frozenset)

    @classmethod
    def isIterator(cls, obj: object) -> bool:
        """
        @param obj: Any object.
        @return: C{True} for an iterator or a generator function, C{False} for
            anything else, such as a list or a Deferred.
        """
        if isinstance(obj, (Deferred, *cls.builtIns)):
            return False
        return isinstance(obj, Iterator) or inspect.isgeneratorfunction(obj)

    def __init__(self, objOrRep: Any, *args: Any, **kw: Any) -> None:
        """
        @param objOrRep: An iterator, a L{Prefetcherator}, or, if there are
            further arguments, a representation of what I iterate over.
        @param args: A callable, and what to call it with for each item. It
            returns a Deferred like that of L{Prefetcherator.getNext}. Without
            one, and with nothing to iterate over, I am empty.
        @param kw: The keywords to call it with.
        """
        self.d: Deferred[bool] = Deferred()
        self.moreLeft = True
        self.representation = (
            objOrRep.strip("<>") if isinstance(objOrRep, str) else repr(objOrRep)
        )
        self._isPending = False
        self._getNext: Callable[[], Deferred[Any]]
        self._getItem: Callable[[], Deferred[Any]]
        self._prefetcherator = Prefetcherator()
        if args:
            f, *rest = args
            call = partial(f, *rest, **kw)
            self._getNext = self._getItem = lambda: maybeDeferred(call)
            return
        if isinstance(objOrRep, Prefetcherator):
            self._prefetcherator = objOrRep
        else:
            self._prefetcherator.setup(objOrRep if self.isIterator(objOrRep) else None)
        self._getNext = self._prefetcherator.getNext
        self._getItem = self._prefetcherator.getItem
        if not self._prefetcherator.isBusy():
            self._over(True)

    def __repr__(self) -> str:
        return f"<Deferator wrapping of <{self.representation}>>"

    def __getattr__(self, name: str) -> Any:
        if name == "d" or name.startswith("__"):
            raise AttributeError(f"A Deferator has no {name}")
        return getattr(self.d, name)

    def __iter__(self) -> "Deferator[T]":
        return self

    def __next__(self) -> "Deferred[T]":
        """
        @return: A Deferred that fires with the next item. It too has a I{stop}.
        @raise StopIteration: if there are no more.
        @raise NotReadyError: if the item before is not there yet.
        """
        self._checkReady()
        if not self.moreLeft:
            self._over(True)
            raise StopIteration
        self._isPending = True
        d = self._getNext().addCallbacks(self._got, self._failed)
        d.stop = self.stop  # type: ignore[attr-defined]
        return d

    def __aiter__(self) -> "Deferator[T]":
        return self

    async def __anext__(self) -> T:
        """
        @return: The next item.
        @raise StopAsyncIteration: if there are no more.
        @raise NotReadyError: if the item before is not there yet.
        """
        self._checkReady()
        if self.moreLeft:
            self._isPending = True
            d = self._getItem().addCallbacks(self._gotItem, self._failed)
            value, isValid = await dual(d)
            if isValid:
                return value  # type: ignore[no-any-return]
        self._over(True)
        raise StopAsyncIteration

    def stop(self) -> None:
        """
        Ends the iteration, and closes what I iterate over.
        """
        if self._over(False):
            self._prefetcherator.stop()

    async def aclose(self) -> None:
        """
        Does what L{stop} does, for C{contextlib.aclosing}.
        """
        self.stop()

    async def __aenter__(self) -> "Deferator[T]":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _checkReady(self) -> None:
        if self._isPending:
            raise NotReadyError(
                f"The next item of {self.representation} was asked for before the "
                "Deferred of the one before it had fired"
            )

    def _got(self, result: tuple[Any, bool, bool]) -> Any:
        self._isPending = False
        value, _, moreLeft = result
        self.moreLeft = self.moreLeft and moreLeft
        return value

    def _gotItem(self, result: tuple[Any, ...]) -> tuple[Any, bool]:
        self._isPending = False
        value, isValid, *moreLeft = result
        self.moreLeft = self.moreLeft and all(moreLeft)
        return value, isValid

    def _failed(self, failure: Failure) -> Failure:
        self._isPending = False
        self.stop()
        return failure

    def _over(self, completely: bool) -> bool:
        if self.d.called:
            return False
        self.moreLeft = False
        self.d.callback(completely)
        return True
