"""
Where tasks wait and workers are.
"""

from collections.abc import Hashable
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.about import aboutCall
from asynqueue.awaiting import dual
from asynqueue.blocks import leave, whenTaken
from asynqueue.checks import checkInteger
from asynqueue.errors import QueueRunError, WorkerError
from asynqueue.lifetime import Lifetime
from asynqueue.queues import Queue
from asynqueue.reactors import theReactor
from asynqueue.restarts import MAX_DEATHS
from asynqueue.snapshots import snapshot
from asynqueue.statistics import Statistics
from asynqueue.task import Task
from asynqueue.workforce import TaskHandler

W = TypeVar("W", bound="Workplace")


class Workplace:
    """
    I bring tasks to workers, the most urgent first, and see to it that each task
    ends. Where they come from, and what becomes of their results, is for my
    subclass L{TaskQueue<asynqueue.base.TaskQueue>} to say.

    I shut down by myself before the reactor does. I can be used for the length of
    a block, see L{__aexit__}::

        async with queue:
            ...

    @ivar timeout: How long L{shutdown} and L{detachWorker} wait for tasks that
        run, in seconds; C{None} for as long as they take.
    @ivar th: My L{TaskHandler}.
    @ivar q: My L{Queue}.
    """

    def __init__(
        self,
        timeout: float | None,
        grace: float,
        reactor: Any,
        maxDeaths: int | None = MAX_DEATHS,
    ) -> None:
        """
        @param grace: How long my shutdown may take when the reactor stops, in
            seconds, before my workers are ended.
        @param maxDeaths: As of L{TaskHandler}.
        @raise ValueError: if I{maxDeaths} is below 1.
        """
        if maxDeaths is not None:
            checkInteger("maxDeaths", maxDeaths, 1)
        self.timeout = timeout
        self._reactor = theReactor(reactor)
        self.th = TaskHandler(self._reactor, maxDeaths)
        self.q = Queue(self.th)
        self.th.whenReady = self.q.dispatch
        self.th.whenReturned = self._returned
        self.th.whenLost = self._lost
        self.th.whenChanged = self._acceptAgain
        self._lifetime = Lifetime(self._end, self.th.crash, grace, self._reactor)

    def __len__(self) -> int:
        """
        @return: How many workers I have.
        """
        return len(self.th.workers)

    def places(self) -> int:
        """
        @return: How many tasks my workers make at a time, as far as it matters to
            those who make calls: one each, unless my subclass knows better.
        """
        return len(self)

    def __bool__(self) -> bool:
        """
        @return: C{True} if I am running and have a worker.
        """
        return self.isRunning() and len(self) > 0

    def isRunning(self) -> bool:
        """
        @return: C{True} until I am shut down.
        """
        return self._lifetime.isRunning()

    def attachWorker(self, worker: Any) -> "Deferred[int]":
        """
        Gives me a worker.

        @return: A Deferred that fires with its ID, an integer, once it takes
            tasks; or fails with the reason why it never will.
        @raise ImplementationError: if it does not provide C{IWorker}, or another
            queue has it.
        @raise InvariantError: if its qualifications are not lists.
        @raise QueueRunError: if I was shut down.
        """
        if not self.isRunning():
            raise QueueRunError("A worker was attached to a queue that was shut down")
        d = dual(self.th.hire(worker))
        self._acceptAgain()
        return d

    def detachWorker(
        self,
        workerOrID: Any,
        reassign: bool = False,
        crash: bool = False,
    ) -> "Deferred[list[Task]]":
        """
        Takes a worker away when it has done the tasks that it has. It gets my
        I{timeout} for that, if I have one.

        @param workerOrID: The worker, or its ID.
        @param reassign: C{True} to have other workers run the tasks that it did
            not do. Else they fail with a
            L{WorkerError<asynqueue.errors.WorkerError>}.
        @param crash: C{True} to end it at once.
        @return: A Deferred that fires when it is gone, with a list of the tasks
            that it did not do. The list is empty if they are reassigned, I have
            no such worker, or it was being taken away already; I{crash} makes
            short work of that.
        """
        d = self.th.terminate(workerOrID, self.timeout, crash, reassign)
        # Nobody may be left to take what waits, for which a block would wait.
        self.q.dispatch()
        return dual(d if reassign else d.addCallback(self._endUnfinished))

    def qualifyWorker(self, worker: Any, series: Hashable) -> None:
        """
        Qualifies one of my workers for one more series.
        """
        self.th.qualify(worker, series)
        self.q.refused.pop(series, None)

    def workers(self, ID: int | None = None) -> Any:
        """
        @return: A list of my workers; or the one with the ID if one is given,
            C{None} if there is no such.
        """
        return list(self.th.workers.values()) if ID is None else self.th.workers.get(ID)

    def cancelSeries(self, series: Hashable) -> int:
        """
        Cancels all calls of a series that wait, as if each one's Deferred had
        been cancelled: it fails with C{CancelledError}. What runs is left
        alone.

        @param series: The series, C{None} for the calls made without one.
        @return: How many there were.
        """
        return self.q.cancelSeries(series)

    def cancelAll(self) -> int:
        """
        Cancels all calls that wait, as L{cancelSeries} does.

        @return: How many there were.
        """
        return self.q.cancelAll()

    def statistics(self) -> Statistics:
        """
        Tells what waits, what runs and what has been, of me and of each worker. To be
        called in the reactor's thread. It takes well below a millisecond, however many
        calls wait.

        @return: A value of this moment, which does not change.
        """
        return snapshot(self.th, self.q, self.isRunning())

    def subscribe(self, consumer: Any) -> None:
        """
        Has the number of calls that wait written to a consumer, as an integer,
        whenever it changes. What runs does not count.

        The consumer may pause, resume and stop the producer that it is
        registered with. It is unregistered when I am shut down.

        @param consumer: A provider of C{IConsumer}.
        @raise ImplementationError: if it is no such provider.
        @raise QueueRunError: if I was shut down.
        """
        self.q.subscribe(consumer)

    def unsubscribe(self, consumer: Any) -> None:
        """
        Undoes L{subscribe}, if it was done.
        """
        self.q.unsubscribe(consumer)

    def shutdown(self) -> "Deferred[None]":
        """
        Takes no more calls, fails those that wait with a
        L{QueueRunError<asynqueue.errors.QueueRunError>}, and lets those that
        run finish. They get my I{timeout} for that, if I have one, before they
        are ended and fail with a
        L{WorkerError<asynqueue.errors.WorkerError>}.

        @return: A Deferred that fires when all is over and the workers are
            gone. If I am shut down already it waits for that.
        """
        return self._lifetime.shutdown()

    async def __aenter__(self: W) -> W:
        """
        @return: Myself, at once. Workers that are not up yet come up meanwhile.
        @raise QueueRunError: if I was shut down.
        """
        if not self.isRunning():
            raise QueueRunError("A block was begun with a queue that was shut down")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """
        Shuts me down, and waits until all is over and my workers are gone.

        If the block has come to its end, all calls that wait are run first, but for
        those of series that nobody is qualified for. Then I do what L{shutdown}
        does.

        If it was left by an error or by being cancelled, I shut down at once. The
        calls that run get my I{timeout} then. If I have none, they get my I{grace}
        before they are ended, as when the reactor stops.

        If whoever waits for me is cancelled meanwhile, all calls are ended at once.
        """
        taken = partial(whenTaken, self.q, self.th.roster)
        await leave(self._lifetime, taken, error, isSoon=self.timeout is None)

    def _end(self) -> "Deferred[Any]":
        self.q.shutdown()
        return self.th.shutdown(self.timeout).addCallback(self._endUnfinished)

    def _put(self, task: Task) -> None:
        if not task.isOver():
            self.q.put(task)

    def _endUnfinished(self, tasks: list[Task]) -> list[Task]:
        for task in tasks:
            call = aboutCall(task.callTuple)
            task.fail(WorkerError(f"Its worker was ended before {call} was done"))
        return tasks

    def _returned(self, tasks: list[Task]) -> None:
        for task in tasks:
            # Whoever is told of the load may shut me down in the middle of it.
            if self.isRunning():
                self._put(task)
            else:
                self._endUnfinished([task])

    def _acceptAgain(self) -> None:
        """
        Has calls kept again whose series some worker is qualified for now.
        """
        for series in list(self.q.refused):
            if self.th.roster(series):
                del self.q.refused[series]

    def _lost(self, allSeries: list[Hashable], why: Failure) -> None:
        error: Any = why.value
        for series in allSeries:
            self.q.refuse(series, error)
