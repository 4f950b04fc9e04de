"""
What a queue's C{map} takes and gives, for type checkers.

There are the three forms of any call, see L{asynqueue.signatures}. A keyword of the
callable's has to be bound to it by C{functools.partial}.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, overload

from asynqueue.deferator import Deferator
from asynqueue.signatures import CallOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["MapSignatures"]

R = TypeVar("R")
T = TypeVar("T")
X = TypeVar("X")
Items: TypeAlias = Iterable[X] | AsyncIterable[X]


class MapSignatures(Protocol):
    """
    I have the signature of L{map<asynqueue.maps.Mapper.map>}.
    """

    @overload
    def map(
        self: Any,
        func: Callable[[X], R],
        items: Items[X],
        /,
        limit: int | None = None,
        ordered: bool = True,
        returnExceptions: Literal[False] = False,
        *,
        raw: Literal[True],
        **how: Unpack[CallOptions],
    ) -> Deferator[R]: ...

    @overload
    def map(
        self: Any,
        func: Callable[[X], Awaitable[R]],
        items: Items[X],
        /,
        limit: int | None = None,
        ordered: bool = True,
        returnExceptions: Literal[False] = False,
        *,
        raw: Literal[False] | None = None,
        **how: Unpack[CallOptions],
    ) -> Deferator[R]: ...

    @overload
    def map(
        self: Any,
        func: Callable[[X], Iterator[T]],
        items: Items[X],
        /,
        limit: int | None = None,
        ordered: bool = True,
        returnExceptions: Literal[False] = False,
        *,
        raw: Literal[False] | None = None,
        **how: Unpack[CallOptions],
    ) -> Deferator[Deferator[T]]: ...

    @overload
    def map(
        self: Any,
        func: Callable[[X], R],
        items: Items[X],
        /,
        limit: int | None = None,
        ordered: bool = True,
        returnExceptions: Literal[False] = False,
        *,
        raw: Literal[False] | None = None,
        **how: Unpack[CallOptions],
    ) -> Deferator[R]: ...

    @overload
    def map(
        self: Any,
        func: Callable[[X], Awaitable[R]],
        items: Items[X],
        /,
        *,
        limit: int | None = None,
        ordered: bool = True,
        returnExceptions: Literal[True],
        raw: Literal[False] | None = None,
        **how: Unpack[CallOptions],
    ) -> Deferator[R | Exception]: ...

    @overload
    def map(
        self: Any,
        func: Callable[[X], Iterator[T]],
        items: Items[X],
        /,
        *,
        limit: int | None = None,
        ordered: bool = True,
        returnExceptions: Literal[True],
        raw: Literal[False] | None = None,
        **how: Unpack[CallOptions],
    ) -> Deferator[Deferator[T] | Exception]: ...

    @overload
    def map(
        self: Any,
        func: Callable[[X], R],
        items: Items[X],
        /,
        *,
        limit: int | None = None,
        ordered: bool = True,
        returnExceptions: Literal[True],
        raw: Literal[False] | None = None,
        **how: Unpack[CallOptions],
    ) -> Deferator[R | Exception]: ...
