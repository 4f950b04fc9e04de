"""
Workers that are replaced when what they run on is worn out.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.interfaces import IRenewable
from asynqueue.reactors import theReactor

PAUSE = 1.0
"""
How long to wait, in seconds, before another successor is tried when one could not
come up; twice as long after each further one.
"""

LONGEST = 60.0
"""
The longest such pause, in seconds.
"""


class Fault:
    """
    I am why a worker still has no successor.

    @ivar times: How often one could not come up.
    @ivar until: When another may be tried, in the reactor's seconds.
    """

    __slots__ = ("times", "until")

    def __init__(self, times: int, until: float) -> None:
        self.times = times
        self.until = until


class Renewals:
    """
    I find successors for workers that are worn out.

    A worker is looked at between its calls. Its successor comes up, and runs the
    updates, while it goes on working, so its calls neither wait nor are fewer
    at a time. It is replaced once its successor is ready for calls. Another
    successor is not begun while one is coming up, nor before the predecessor of
    the worker is gone: there are never more than two processes in one place.

    @ivar successors: Who is coming up, by whom they are to replace.
    """

    log = Logger()

    def __init__(
        self,
        hire: "Callable[[Any, Any], Deferred[int]]",
        handOver: "Callable[[Any, Any], Deferred[Any]]",
        reactor: Any,
    ) -> None:
        """
        @param hire: Is called with a worker and its successor to be, and has that
            come up. It returns a Deferred that fires when that takes tasks, or fails
            if it never will.
        @param handOver: Is called with a worker and its successor, which takes
            tasks now, and lets the worker go. It returns a Deferred that fires
            when that is gone.
        """
        self.successors: dict[Any, Any] = {}
        self._hire = hire
        self._handOver = handOver
        self._reactor = reactor
        self._faults: dict[Any, Fault] = {}
        self._following: set[Any] = set()

    def look(self, worker: Any, calls: int) -> None:
        """
        Begins to replace a worker, if it is worn out. To be called between its
        calls.

        @param calls: How many it has finished since it last began.
        """
        if not IRenewable.providedBy(worker) or not worker.isWorn(calls):
            return
        if not self._isBusy(worker):
            Deferred.fromCoroutine(self._renew(worker))

    def drop(self, worker: Any) -> Any:
        """
        A worker is to be replaced no more.

        @return: Its successor if there is one coming up, else C{None}.
        """
        self._faults.pop(worker, None)
        self._following.discard(worker)
        return self.successors.pop(worker, None)

    def _isBusy(self, worker: Any) -> bool:
        fault = self._faults.get(worker)
        return (
            worker in self.successors
            or worker in self._following
            or (fault is not None and theReactor(self._reactor).seconds() < fault.until)
        )

    async def _renew(self, worker: Any) -> None:
        successor = None
        try:
            successor = self.successors[worker] = worker.successor()
            await self._hire(worker, successor)
        except Exception:
            if self.successors.get(worker) is successor:
                self._failed(worker, Failure())
            return
        if self.successors.get(worker) is successor:
            self.drop(worker)
            self._following.add(successor)
            await self._handOver(worker, successor)
            self._following.discard(successor)

    def _failed(self, worker: Any, why: Failure) -> None:
        self.successors.pop(worker, None)
        fault = self._faults.get(worker)
        times = 1 if fault is None else fault.times + 1
        pause = min(PAUSE * 2.0 ** min(times - 1, 60), LONGEST)
        until = theReactor(self._reactor).seconds() + pause
        self._faults[worker] = Fault(times, until)
        self.log.failure(
            "The worker {worker!r} is worn out, but its successor could not come up. "
            "It goes on; another will be tried after its first call in {pause} "
            "seconds or more",
            why,
            worker=worker,
            pause=pause,
        )
