"""
Calls whose options are set apart from the keywords of what is called.
"""

import inspect
from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from typing import Any

from twisted.internet.defer import Deferred

from asynqueue.signatures import PlainSignatures, signed

__all__ = ["Calls", "CallsMaker"]


class Calls:
    """
    I make calls through a queue, all with the same options.
    """

    def __init__(self, queue: Any, **options: Any) -> None:
        """
        @param queue: The L{TaskQueue<asynqueue.base.TaskQueue>}.
        @param options: Those of its C{call}.
        """
        self._queue = queue
        self._options = options
        self._names = _namesOfOptions(type(queue).call)

    def __repr__(self) -> str:
        return f"<Calls through {self._queue!r} with {self._options!r}>"

    @signed(PlainSignatures.call)
    def call(
        self, func: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[Any]":
        """
        Has a worker call a callable with the arguments and all of the keywords.

        @return: As of L{TaskQueue.call<asynqueue.base.TaskQueue.call>}.
        @raise Exception: as that.
        """
        own = {name: kw.pop(name) for name in self._names & kw.keys()}
        if own:
            # What the queue would take for options of its own.
            func = partial(func, **own)
        d: Deferred[Any] = self._queue.call(func, *args, **self._options, **kw)
        return d


class CallsMaker:
    """
    I am the part of a L{TaskQueue<asynqueue.base.TaskQueue>} that makes L{Calls}.
    """

    def using(
        self,
        *,
        niceness: int = 0,
        series: Hashable = None,
        timeout: float | None = None,
        doNext: bool = False,
        doLast: bool = False,
        retries: int = 1,
        whenFull: str | None = None,
    ) -> Calls:
        """
        Sets options of L{call<asynqueue.base.TaskQueue.call>} apart from the
        keywords of what is called::

            await queue.using(timeout=10).call(fetch, url, timeout=2)

        The callable gets all keywords of that call, those too that are named like
        options. A type checker knows all of its parameters.

        @return: A L{Calls}, which may be kept.
        """
        return Calls(
            self,
            niceness=niceness,
            series=series,
            timeout=timeout,
            doNext=doNext,
            doLast=doLast,
            retries=retries,
            whenFull=whenFull,
        )


@lru_cache
def _namesOfOptions(call: Hashable) -> frozenset[str]:
    """
    @return: The names of the options that the C{call} of a class of queues has.
    """
    function: Any = call
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
