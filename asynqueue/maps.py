"""
A call for each of many items, and an iterator over what comes of them.
"""

import weakref
from collections.abc import Callable, Hashable
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from asynqueue.about import aboutCallable
from asynqueue.checks import checkInteger
from asynqueue.deferator import Deferator
from asynqueue.flow import Flow, Source
from asynqueue.mapsignatures import MapSignatures
from asynqueue.signatures import signed

__all__ = ["Caller", "Mapper", "Results"]


class Results(Deferator[Any]):
    """
    I am a L{Deferator} of the results of a L{Flow}. When I am stopped or let go
    of, it is closed.
    """

    def __init__(self, flow: Flow, representation: str, reactor: Any) -> None:
        super().__init__(representation, flow.getNext)
        self._getItem = flow.getItem
        self._flow = flow
        # I may be collected in any thread.
        weakref.finalize(self, reactor.callFromThread, flow.close).atexit = False
        flow.begin()
        if flow.isOver():
            self._over(True)

    def stop(self) -> None:
        """
        Ends the iteration: cancels the calls that are outstanding, and closes
        what their items come from.
        """
        if self._over(False):
            self._flow.close()


class Caller(Protocol):
    """
    What a L{Mapper} has to be besides.
    """

    _reactor: Any
    hooks: Any

    def places(self) -> int:
        """
        @return: How many calls are run at a time.
        """

    def newTask(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kw: dict[str, Any],
        niceness: int = 0,
        series: Hashable = None,
        timeout: float | None = None,
    ) -> Any:
        """
        @return: As of L{TaskQueue<asynqueue.base.TaskQueue.newTask>}, with the
            same parameters.
        """

    def callWhenReady(
        self, func: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[Any]":
        """
        @return: As of L{TaskQueue<asynqueue.base.TaskQueue.callWhenReady>},
            with the same parameters.
        """


class Mapper:
    """
    I am the part of a L{TaskQueue<asynqueue.base.TaskQueue>} that makes a call for
    each of many items.
    """

    @signed(MapSignatures.map)
    def map(
        self: Caller,
        func: Callable[[Any], Any],
        items: Any,
        /,
        limit: int | None = None,
        ordered: bool = True,
        returnExceptions: bool = False,
        **how: Any,
    ) -> Deferator[Any]:
        """
        Has a callable called with each of many items, and gives what the calls
        come to as it is asked for. They begin at once::

            async for result in queue.map(f, items):
                ...

        No more than I{limit} calls are outstanding: waiting, running, or over but
        with their results not taken. The items are read no further than that, so
        whoever takes his time holds up everything. When I have a I{maxWaiting},
        the calls wait for room as in C{callWhenReady}.

        The first error ends it, in its place among the results: that of a call,
        or what the items raised, after the results before. When it has ended, was
        stopped, or nobody has the L{Deferator} any more, the calls that are still
        outstanding are cancelled, those that wait are not run, and a generator
        that the items come from is closed.

        @param items: What can be iterated over, by C{for} or C{async for}. By
            C{for} it is read in the reactor's thread, which a reading that
            blocks holds up: wrap such a source in an asynchronous generator.
        @param limit: Twice the number of my workers unless given, as they come
            and go; one with a cluster counts as often as it takes calls. Give more
            if some calls take much longer than others and the results are to be in
            order: those behind them count.
        @param ordered: C{True} for results in the order of the items, C{False}
            for each as soon as it is there.
        @param returnExceptions: C{True} to have the exception of a call that
            failed in the place of its result, and go on.
        @param how: Keywords of C{call}, but for I{consumer}.
        @return: A L{Deferator<asynqueue.deferator.Deferator>}. Whether there are
            items at all is not known at once if they are read by C{async for};
            iterate by C{async for} then.
        @raise TypeError: if I{func} is not callable, or I{items} not iterable.
        @raise ValueError: if the limit is below 1, or another keyword is out of
            range.
        @raise QueueRunError: if I was shut down.
        """
        if limit is not None:
            checkInteger("limit", limit, 1)
        if "consumer" in how:
            raise ValueError(
                "A map takes no consumer. Write its results to one with "
                "IterationProducer(queue.map(...), consumer).run()"
            )
        # Refuses now what each call would refuse.
        checked = {k: how[k] for k in ("niceness", "series", "timeout") if k in how}
        self.newTask(func, (), {}, **checked)
        call = partial(self.callWhenReady, func, **how)
        flow = Flow(
            call if self.hooks is None else _inContext(call),
            Source(items),
            lambda: limit or 2 * max(1, self.places()),
            ordered,
            returnExceptions,
        )
        return Results(flow, f"the results of {aboutCallable(func)}", self._reactor)


def _inContext(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """
    @return: What makes a call in a copy of the context of now, however late.
    """
    context = copy_context()
    # A copy each time: one call may end within another, and bring about a third.
    return lambda item: context.copy().run(call, item)
