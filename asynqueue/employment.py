"""
What a worker goes through in a queue, from being hired to being let go.
"""

from collections.abc import Hashable
from enum import Enum
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.assignments import AssignmentFactory, entrust, release
from asynqueue.deferreds import branch
from asynqueue.errors import WorkerError, asFailure
from asynqueue.interfaces import IRestartable
from asynqueue.messages import Status
from asynqueue.reactors import theReactor
from asynqueue.task import Task

ATTEMPTS = 4
"""
How often in a row a worker that has been up before may fail to come up again
before it is given up. One that never was is given up the first time: what went
wrong would go wrong again.
"""

PAUSE = 0.1
"""
How long to wait, in seconds, before its second attempt; twice as long before
each further one.
"""


class EmployeeState(Enum):
    """
    The stages of a worker's employment. Moves: PREPARING to WORKING when it is
    up and has run the updates; WORKING to PREPARING when it resigns but can
    begin anew; either to LEFT.
    """

    PREPARING = "comes up and runs the updates"
    WORKING = "takes tasks"
    LEFT = "takes no more tasks"


class Update(NamedTuple):
    """
    One worker's copy of an update, and the update that it is a copy of.
    """

    task: Task
    origin: Task


class Employer:
    """
    What an L{Employee} needs of whoever hired it. Override me.
    """

    def savedUpdates(self, series: "list[Hashable]") -> "list[Task]":
        """
        @return: The updates that a newcomer with these qualifications runs.
        """
        return []

    def ready(self) -> None:
        """
        An employee has become ready for a task.
        """

    def returned(self, tasks: "list[Task]") -> None:
        """
        An employee gives back tasks that it had but did not begin.
        """

    def lost(self, employee: "Employee", why: Failure) -> None:
        """
        An employee will never take tasks again.
        """


