"""
Which updates a worker has run, and which it has to run before its tasks.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.assignments import entrust, release
from asynqueue.deferreds import branch
from asynqueue.employer import Employer
from asynqueue.errors import asFailure
from asynqueue.interfaces import ICanceller, IUpdatable
from asynqueue.messages import Status
from asynqueue.task import Task


class Update(NamedTuple):
    """
    One worker's copy of an update, and the update that it is a copy of.
    """

    task: Task
    origin: Task


def copied(origin: Task) -> Update:
    """
    @return: A worker's copy of an update.
    """
    return Update(origin.copy(), origin)


class Updates:
    """
    I have one worker run updates, and know which of them it has been given.
    """

    def __init__(
        self,
        worker: Any,
        employer: Employer,
        qualifications: "Callable[[], list[Hashable]]",
    ) -> None:
        """
        @param employer: Knows which updates are saved.
        @param qualifications: Is called for the series that the worker is qualified
            for at the time.
        """
        self._worker = worker
        self._employer = employer
        self._qualifications = qualifications
        self._postponed: list[Update] = []
        self._running: dict[Task, Task] = {}
        self._given: set[Task] = set()

    def postpone(self, update: Update) -> None:
        """
        Keeps an update until the worker is up.
        """
        self._postponed.append(update)

    def run(self, update: Update) -> "Deferred[tuple[Any, Any]]":
        """
        Has the worker run an update.

        @return: A Deferred that fires, beside the task's own, with the status
            and the result.
        """
        task, origin = update
        isLasting = origin in self._employer.savedUpdates([origin.series])
        if isLasting:
            self._given.add(origin)
        self._running[task] = origin
        ran = branch(task.d)
        if IUpdatable.providedBy(self._worker):
            task.holder = self._worker if ICanceller.providedBy(self._worker) else None
            self._worker.update(task, isLasting)
        else:
            entrust(task, self._worker)
        return ran.addCallback(self._ran, task)

    async def runAll(self) -> None:
        """
        Has the worker, which has begun or begun anew, run all that are saved, and
        then those that were postponed, one by one.

        @raise Exception: if one that was saved has failed: what it failed with.
        """
        self._given.clear()
        while True:
            origin = next(self._missing(), None)
            if origin is not None:
                status, result = await self.run(copied(origin))
                if Status(status).failed:
                    asFailure(result).raiseException()
            elif self._postponed:
                await self.run(self._postponed.pop(0))
            else:
                return

    def catchUp(self) -> None:
        """
        Has the worker, which is up, run the saved updates of series that it has come
        to be qualified for.
        """
        while (origin := next(self._missing(), None)) is not None:
            self.run(copied(origin))

    def takeBack(self) -> tuple[list[Task], list[Update]]:
        """
        Makes the worker crash.

        @return: The tasks and the updates that it had not done.
        """
        tasks, updates = [], []
        for task in self._worker.crash() or []:
            release(task)
            origin = self._running.pop(task, None)
            if origin is None:
                tasks.append(task)
            else:
                updates.append(Update(task, origin))
        return tasks, updates

    def regain(self) -> list[Task]:
        """
        Makes the worker crash. The updates that it had not done it does in its next
        life.

        @return: The tasks that it had not done.
        """
        tasks, updates = self.takeBack()
        self._postponed[:0] = updates
        return tasks

    def forget(self, origin: Task) -> None:
        """
        An update is saved no more.
        """
        self._given.discard(origin)

    def fail(self, why: Failure) -> None:
        """
        Fails those that were postponed: the worker will never be up.
        """
        postponed, self._postponed = self._postponed, []
        for update in postponed:
            update.task.fail(why)

    def _missing(self) -> "Iterator[Task]":
        """
        @return: The saved updates that the worker should have been given, and was not.
        """
        postponed = [update.origin for update in self._postponed]
        for origin in self._employer.savedUpdates(self._qualifications()):
            if origin not in self._given and origin not in postponed:
                yield origin

    def _ran(self, result: tuple[Any, Any], task: Task) -> tuple[Any, Any]:
        self._running.pop(task, None)
        return result
