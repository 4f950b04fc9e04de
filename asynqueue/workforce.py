"""
The workers of a queue, and the tasks that they are handed.
"""

import itertools
from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from asynqueue.assignments import AssignmentFactory
from asynqueue.checks import checkWorker
from asynqueue.employer import Employer, checkFree
from asynqueue.employment import Employee
from asynqueue.messages import Status
from asynqueue.recalls import Recalls
from asynqueue.renewal import Renewals
from asynqueue.restarts import MAX_DEATHS
from asynqueue.tally import Tally
from asynqueue.task import Task

__all__ = ["TaskHandler"]

NOT_YET = 0
"""
The ID of a successor before it has taken another worker's place, and so its ID.
"""


class TaskHandler(Employer):
    """
    I have workers, and hand tasks to those that are ready for them.

    @ivar isRunning: C{True} until I am shut down.
    @ivar workers: The workers that I have, by ID.
    @ivar updateTasks: The updates that each newcomer runs first.
    @ivar assignmentFactory: Where tasks and ready workers meet.
    @ivar whenReady: Is called when a worker has become ready.
    @ivar whenReturned: Is called with a list of tasks that were handed over but
        are to be done by another worker. Unless set, they wait for one here.
    @ivar whenLost: Is called with a list of series, a worker that was the last
        one qualified for them and will never come up again, and the reason.
    @ivar whenChanged: Is called when a worker may have come to be qualified for
        other series.
    @ivar tally: The L{Tally} of calls that no worker has, and workers that are gone.
    """

    def __init__(self, reactor: Any = None, maxDeaths: int | None = MAX_DEATHS) -> None:
        """
        @param maxDeaths: As of L{Restarts<asynqueue.restarts.Restarts>}: how many
            deaths in a row a worker is given up after; C{None} for any number.
        """
        self.isRunning = True
        self.tally = Tally()
        self.workers: dict[int, Any] = {}
        self.updateTasks: list[Task] = []
        self.assignmentFactory = AssignmentFactory(self._finished, self._taken)
        self.whenReady: Callable[[], Any] = lambda: None
        self.whenReturned: Callable[[list[Task]], Any] = self._putBack
        self.whenLost: Callable[[list[Hashable], Failure], Any] = lambda *_: None
        self.whenChanged: Callable[[], Any] = lambda: None
        self._reactor = reactor
        self._maxDeaths = maxDeaths
        self._employees: dict[Any, Employee] = {}
        self._leaving: set[Employee] = set()
        self._IDs = itertools.count(1)
        self._recalls = Recalls(self.assignmentFactory, self._employees.values, reactor)
        self._renewals = Renewals(self._prepare, self._handOver, reactor)

    def __call__(self, task: Any) -> "Deferred[None]":
        """
        Has a task run by the first worker that is ready for it. Waits for one, if
        none is.

        @return: A Deferred that fires when a worker has accepted it.
        """
        return self.assignmentFactory.new(task)

    def assign(self, task: Any) -> None:
        """
        Has a task run by a worker that is ready for it. There has to be one.
        """
        self.assignmentFactory.assign(task)

    def isReadyFor(self, series: Hashable) -> bool:
        """
        @return: C{True} if a worker is ready for a task of a series.
        """
        return self.assignmentFactory.isWaitedFor(series)

    def roster(self, series: Hashable = None) -> list[Any]:
        """
        @return: A list of the workers that are qualified for a series.
        """
        return [employee.worker for employee in self._qualified(series)]

    def leaving(self) -> list[Any]:
        """
        @return: A list of the workers that are let go and are not gone yet.
        """
        return [employee.worker for employee in self._leaving]

    def employees(self) -> list[Employee]:
        """
        @return: A list of all who see a worker with an ID through, the leaving last.
        """
        return self._staying() + [e for e in self._leaving if e.worker.ID != NOT_YET]

    def hire(self, worker: Any) -> "Deferred[int]":
        """
        Takes a worker on.

        @return: A Deferred that fires with the ID that it is given, an integer
            from 1, once it takes tasks; or fails with the reason why it never
            will.
        @raise ImplementationError: if it does not provide C{IWorker}, or another
            queue has it.
        @raise InvariantError: if its qualifications are not lists.
        """
        checkWorker(worker)
        if worker in self._employees:
            return succeed(worker.ID)
        checkFree(worker)
        worker.ID = next(self._IDs)
        self.workers[worker.ID] = worker
        return self._employ(worker, Tally(self.tally))

    def qualify(self, worker: Any, series: Hashable) -> None:
        """
        Has a worker take tasks of one more series, after the saved updates of
        that series.
        """
        if series in [None, *worker.iQualified, *worker.cQualified]:
            return
        worker.iQualified = [*worker.iQualified, series]
        employee = self._employees.get(worker)
        if employee is not None:
            for update in self.savedUpdates([series]):
                employee.update(update)
            if self.assignmentFactory.isWaiting(worker):
                employee.offer()

    def terminate(
        self,
        workerOrID: Any,
        timeout: float | None = None,
        crash: bool = False,
        reassign: bool = False,
    ) -> "Deferred[list[Task]]":
        """
        Lets a worker go when it has done the tasks that it has.

        @param workerOrID: The worker, or its ID.
        @param timeout: How long to wait for that, in seconds, before it is made
            to crash; C{None} for as long as it takes.
        @param crash: C{True} to make it crash at once.
        @param reassign: C{True} to have the tasks that it did not do run by
            others.
        @return: A Deferred that fires when it is gone, with a list of the tasks
            that it did not do, which the caller has to end. It is empty if they
            are reassigned, I have no such worker, or had let it go before.
        """
        employee = self._find(workerOrID)
        if employee is None:
            return succeed([])
        if employee in self._leaving:
            if crash:
                employee.crash()
            return employee.left().addCallback(lambda _: [])
        successor = self._renewals.drop(employee.worker)
        d = self._letGo(employee, timeout, crash)
        if successor is not None:
            gone = self._letGo(self._employees[successor], None, crash=True)
            d.addCallback(lambda tasks: gone.addCallback(lambda _: tasks))
        return d.addCallback(self._reassign) if reassign else d

    def shutdown(self, timeout: float | None = None) -> "Deferred[list[Task]]":
        """
        Lets all workers go when they have done what they have.

        @param timeout: How long to wait for that, in seconds, before they are
            made to crash; C{None} for as long as it takes.
        @return: A Deferred that fires when they are gone, with a list of the
            tasks that they did not do, or that waited for one. The caller has
            to end them.
        """
        self.isRunning = False
        self._recalls.stop()
        return Deferred.fromCoroutine(self._shutdown(timeout))

    async def _shutdown(self, timeout: float | None) -> list[Task]:
        leaving = [employee.left() for employee in self._leaving]
        for employee in list(self._leaving):
            employee.hurry(timeout)
        unfinished = self.assignmentFactory.abandon()
        for d in [self.terminate(ID, timeout) for ID in list(self.workers)]:
            unfinished.extend(await d)
        for d in leaving:
            # Whoever terminated them sees to the tasks that they did not do.
            await d
        return unfinished

    def crash(self) -> None:
        """
        Ends at once the workers that were to be let go when they have done what
        they have.
        """
        for employee in list(self._leaving):
            employee.crash()

    def update(
        self, task: Task, ephemeral: bool = False, sequential: bool = False
    ) -> "Deferred[list[tuple[Any, Any]]]":
        """
        Has a task run by each worker that is qualified for its series, before
        any task that it has not yet got, and by each that comes later.

        @param ephemeral: C{True} if those that come later need not.
        @param sequential: C{True} to have one worker run it after the other.
        @return: A Deferred that fires, when all have run it, with a list of
            their statuses and results in the order of the workers.
        """
        employees = self._qualified(task.series)
        if not ephemeral:
            self.updateTasks.append(task)
        for successor in self._renewals.successors.values():
            # It is no worker yet, so nobody waits for it.
            newcomer = self._employees[successor]
            if task.series in newcomer.qualifications():
                newcomer.update(task)
        return Deferred.fromCoroutine(self._update(employees, task, sequential))

    async def _update(
        self, employees: list[Employee], task: Task, sequential: bool
    ) -> list[tuple[Any, Any]]:
        results = []
        if sequential:
            for employee in employees:
                results.append(await employee.update(task))
        else:
            for d in [employee.update(task) for employee in employees]:
                results.append(await d)
        failed = [Status(status).failed for status, _ in results]
        if failed and all(failed) and task in self.updateTasks:
            # Those that come later would fail on it too.
            self.updateTasks.remove(task)
            for employee in employees:
                employee.forget(task)
        return results

    def savedUpdates(self, series: list[Hashable]) -> list[Task]:
        """
        @return: The updates that a newcomer with these qualifications runs.
        """
        return [update for update in self.updateTasks if update.series in series]

    def ready(self) -> None:
        """
        A worker has become ready for a task.
        """
        self.whenReady()
        self._recalls.look()

    def changed(self, employee: Employee) -> None:
        """
        A worker may have come to be qualified for other series than before.
        """
        self.whenChanged()

    def returned(self, tasks: list[Task]) -> None:
        """
        A worker gives back tasks that it had but did not begin.
        """
        self.whenReturned(tasks)

    def lost(self, employee: Employee, why: Failure) -> None:
        """
        A worker will never take tasks again.
        """
        worker = employee.worker
        successor = self._renewals.drop(worker)
        self._dismiss(employee)
        if successor is not None:
            self._seat(successor, worker.ID)
        employee.left().addCallback(self._hasLeft, employee).addCallback(self._reassign)
        self.whenLost(
            [s for s in employee.qualifications() if not self._qualified(s)], why
        )

    def _qualified(self, series: Hashable) -> list[Employee]:
        return [e for e in self._staying() if series in e.qualifications()]

    def _staying(self) -> list[Employee]:
        return [self._employees[worker] for worker in self.workers.values()]

    def _find(self, workerOrID: Any) -> Employee | None:
        for employee in [*self._employees.values(), *self._leaving]:
            if workerOrID in (employee.worker, employee.worker.ID):
                return employee
        return None

    def _employ(self, worker: Any, tally: Tally) -> "Deferred[int]":
        employee = Employee(
            worker, self, self.assignmentFactory, tally, self._reactor, self._maxDeaths
        )
        self._employees[worker] = employee
        employee.begin()
        return employee.hired

    def _prepare(self, worker: Any, successor: Any) -> "Deferred[int]":
        checkWorker(successor)
        successor.ID = NOT_YET
        return self._employ(successor, self._employees[worker].tally)

    def _handOver(self, worker: Any, successor: Any) -> "Deferred[Any]":
        """
        A successor takes the place of a worker, and its ID.
        """
        employee = self._employees.pop(worker)
        self._leaving.add(employee)
        self._seat(successor, worker.ID)
        for series in worker.iQualified:
            # There may be more of them than when it was made.
            self.qualify(successor, series)
        d = employee.retire().addCallback(self._hasLeft, employee)
        return d.addCallback(self._reassign)

    def _seat(self, successor: Any, ID: int) -> None:
        successor.ID = ID
        self.workers[ID] = successor
        self._employees[successor].tally.restarts += 1

    def _letGo(
        self, employee: Employee, timeout: float | None, crash: bool
    ) -> "Deferred[list[Task]]":
        self._dismiss(employee)
        return employee.leave(timeout, crash).addCallback(self._hasLeft, employee)

    def _dismiss(self, employee: Employee) -> None:
        self.workers.pop(employee.worker.ID, None)
        self._employees.pop(employee.worker, None)
        self._leaving.add(employee)

    def _taken(self, worker: Any, task: Any) -> None:
        employee = self._employees.get(worker)
        if employee is not None:
            employee.taken(task)

    def _finished(self, worker: Any, task: Any) -> None:
        employee = self._employees.get(worker)
        if employee is not None:
            employee.finished(task)
            self._renewals.look(worker, employee.calls)
            employee.offer()

    def _hasLeft(self, tasks: list[Task], employee: Employee) -> list[Task]:
        if employee in self._leaving:
            self._leaving.remove(employee)
            employee.tally.leave()
        return tasks

    def _reassign(self, tasks: list[Task]) -> list[Task]:
        self.whenReturned(tasks)
        return []

    def _putBack(self, tasks: list[Task]) -> None:
        for task in tasks:
            if not task.isOver():
                self.assignmentFactory.new(task)
