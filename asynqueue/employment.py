"""
What a worker goes through in a queue, from being hired to being let go.
"""

from enum import Enum
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.assignments import AssignmentFactory, release
from asynqueue.deferreds import branch
from asynqueue.employer import Employer, employed
from asynqueue.errors import WorkerError
from asynqueue.interfaces import IElastic, IRestartable
from asynqueue.reactors import theReactor
from asynqueue.restarts import MAX_DEATHS, PAUSE, Restarts
from asynqueue.tally import Tally
from asynqueue.task import Task
from asynqueue.updates import Updates, copied
from asynqueue.workload import Workload


class EmployeeState(Enum):
    """
    The stages of a worker's employment. Moves: PREPARING to WORKING when it is
    up and has run the updates; WORKING to PREPARING when it resigns but can
    begin anew; either to LEFT.
    """

    PREPARING = "comes up and runs the updates"
    WORKING = "takes tasks"
    LEFT = "takes no more tasks"


class Employee(Workload):
    """
    I see one worker through its employment.

    One that cannot come up the first time is given up at once: what went wrong
    would go wrong again. Later it may begin anew as often as L{Restarts} allows,
    unless it says that it will not.

    @ivar state: An L{EmployeeState}.
    @ivar hired: A Deferred that fires with the worker's ID when it first takes
        tasks, or is let go before; or fails if it never came up.
    @ivar unfinished: The tasks that it had not done when it left.
    """

    log = Logger()

    def __init__(
        self,
        worker: Any,
        employer: Employer,
        factory: AssignmentFactory,
        tally: Tally,
        reactor: Any,
        maxDeaths: int | None = MAX_DEATHS,
    ) -> None:
        super().__init__(worker, factory, tally)
        self.state = EmployeeState.PREPARING
        self.hired: Deferred[int] = Deferred()
        self.unfinished: list[Task] = []
        self._employer = employer
        self._reactor = reactor
        self._updates = Updates(worker, employer, self.qualifications)
        self._restarts = Restarts(maxDeaths, reactor)
        self._preparing: Deferred[None] = succeed(None)
        self._nextAttempt: Any = None
        self._patience: Any = None
        self._hurries = False
        self._wasUp = self._hasBegun = False
        self._lastDeath: Any = None
        self._left: Deferred[list[Task]] = Deferred()
        employed.add(worker)
        worker.setResignator(self.resigned)
        if IElastic.providedBy(worker):
            worker.setListener(self.changed)

    def begin(self) -> None:
        """
        Has the worker come up, run the updates, and then take tasks.
        """
        self.state = EmployeeState.PREPARING
        self.calls = self.inHand = 0
        self._handed.clear()
        self.tally.restarts += self._hasBegun
        self._hasBegun = True
        self._preparing = Deferred.fromCoroutine(self._comeUp())
        self._preparing.addCallbacks(lambda _: self._cameUp(), self._cameNotUp)

    def takesTasks(self) -> bool:
        """
        @return: C{True} if the worker is up and has run the updates.
        """
        return self.state is EmployeeState.WORKING

    def offer(self) -> None:
        """
        Lets the worker have a task, of any series that it is qualified for, if it
        takes one more.
        """
        if self.hasRoom() and not self.request():
            self._employer.ready()

    def changed(self) -> None:
        """
        The worker takes more or fewer tasks, or others, than before.
        """
        if self.takesTasks():
            self._factory.cancelRequests(self.worker)
            self._updates.catchUp()
        self._employer.changed(self)
        self.offer()

    def finished(self, task: Any) -> None:
        """
        The worker has done a task.
        """
        super().finished(task)
        self._restarts.finished()

    def recall(self) -> None:
        """
        Has the worker, an L{IPrefetcher<asynqueue.interfaces.IPrefetcher>}, give back
        the tasks that it has not begun.
        """
        tasks = self.worker.recall()
        for task in tasks:
            release(task)
        self.inHand -= len(tasks)
        self._dropped(tasks)
        self._employer.returned(tasks)
        self.offer()

    def update(self, origin: Task) -> "Deferred[tuple[Any, Any]]":
        """
        Has the worker run its own copy of a task, before any that it has not
        yet got.

        @return: A Deferred that fires with the status and the result.
        """
        update = copied(origin)
        if self.state is EmployeeState.LEFT:
            update.task.fail(self._failure("was let go"))
        elif self.state is EmployeeState.PREPARING:
            self._updates.postpone(update)
        else:
            self._updates.run(update)
        # Not the task's own, which the caller could cancel.
        return branch(update.task.d)

    def forget(self, origin: Task) -> None:
        """
        An update that it was to run is saved no more.
        """
        self._updates.forget(origin)

    def resigned(self) -> None:
        """
        The worker can run no more tasks as it is.
        """
        self._countDeath()
        if self.state is EmployeeState.LEFT:
            self._crash()
            return
        wasWorking = self.state is EmployeeState.WORKING
        self.state = EmployeeState.PREPARING
        self._factory.cancelRequests(self.worker)
        inCall = self.inHand > self._regain()
        if not wasWorking:
            self._preparing.cancel()
        if self._hasLeft():
            # Whoever took its tasks over has let it go, or it was given up.
            return
        if not self._mayBeginAnew():
            self._giveUp(self._whyResigned("resigned"))
        elif wasWorking and self.worker.death is None:
            # It was told to end what it ran on, and that is nobody's fault.
            self.begin()
        elif wasWorking:
            self._restarts.died(self.worker.death, inCall)
            self._beginAnew(self._restarts.pause)

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
            self.hurry(timeout)
        return self.left()

    def retire(self) -> "Deferred[list[Task]]":
        """
        Takes no more tasks, and lets the worker, an
        L{IRenewable<asynqueue.interfaces.IRenewable>}, go when all is done that
        came of those that it has, however long that takes, unless I am to
        L{hurry}.

        @return: A Deferred like that of L{leave}.
        """
        self._retire(self._failure("was replaced"))
        self.worker.settled().addBoth(lambda _: self.hurry(None))
        return self.left()

    def hurry(self, timeout: float | None) -> None:
        """
        Has the worker, which takes no more tasks, stop, unless it was to stop
        already.

        @param timeout: As of L{leave}.
        """
        if self._hurries or self._left.called:
            return
        self._hurries = True
        if timeout is not None:
            self._patience = theReactor(self._reactor).callLater(timeout, self.crash)
        self.worker.stop().addBoth(self._gone)

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
            employed.discard(self.worker)
            self._left.callback(self.unfinished)

    async def _comeUp(self) -> None:
        if IRestartable.providedBy(self.worker):
            await self.worker.start()
            self._wasUp = True
        await self._updates.runAll()

    def _regain(self) -> int:
        """
        Makes the worker crash. What it had not done is done by others, but its
        updates by itself in its next life.

        @return: How many tasks it had that it had not begun.
        """
        tasks = self._updates.regain()
        self._dropped(tasks)
        if tasks:
            self._employer.returned(tasks)
        return len(tasks)

    def _crash(self) -> None:
        """
        Makes the worker crash, for good.
        """
        tasks, updates = self._updates.takeBack()
        self._dropped(tasks)
        self.unfinished.extend(tasks)
        for update in updates:
            update.task.fail(self._failure("was let go"))

    def _countDeath(self) -> None:
        death = self.worker.death if IRestartable.providedBy(self.worker) else None
        if death is not None and death is not self._lastDeath:
            self.tally.deaths += 1
        self._lastDeath = death

    def _hasLeft(self) -> bool:
        return self.state is EmployeeState.LEFT

    def _failure(self, what: str) -> Failure:
        return Failure(WorkerError(f"The worker {self.worker!r} {what}"))

    def _cameUp(self) -> None:
        if self.state is EmployeeState.LEFT:
            return
        self.state = EmployeeState.WORKING
        self._restarts.cameUp()
        if not self.hired.called:
            self.hired.callback(self.worker.ID)
        self.offer()

    def _cameNotUp(self, why: Failure) -> None:
        if self.state is EmployeeState.LEFT:
            return
        resigned = why.check(CancelledError) is not None
        if resigned:
            why = self._whyResigned("resigned before it could take tasks")
        isNew = not self.hired.called and not (self._wasUp and resigned)
        if isNew or not self._mayBeginAnew():
            # It is not to be expected that another try does better.
            self._giveUp(why)
            return
        # It may well be up, and have failed to run an update.
        self._regain()
        if not self._hasLeft():
            error: Any = why.value
            self._restarts.died(error)
            self._beginAnew(max(self._restarts.pause, PAUSE))

    def _mayBeginAnew(self) -> bool:
        return IRestartable.providedBy(self.worker) and bool(self.worker.mayBeginAnew)

    def _whyResigned(self, what: str) -> Failure:
        if IRestartable.providedBy(self.worker) and self.worker.death is not None:
            return Failure(self.worker.death)
        return self._failure(what)

    def _beginAnew(self, pause: float) -> None:
        """
        Has the worker come up again after a pause in seconds, unless it has died
        too often.
        """
        if self._restarts.tooMany:
            self._giveUp(Failure(self._restarts.error(self.worker)))
        elif pause:
            self._nextAttempt = theReactor(self._reactor).callLater(pause, self.begin)
        else:
            self.begin()

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
        self._updates.fail(why)
