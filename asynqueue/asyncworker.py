"""
A worker that makes calls in the reactor's thread.
"""

import inspect
from collections.abc import Hashable, Iterable
from contextvars import Context
from types import CoroutineType
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, succeed

from asynqueue.carried import Carried
from asynqueue.deferator import Deferator
from asynqueue.errors import harmless
from asynqueue.local import LocalWorker
from asynqueue.messages import Status
from asynqueue.runner import CallRunner
from asynqueue.task import Task

__all__ = ["AsyncWorker"]


def _itself(value: Any) -> Any:
    return value


class _Runner(CallRunner):
    awaited = (Deferred, CoroutineType)


class AsyncWorker(LocalWorker):
    """
    I run tasks right here, in the reactor's thread, so their calls must not
    block. A call may return a Deferred or a coroutine; what that comes to is its
    result, and until then I begin no other.

    A call that is cancelled or has timed out while I wait for its Deferred or
    coroutine has that cancelled, and I go on to the next when it has fired.

    An iterator comes as a L{Deferator} of it. It needs nothing of me, and can
    be read to its end when I have been stopped.

    @cvar cQualified: The series that all of my class are qualified for,
        C{'async'} and C{'local'}.
    @ivar iQualified: A list of further series that I am qualified for.
    """

    cQualified: ClassVar[list[Hashable]] = ["async", "local"]

    def __init__(
        self,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        reactor: Any = None,
    ) -> None:
        """
        @param series: A list of the task series that this particular instance
            of me is qualified for. (It is copied.)
        @param raw: C{True} to have iterators come back as the values that they
            are, instead of as L{Deferator}s. The same keyword in a call
            overrides it.
        @param reactor: The reactor to use, the global one if C{None}.
        @raise TypeError: if I{series} is a string.
        """
        super().__init__(series, raw, reactor)
        self._runner = _Runner(raw)
        self._outcome: Deferred[tuple[Status, Any]] = succeed((Status.NONE, None))

    def begin(self, task: Task) -> "Deferred[tuple[Status, Any]]":
        """
        Makes a task's call.

        @param task: The task.
        @return: A Deferred that fires with the status and the result.
        """
        if isinstance(task.callTuple[0], Carried):
            # In a new context: whoever's code happens to run just now has nothing to
            # do with this call.
            self._outcome = Context().run(Deferred.fromCoroutine, self._run(task))
        else:
            self._outcome = Deferred.fromCoroutine(self._run(task))
        return self._outcome

    def abandon(self, task: Task) -> None:
        """
        Cancels the Deferred or the coroutine that a task's call has returned.

        @param task: The task.
        """
        self._outcome.cancel()

    def finish(self, isCrashing: bool) -> "Deferred[None]":
        """
        Cancels it too, if I crash.

        @param isCrashing: C{True} if I am not to wait for my task.
        """
        if isCrashing:
            self._outcome.cancel()
        return super().finish(isCrashing)

    async def _run(self, task: Task) -> tuple[Status, Any]:
        try:
            status, result = self._runner(task.callTuple, task.raw)
            if isinstance(result, Deferred) or inspect.iscoroutine(result):
                value = await result
                status, result = self._runner((_itself, (value,), {}), task.raw)
            if status is Status.ITERATION:
                result = Deferator(result)
        except BaseException as e:
            status, result = Status.ERROR, e
        return status, harmless(result) if status is Status.ERROR else result