class Employee:
    """
    I see one worker through its employment.

    @ivar worker: The L{IWorker<asynqueue.interfaces.IWorker>} provider.
    @ivar state: An L{EmployeeState}.
    @ivar hired: A Deferred that fires with the worker's ID when it first takes
        tasks, or is let go before; or fails if it never came up.
    @ivar unfinished: The tasks that it had not done when it left.
    """

    log = Logger()

    def __init__(
        self, worker: Any, employer: Employer, factory: AssignmentFactory, reactor: Any
    ) -> None:
        self.worker = worker
        self.state = EmployeeState.PREPARING
        self.hired: Deferred[int] = Deferred()
        self.unfinished: list[Task] = []
        self._employer = employer
        self._factory = factory
        self._reactor = reactor
        self._backlog: list[Update] = []
        self._updating: dict[Task, Task] = {}
        self._attempts = 0
        self._preparing: Deferred[None] = succeed(None)
        self._nextAttempt: Any = None
        self._patience: Any = None
        self._left: Deferred[list[Task]] = Deferred()
        worker.setResignator(self.resigned)

    def qualifications(self) -> "list[Hashable]":
        """
        @return: A list of the series that the worker takes tasks of, each once.
        """
        worker = self.worker
        return list(dict.fromkeys([None, *worker.iQualified, *worker.cQualified]))

    def begin(self) -> None:
        """
        Has the worker come up, run the updates, and then take tasks.
        """
        self.state = EmployeeState.PREPARING
        self._preparing = Deferred.fromCoroutine(self._comeUp())
        self._preparing.addCallbacks(lambda _: self._cameUp(), self._cameNotUp)

    def offer(self) -> None:
        """
        Lets the worker have a task, of any series that it is qualified for.
        """
        if self.state is EmployeeState.WORKING:
            for series in self.qualifications():
                if self._factory.request(self.worker, series):
                    return
            self._employer.ready()

    def finished(self) -> None:
        """
        The worker has done a task and is ready for another.
        """
        self._attempts = 0
        self.offer()

    def update(self, origin: Task) -> "Deferred[tuple[Any, Any]]":
        """
        Has the worker run its own copy of a task, before any that it has not
        yet got.

        @return: A Deferred that fires with the status and the result.
        """
        update = Update(origin.copy(), origin)
        if self.state is EmployeeState.LEFT:
            update.task.fail(self._failure("was let go"))
        elif self.state is EmployeeState.PREPARING:
            self._backlog.append(update)
        else:
            self._run(update)
        # Not the task's own, which the caller could cancel.
        return branch(update.task.d)

    def resigned(self) -> None:
        """
        The worker can run no more tasks as it is.
        """
        if self.state is EmployeeState.LEFT:
            self._crash()
            return
        wasWorking = self.state is EmployeeState.WORKING
        self.state = EmployeeState.PREPARING
        self._factory.cancelRequests(self.worker)
        self._regain()
        if not wasWorking:
            self._preparing.cancel()
        elif self._hasLeft():
            # Whoever took its tasks over has let it go.
            return
        elif self._attempts >= ATTEMPTS:
            self._giveUp(
                self._failure(
                    f"was given up: {ATTEMPTS} times in a row it resigned before it "
                    "had begun what it was given"
                )
            )
        elif IRestartable.providedBy(self.worker):
            self.begin()
        else:
            self._giveUp(self._failure("resigned"))

    def leave(self, timeout: float | None, crash: bool) -> "Deferred[list[Task]]":
        """
        Takes no more tasks, and lets the worker go when it has done those that
        it has.

        @param timeout: How long to wait for that, in seconds, before it is made
            to crash; C{None} for as long as it takes.
        @param crash: C{True} to make it crash at once.
        @return: A Deferred that fires when it is gone, with a list of the tasks
            that it did not do.
        """
        self._retire(self._failure("was let go"))
        if not self.hired.called:
            self.hired.callback(self.worker.ID)
        if crash:
            self.crash()
        else:
            if timeout is not None:
                self._patience = theReactor(self._reactor).callLater(
                    timeout, self.crash
                )
            self.worker.stop().addBoth(self._gone)
        return self.left()

    def left(self) -> "Deferred[list[Task]]":
        """
        @return: Another Deferred like that of L{leave}.
        """
        return branch(self._left)

    def crash(self) -> None:
        """
        Lets the worker go at once.
        """
        self._crash()
        # What can begin anew runs on something that takes a while to go.
        lingers = IRestartable.providedBy(self.worker)
        (self.worker.stop() if lingers else succeed(None)).addBoth(self._gone)

    def _gone(self, result: Any) -> None:
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        if isinstance(result, Failure):
            self.log.failure(
                "The worker {worker!r} could not be stopped",
                result,
                worker=self.worker,
            )
        if not self._left.called:
            self._left.callback(self.unfinished)

    async def _comeUp(self) -> None:
        if IRestartable.providedBy(self.worker):
            await self.worker.start()
        toRun = [update.origin for update in self._backlog]
        for origin in self._employer.savedUpdates(self.qualifications()):
            if origin not in toRun:
                status, result = await self._run(Update(origin.copy(), origin))
                if Status(status).failed:
                    asFailure(result).raiseException()
        while self._backlog:
            await self._run(self._backlog.pop(0))

    def _run(self, update: Update) -> "Deferred[tuple[Any, Any]]":
        """
        @return: A Deferred that fires, beside the task's own, with the status
            and the result.
        """
        self._updating[update.task] = update.origin
        ran = branch(update.task.d)
        entrust(update.task, self.worker)
        return ran.addCallback(self._updated, update)

    def _updated(self, result: tuple[Any, Any], update: Update) -> tuple[Any, Any]:
        self._updating.pop(update.task, None)
        return result

    def _takeBack(self) -> tuple[list[Task], list[Update]]:
        """
        Makes the worker crash.

        @return: The tasks and the updates that it had not done.
        """
        tasks, updates = [], []
        for task in self.worker.crash() or []:
            release(task)
            origin = self._updating.pop(task, None)
            if origin is None:
                tasks.append(task)
            else:
                updates.append(Update(task, origin))
        return tasks, updates

    def _regain(self) -> None:
        """
        Makes the worker crash. What it had not done is done by others, but its
        updates by itself in its next life.
        """
        tasks, updates = self._takeBack()
        self._backlog[:0] = updates
        if tasks:
            self._attempts += 1
            self._employer.returned(tasks)

    def _crash(self) -> None:
        """
        Makes the worker crash, for good.
        """
        tasks, updates = self._takeBack()
        self.unfinished.extend(tasks)
        for update in updates:
            update.task.fail(self._failure("was let go"))

    def _hasLeft(self) -> bool:
        return self.state is EmployeeState.LEFT

    def _failure(self, what: str) -> Failure:
        return Failure(WorkerError(f"The worker {self.worker!r} {what}"))

    def _cameUp(self) -> None:
        if self.state is EmployeeState.LEFT:
            return
        self.state = EmployeeState.WORKING
        if not self.hired.called:
            self.hired.callback(self.worker.ID)
        self.offer()

    def _cameNotUp(self, why: Failure) -> None:
        if self.state is EmployeeState.LEFT:
            return
        if why.check(CancelledError):
            why = self._failure("resigned before it could take tasks")
        self._attempts += 1
        if self.hired.called and self._attempts < ATTEMPTS:
            self._nextAttempt = theReactor(self._reactor).callLater(
                PAUSE * 2 ** (self._attempts - 1), self.begin
            )
            # It may well be up, and have failed to run an update.
            self._regain()
        else:
            self._giveUp(why)

    def _giveUp(self, why: Failure) -> None:
        self._retire(why)
        self.crash()
        if not self.hired.called:
            self.hired.errback(why)
        self._employer.lost(self, why)

    def _retire(self, why: Failure) -> None:
        self.state = EmployeeState.LEFT
        self._factory.cancelRequests(self.worker)
        self._preparing.cancel()
        if self._nextAttempt is not None and self._nextAttempt.active():
            self._nextAttempt.cancel()
        backlog, self._backlog = self._backlog, []
        for update in backlog:
            update.task.fail(why)
