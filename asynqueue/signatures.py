"""
What the calls of a queue take and give, for type checkers.

They all take a callable, its arguments, and keywords: their own options beside those
of the callable. No type can say that. So there are two forms, each of them exact:

  - no options: the callable's parameters, whatever they are (C{ParamSpec})
  - options: the callable's positional parameters (C{TypeVarTuple})

Whoever needs options and keywords of the callable's in one call makes it by
L{using<asynqueue.base.TaskQueue.using>}. There is no form that takes anything, because
a call with a wrong argument would be one of that form.

In either form there are three, which differ in what comes of the result: what can be
awaited comes as what it gives, an iterator comes as a L{Deferator}, and all else as
it is.
"""

from __future__ import annotations

from collections.abc import (
    Awaitable,
    Callable,
    Hashable,
    Iterator,
)
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    overload,
)

from asynqueue.deferator import Deferator

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from typing_extensions import TypeVarTuple, Unpack

    Ts = TypeVarTuple("Ts")

__all__ = [
    "CallOptions",
    "ClusterSignatures",
    "PlainSignatures",
    "Signatures",
    "UpdateOptions",
    "signed",
]

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class CallOptions(TypedDict, total=False):
    """
    The options of a call that do not change what it gives.
    """

    niceness: int
    series: Hashable
    timeout: float | None
    doNext: bool
    doLast: bool
    retries: int
    whenFull: str | None


class UpdateOptions(TypedDict, total=False):
    """
    The options of an update.
    """

    ephemeral: bool
    sequential: bool
    series: Hashable
    timeout: float | None


class PlainSignatures(Protocol):
    """
    I have the signature of a call without options.
    """

    @overload
    def call(
        self: Any, func: Callable[P, Awaitable[R]], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[R]: ...

    @overload
    def call(
        self: Any, func: Callable[P, Iterator[T]], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[Deferator[T]]: ...

    @overload
    def call(
        self: Any, func: Callable[P, R], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[R]: ...


class Signatures(Protocol):
    """
    I have the signatures of a L{TaskQueue<asynqueue.base.TaskQueue>}'s methods.
    """

    @overload
    def call(
        self: Any, func: Callable[P, Awaitable[R]], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[R]: ...

    @overload
    def call(
        self: Any, func: Callable[P, Iterator[T]], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[Deferator[T]]: ...

    @overload
    def call(
        self: Any, func: Callable[P, R], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[R]: ...

    @overload
    def call(
        self: Any,
        func: Callable[[Unpack[Ts]], object],
        /,
        *args: Unpack[Ts],
        consumer: C,
        **how: Unpack[CallOptions],
    ) -> Deferred[C]: ...

    @overload
    def call(
        self: Any,
        func: Callable[[Unpack[Ts]], R],
        /,
        *args: Unpack[Ts],
        raw: Literal[True],
        **how: Unpack[CallOptions],
    ) -> Deferred[R]: ...

    @overload
    def call(
        self: Any,
        func: Callable[[Unpack[Ts]], object],
        /,
        *args: Unpack[Ts],
        returnFailure: bool | None,
        raw: bool | None = None,
        consumer: Any = None,
        **how: Unpack[CallOptions],
    ) -> Deferred[Any]: ...

    @overload
    def call(
        self: Any,
        func: Callable[[Unpack[Ts]], Awaitable[R]],
        /,
        *args: Unpack[Ts],
        raw: Literal[False] | None = None,
        **how: Unpack[CallOptions],
    ) -> Deferred[R]: ...

    @overload
    def call(
        self: Any,
        func: Callable[[Unpack[Ts]], Iterator[T]],
        /,
        *args: Unpack[Ts],
        raw: Literal[False] | None = None,
        **how: Unpack[CallOptions],
    ) -> Deferred[Deferator[T]]: ...

    @overload
    def call(
        self: Any,
        func: Callable[[Unpack[Ts]], R],
        /,
        *args: Unpack[Ts],
        raw: Literal[False] | None = None,
        **how: Unpack[CallOptions],
    ) -> Deferred[R]: ...

    @overload
    def call(
        self: Any,
        func: Callable[[Unpack[Ts]], object],
        /,
        *args: Unpack[Ts],
        raw: bool | None,
        consumer: Any = None,
        **how: Unpack[CallOptions],
    ) -> Deferred[Any]: ...

    @overload
    def update(
        self: Any, func: Callable[P, Awaitable[R]], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[list[R]]: ...

    @overload
    def update(
        self: Any, func: Callable[P, Iterator[T]], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[list[Deferator[T]]]: ...

    @overload
    def update(
        self: Any, func: Callable[P, R], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[list[R]]: ...

    @overload
    def update(
        self: Any,
        func: Callable[[Unpack[Ts]], R],
        /,
        *args: Unpack[Ts],
        raw: Literal[True],
        **how: Unpack[UpdateOptions],
    ) -> Deferred[list[R]]: ...

    @overload
    def update(
        self: Any,
        func: Callable[[Unpack[Ts]], object],
        /,
        *args: Unpack[Ts],
        returnFailure: bool | None,
        raw: bool | None = None,
        **how: Unpack[UpdateOptions],
    ) -> Deferred[list[Any]]: ...

    @overload
    def update(
        self: Any,
        func: Callable[[Unpack[Ts]], Awaitable[R]],
        /,
        *args: Unpack[Ts],
        raw: Literal[False] | None = None,
        **how: Unpack[UpdateOptions],
    ) -> Deferred[list[R]]: ...

    @overload
    def update(
        self: Any,
        func: Callable[[Unpack[Ts]], Iterator[T]],
        /,
        *args: Unpack[Ts],
        raw: Literal[False] | None = None,
        **how: Unpack[UpdateOptions],
    ) -> Deferred[list[Deferator[T]]]: ...

    @overload
    def update(
        self: Any,
        func: Callable[[Unpack[Ts]], R],
        /,
        *args: Unpack[Ts],
        raw: Literal[False] | None = None,
        **how: Unpack[UpdateOptions],
    ) -> Deferred[list[R]]: ...

    @overload
    def update(
        self: Any,
        func: Callable[[Unpack[Ts]], object],
        /,
        *args: Unpack[Ts],
        raw: bool | None,
        **how: Unpack[UpdateOptions],
    ) -> Deferred[list[Any]]: ...


class ClusterSignatures(Protocol):
    """
    I have the signatures in which a L{ClusterQueue<asynqueue.cluster.ClusterQueue>}
    differs.
    """

    @overload
    def update(
        self: Any, func: Callable[P, object], /, *args: P.args, **kw: P.kwargs
    ) -> Deferred[list[Any]]: ...

    @overload
    def update(
        self: Any,
        func: Callable[[Unpack[Ts]], object],
        /,
        *args: Unpack[Ts],
        raw: bool | None = None,
        returnFailure: bool | None = None,
        **how: Unpack[UpdateOptions],
    ) -> Deferred[list[Any]]: ...


def signed(signature: F) -> Callable[[Callable[..., Any]], F]:
    """
    Has a type checker take a function to have the signature of another. It stays as
    it is.
    """

    def keep(function: Any) -> Any:
        return function

    return keep
