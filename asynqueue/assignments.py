"""
Where tasks and workers meet.
"""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.defer import Deferred

from asynqueue.interfaces import ICanceller
from asynqueue.task import Task

__all__ = ["Assignment", "AssignmentFactory", "entrust", "release"]


def entrust(task: Any, worker: Any) -> "Deferred[None]":
    """
    Has a worker run a task. The task's time counts from now.

    @return: A Deferred that fires when the worker is ready for another.
    """
    task.holder = worker if ICanceller.providedBy(worker) else None
    task.startTimer()
    ready: Deferred[None] = worker.run(task)
    return ready


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
    @ivar done: A Deferred that fires when that worker is ready for another.
    """

    __slots__ = ("d", "done", "task")

    def __init__(self, task: Any) -> None:
        self.task = task
        self.d: Deferred[None] = Deferred()
        self.done: Deferred[None] = Deferred()

    def accept(self, worker: Any) -> None:
        """
        Has a worker run the task, and the task's time count.
        """
        self.d.callback(None)
        entrust(self.task, worker).chainDeferred(self.done)


class AssignmentFactory:
    """
    I am where tasks and workers meet. Whoever comes first waits here for the
    other.

    @ivar waiting: The workers that are ready for a task of each series, in the
        order in which they became so.
    @ivar pending: The L{Assignment}s of each series that no worker was ready
        for.
    """

    def __init__(self, whenFree: Callable[[Any], Any] = lambda worker: None) -> None:
        """
        @param whenFree: Is called with each worker that has finished a task.
        """
        self._whenFree = whenFree
        self.waiting: dict[Hashable, dict[Any, None]] = {}
        self.pending: dict[Hashable, deque[Assignment]] = {}

    def isWaitedFor(self, series: Hashable) -> bool:
        """
        @return: C{True} if some worker is ready for a task of a series.
        """
        return bool(self.waiting.get(series))

    def isWaiting(self, worker: Any) -> bool:
        """
        @return: C{True} if a worker is ready for a task.
        """
        return any(worker in workers for workers in self.waiting.values())

    def request(self, worker: Any, series: Hashable) -> bool:
        """
        A worker is ready for a task of a series.

        @return: C{True} if there was one and the worker has it now, so that it
            is ready no longer.
        """
        pending = self.pending.get(series)
        while pending:
            assignment = pending.popleft()
            if not assignment.task.d.called:
                self._match(assignment, worker)
                return True
        self.waiting.setdefault(series, {})[worker] = None
        return False

    def cancelRequests(self, worker: Any) -> None:
        """
        A worker is ready for nothing any more.
        """
        for workers in self.waiting.values():
            workers.pop(worker, None)

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
        assignment = Assignment(task)
        waiting = self.waiting.get(task.series)
        if waiting:
            self._match(assignment, next(iter(waiting)))
        else:
            self.pending.setdefault(task.series, deque()).append(assignment)
        return assignment.d

    def _match(self, assignment: Assignment, worker: Any) -> None:
        self.cancelRequests(worker)
        assignment.done.addCallback(lambda _: self._whenFree(worker))
        assignment.accept(worker)
