"""
Where tasks and workers meet.
"""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from asynqueue.interfaces import ICanceller, IConcurrent
from asynqueue.task import Task

__all__ = ["Assignment", "AssignmentFactory", "entrust", "release"]


def entrust(task: Any, worker: Any) -> "Deferred[None]":
    """
    Has a worker run a task. The task's time counts from now, unless the worker sees
    to that.

    @return: A Deferred that fires when the worker is ready for another.
    """
    ready: Deferred[None] = Deferred()
    _begin(task, worker, partial(ready.callback, None))
    return ready


def _begin(task: Any, worker: Any, ready: Callable[[], Any]) -> None:
    """
    Does what L{entrust} does.

    @param ready: Is called when the worker is ready for another.
    """
    if IConcurrent.providedBy(worker):
        task.holder = worker
        worker.begin(task, ready)
    else:
        task.holder = worker if ICanceller.providedBy(worker) else None
        task.startTimer()
        worker.run(task).addCallback(lambda _: ready())


def release(task: Any) -> None:
    """
    Undoes L{entrust}: a worker has given a task back.
    """
    # Workers may be given others too, which do not know of it.
    if isinstance(task, Task):
        task.release()


class Assignment:
    """
    I am a task that looks for a worker.

    @ivar d: A Deferred that fires when a worker has accepted the task.
    """

    __slots__ = ("d", "task")

    def __init__(self, task: Any) -> None:
        self.task = task
        self.d: Deferred[None] = Deferred()

    def accept(self, worker: Any) -> "Deferred[None]":
        """
        Has a worker run the task, and the task's time count.

        @return: A Deferred that fires when the worker is ready for another.
        """
        self.d.callback(None)
        return entrust(self.task, worker)


class AssignmentFactory:
    """
    I am where tasks and workers meet. Whoever comes first waits here for the
    other.

    A task goes to a worker that has nothing to do, the one that was done with another
    last: most likely it is still awake, and has what it needs in the caches. Where all
    have something to do, it goes to the one that has had room longest.

    @ivar waiting: The workers that have nothing to do, each with the series that it is
        ready for a task of. The last one is the first to get one.
    @ivar sparing: Likewise those that have something to do, and room for more, the
        first one first.
    @ivar pending: The L{Assignment}s of each series that no worker was ready
        for.
    """

    def __init__(
        self,
        whenFree: Callable[[Any, Any], Any] = lambda worker, task: None,
        whenTaken: Callable[[Any, Any], Any] = lambda worker, task: None,
    ) -> None:
        """
        @param whenFree: Is called with each worker that has finished a task, and that.
        @param whenTaken: Is called with each worker that is handed one, and that.
        """
        self._whenFree = whenFree
        self._whenTaken = whenTaken
        self.waiting: dict[Any, Sequence[Hashable]] = {}
        self.sparing: dict[Any, Sequence[Hashable]] = {}
        self.pending: dict[Hashable, deque[Assignment]] = {}

    def isWaitedFor(self, series: Hashable) -> bool:
        """
        @return: C{True} if some worker is ready for a task of a series.
        """
        return self._ready(series) is not None

    def isWaiting(self, worker: Any) -> bool:
        """
        @return: C{True} if a worker is ready for a task.
        """
        return worker in self.waiting or worker in self.sparing

    def request(self, worker: Any, series: Hashable) -> bool:
        """
        A worker has nothing to do, and is ready for a task of one more series.

        @return: C{True} if there was one and the worker has it now, so that it
            is ready no longer.
        """
        return self.wait(worker, [*self.waiting.get(worker, ()), series])

    def wait(
        self, worker: Any, allSeries: Sequence[Hashable], isFresh: bool = False
    ) -> bool:
        """
        A worker has nothing to do, and is ready for a task of any of some series.

        @param isFresh: C{True} if it has not done any yet. Then all who are ready come
            before it.
        @return: As of L{request}.
        """
        if self.pending:
            for series in allSeries:
                assignment = self._next(series)
                if assignment is not None:
                    self._handOver(worker, assignment)
                    return True
        if isFresh:
            self.waiting = {worker: (), **self.waiting}
        self.waiting[worker] = allSeries
        return False

    def spare(self, worker: Any, allSeries: Sequence[Hashable]) -> None:
        """
        A worker has something to do, and is ready for one more task of any of some
        series that may come.
        """
        self.sparing[worker] = allSeries

    def cancelRequests(self, worker: Any) -> None:
        """
        A worker is ready for nothing any more.
        """
        self.waiting.pop(worker, None)
        self.sparing.pop(worker, None)

    def abandon(self) -> list[Any]:
        """
        No worker will be ready any more.

        @return: A list of the tasks that waited for one, and have not ended.
            The caller has to end them.
        """
        pending, self.pending = self.pending, {}
        tasks = [a.task for assignments in pending.values() for a in assignments]
        return [task for task in tasks if not task.d.called]

    def new(self, task: Any) -> "Deferred[None]":
        """
        Finds a worker for a task.

        @return: A Deferred that fires when a worker has accepted the task.
        """
        assignment, worker = Assignment(task), self._ready(task.series)
        if worker is None:
            self.pending.setdefault(task.series, deque()).append(assignment)
        else:
            self._handOver(worker, assignment)
        return assignment.d

    def assign(self, task: Any) -> None:
        """
        Hands a task to a worker that is ready for it. There has to be one.
        """
        worker = self._ready(task.series)
        self._take(worker, task)
        _begin(task, worker, partial(self._whenFree, worker, task))

    def _ready(self, series: Hashable) -> Any:
        for worker in reversed(self.waiting):
            if series in self.waiting[worker]:
                return worker
        for worker in self.sparing:
            if series in self.sparing[worker]:
                return worker
        return None

    def _next(self, series: Hashable) -> Assignment | None:
        pending = self.pending.get(series)
        while pending:
            assignment = pending.popleft()
            if not assignment.task.d.called:
                return assignment
        return None

    def _handOver(self, worker: Any, assignment: Assignment) -> None:
        task = assignment.task
        self._take(worker, task)
        assignment.accept(worker).addCallback(lambda _: self._whenFree(worker, task))

    def _take(self, worker: Any, task: Any) -> None:
        self.cancelRequests(worker)
        self._whenTaken(worker, task)
