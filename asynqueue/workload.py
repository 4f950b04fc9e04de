"""
How much one worker has to do, and how much more it takes.
"""

from collections.abc import Hashable
from time import perf_counter
from typing import Any

from asynqueue.assignments import AssignmentFactory
from asynqueue.interfaces import IConcurrent, IMeasured
from asynqueue.tally import Tally
from asynqueue.task import Task


class _OneByOne:
    """
    I am what a worker that takes one task after another would tell of itself, if it
    were an L{IConcurrent}.
    """

    prefetch = 0


class Workload:
    """
    I know how many tasks one worker has, and have it wait for more where tasks and
    workers meet. What becomes of them I count.

    @ivar worker: The L{IWorker<asynqueue.interfaces.IWorker>} provider.
    @ivar inHand: How many tasks it has been handed since it last began, and has
        neither finished nor given back.
    @ivar calls: How many calls it has finished since it last began.
    @ivar tally: The L{Tally} of the worker's place.
    """

    def __init__(self, worker: Any, factory: AssignmentFactory, tally: Tally) -> None:
        self.worker = worker
        self.tally = tally
        tally.join()
        self._isMeasured = IMeasured.providedBy(worker)
        # What it has, if it does not tell that.
        self._handed: dict[Any, None] = {}
        self.inHand = 0
        self.calls = 0
        self._factory = factory
        self._taker: Any = worker if IConcurrent.providedBy(worker) else _OneByOne
        # The worker's lists may change; these are what they were at the last look.
        self._lists: Any = None
        self._qualifications: list[Hashable] = []

    def qualifications(self) -> "list[Hashable]":
        """
        @return: A list of the series that the worker takes tasks of, each once.
        """
        lists = (self.worker.iQualified, self.worker.cQualified)
        if lists != self._lists:
            self._lists = ([*lists[0]], [*lists[1]])
            self._qualifications = list(dict.fromkeys([None, *lists[0], *lists[1]]))
        return self._qualifications

    def takesTasks(self) -> bool:
        """
        Override me.

        @return: C{True} if the worker takes tasks at all.
        """
        return True

    def hasRoom(self) -> bool:
        """
        @return: C{True} if the worker takes one more task beside those that it has.
        """
        return self.inHand <= self._taker.prefetch and self.takesTasks()

    def request(self) -> bool:
        """
        The worker, which has room, waits for a task.

        @return: C{True} if one waited for it, and it has that now.
        """
        if self.inHand:
            self._spare()
            return False
        if self._taker.prefetch:
            # It had something to do, and waited for more.
            self._factory.cancelRequests(self.worker)
        return self._factory.wait(self.worker, self.qualifications(), not self.calls)

    def taken(self, task: Any) -> None:
        """
        The worker is handed a task.
        """
        self.inHand += 1
        if isinstance(task, Task):
            task.tally = self.tally
            task.handedAt = perf_counter()
            if not self._isMeasured:
                self._handed[task] = None
        if self._taker.prefetch and self.hasRoom():
            self._spare()

    def finished(self, task: Any) -> None:
        """
        The worker has done a task.
        """
        self.inHand -= 1
        self.calls += 1
        if task in self._handed:
            del self._handed[task]
            task.measured(perf_counter() - task.handedAt, 0.0)

    def handed(self) -> "list[Task]":
        """
        @return: A list of the tasks that the worker has and that are not over, in the
            order in which it was handed them. Updates are not among them.
        """
        tasks = self.worker.tasks if self._isMeasured else self._handed
        return [
            task for task in tasks if task.tally is self.tally and not task.isOver()
        ]

    def _dropped(self, tasks: "list[Any]") -> None:
        """
        The worker has given back tasks.
        """
        for task in tasks:
            self._handed.pop(task, None)

    def _spare(self) -> None:
        self._factory.spare(self.worker, self.qualifications())
