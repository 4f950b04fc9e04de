"""
Calls as a type checker sees them. They are never made.

Each C{type: ignore} is a mistake that has to be found: mypy, when it is strict,
complains of one that is not needed, and of an error that is not the one named.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from twisted.internet.defer import Deferred

from asynqueue import Deferator, ListConsumer, NullQueue, ProcessQueue, TaskQueue
from asynqueue.cluster import ClusterQueue

if TYPE_CHECKING:
    from typing_extensions import assert_type


def plain(a: int, b: str = "", *, c: float = 0.0) -> bytes:
    raise NotImplementedError


def late(timeout: float) -> bytes:
    raise NotImplementedError


def items(n: int) -> Iterator[str]:
    raise NotImplementedError


async def coroutine(n: int) -> str:
    raise NotImplementedError


def deferred(n: int) -> Deferred[str]:
    raise NotImplementedError


def untyped(a, b=1):
    raise NotImplementedError


def read(path: str) -> TextIO:
    raise NotImplementedError


async def source() -> AsyncIterator[int]:
    yield 0


class Thing:
    def __init__(self, n: int) -> None:
        raise NotImplementedError

    def method(self, n: int) -> str:
        raise NotImplementedError


async def calls(q: ProcessQueue, thing: Thing) -> None:
    assert_type(q.call(plain, 1), Deferred[bytes])
    assert_type(q.call(plain, 1, "", c=2.0), Deferred[bytes])
    assert_type(await q.call(plain, a=1, b=""), bytes)
    assert_type(await q.call(math.sqrt, 2), float)
    assert_type(await q.call(len, "text"), int)
    assert_type(await q.call(lambda: 3), int)
    assert_type(await q.call(Thing, 1), Thing)
    assert_type(await q.call(thing.method, 1), str)
    assert_type(await q.call(partial(plain, 1), c=2.0), bytes)
    assert_type(await q.call(untyped, 1), Any)
    assert_type(await q.callWhenReady(plain, 1, c=2.0), bytes)

    q.call(plain)  # type: ignore[call-arg, arg-type]
    q.call(plain, "1")  # type: ignore[arg-type]
    q.call(plain, 1, "", 2.0)  # type: ignore[call-arg, arg-type]
    q.call(plain, 1, d=2.0)  # type: ignore[call-arg, arg-type]
    q.call(plain, 1, c="")  # type: ignore[arg-type]
    q.call(math.sqrt, "2")  # type: ignore[arg-type]
    q.call(thing.method, "")  # type: ignore[arg-type]
    q.call(3)  # type: ignore[call-overload]
    q.callWhenReady(plain, "1")  # type: ignore[arg-type]


async def options(q: ProcessQueue) -> None:
    assert_type(await q.call(plain, 1, niceness=5), bytes)
    assert_type(await q.call(plain, 1, "", timeout=1.5, series="x"), bytes)
    assert_type(await q.call(math.sqrt, 2, doNext=True, retries=0), float)
    assert_type(await q.callWhenReady(plain, 1, niceness=5), bytes)

    q.call(plain, "1", niceness=5)  # type: ignore[call-arg, arg-type]
    q.call(plain, niceness=5)  # type: ignore[call-arg, arg-type]
    q.call(plain, 1, niceness="")  # type: ignore[call-arg, arg-type]
    q.call(plain, 1, nicenes=5)  # type: ignore[call-arg, arg-type]
    # Right, but no type can say so.
    q.call(plain, 1, c=2.0, niceness=5)  # type: ignore[call-arg, arg-type]

    assert_type(await q.using(niceness=5).call(plain, 1, c=2.0), bytes)
    assert_type(await q.using(timeout=9).call(late, timeout=2.0), bytes)
    assert_type(await q.using(timeout=9).call(items, 1), Deferator[str])
    q.using(nicenes=5)  # type: ignore[call-arg]
    q.using(niceness=5).call(plain, 1, d=2.0)  # type: ignore[call-arg, arg-type]
    q.using(timeout=9).call(late, timeout="")  # type: ignore[call-overload]


async def results(q: TaskQueue, consumer: ListConsumer, flag: bool) -> None:
    assert_type(await q.call(items, 1), Deferator[str])
    assert_type(await q.call(items, 1, niceness=5), Deferator[str])
    assert_type([item async for item in await q.call(items, 1)], list[str])
    async with await q.call(read, "") as lines:
        assert_type([line async for line in lines], list[str])
    assert_type(await q.call(items, 1, consumer=consumer), ListConsumer)
    assert_type(await q.call(items, 1, raw=True), Iterator[str])
    assert_type(await q.call(items, 1, raw=flag), Any)
    assert_type(await q.call(plain, 1, returnFailure=False), Any)
    assert_type(await q.call(coroutine, 1), str)
    assert_type(await q.call(coroutine, 1, timeout=1), str)
    assert_type(await q.call(deferred, 1), str)

    q.call(items, "", consumer=consumer)  # type: ignore[call-arg, arg-type]
    q.call(items, "")  # type: ignore[arg-type]
    q.call(coroutine, "")  # type: ignore[arg-type]


async def updates(q: TaskQueue, onCluster: ClusterQueue) -> None:
    assert_type(await q.update(plain, 1, c=2.0), list[bytes])
    assert_type(await q.update(plain, 1, ephemeral=True), list[bytes])
    assert_type(await q.update(coroutine, 1), list[str])
    assert_type(await onCluster.update(plain, 1), list[Any])

    q.update(plain, "1")  # type: ignore[arg-type]
    q.update(plain, 1, niceness=5)  # type: ignore[call-arg, arg-type]
    onCluster.update(plain, "1")  # type: ignore[arg-type]


async def maps(q: ProcessQueue) -> None:
    assert_type(q.map(plain, [1, 2]), Deferator[bytes])
    assert_type(q.map(plain, source(), limit=9, niceness=5), Deferator[bytes])
    assert_type(q.map(plain, q.map(len, ["a"]), ordered=False), Deferator[bytes])
    assert_type(q.map(partial(plain, c=2.0), [1]), Deferator[bytes])
    assert_type(q.map(coroutine, [1]), Deferator[str])
    assert_type(q.map(items, [1]), Deferator[Deferator[str]])
    assert_type(q.map(items, [1], raw=True), Deferator[Iterator[str]])
    assert_type([size async for size in q.map(len, ["a"])], list[int])
    async for found in q.map(plain, [1], returnExceptions=True):
        assert_type(found, bytes | Exception)

    q.map(plain, ["1"])  # type: ignore[arg-type]
    q.map(plain, 3)  # type: ignore[call-overload]
    q.map(plain, [1], limit="9")  # type: ignore[call-overload]


async def blocks() -> None:
    async with ProcessQueue(4) as q, NullQueue() as here:
        assert_type(q, ProcessQueue)
        assert_type(here, NullQueue)
