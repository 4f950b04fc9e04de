"""
What workers without a process have in common.
"""

from collections.abc import Callable, Hashable, Iterable
from time import perf_counter
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from asynqueue.about import aboutCall
from asynqueue.deferreds import branch
from asynqueue.errors import WorkerError
from asynqueue.interfaces import ICanceller, IMeasured, IWorker
from asynqueue.lifetime import Stage
from asynqueue.messages import Status
from asynqueue.reactors import theReactor
from asynqueue.task import Task


class _Charge:
    """
    The task that a worker has begun.

    @ivar ready: The Deferred that C{run} returned.
    @ivar isAbandoned: C{True} if somebody else ends the task.
    """

    def __init__(self, task: Task, ready: "Deferred[None]") -> None:
        self.task = task
        self.ready = ready
        self.isAbandoned = False


@implementer(IWorker, ICanceller, IMeasured)
class LocalWorker:
    """
    I run tasks in this process, one at a time, in the order in which I am given
    them. My subclasses say how.

    I resign when I have been stopped or have crashed, so a queue that I am still
    attached to lets me go.

    @cvar cQualified: The series that all of my class are qualified for.
    @ivar iQualified: A list of further series that I am qualified for.
    @ivar state: A L{Stage}.
    @ivar pid: C{None}: I have no process of my own.
    @ivar memory: C{None}: nor memory.
    """

    cQualified: ClassVar[list[Hashable]] = ["local"]

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
            are, instead of as L{Deferator<asynqueue.deferator.Deferator>}s. The
            same keyword in a call overrides it.
        @param reactor: The reactor to use, the global one if C{None}.
        @raise TypeError: if I{series} is a string.
        """
        if isinstance(series, (str, bytes)):
            raise TypeError(f"series has to be a list of series, not {series!r}")
        self.iQualified: list[Hashable] = list(series)
        self.raw = raw
        self.state = Stage.RUNNING
        self.pid: int | None = None
        self.memory: int | None = None
        self._reactor = reactor
        self._charge: _Charge | None = None
        self._waiting: dict[Task, Deferred[None]] = {}
        self._isBeginning = False
        self._resignators: list[Callable[[], Any]] = []
        self._idle: Deferred[None] = Deferred()
        self._stopped: Deferred[None] = Deferred()

    @property
    def tasks(self) -> list[Task]:
        """
        A list of the tasks that I have and that are not over, the one that I
        have begun first.
        """
        begun = [] if self._charge is None else [self._charge.task]
        return [task for task in [*begun, *self._waiting] if not task.isOver()]

    # --- What my subclasses say.

    def begin(self, task: Task) -> "Deferred[tuple[Status, Any]]":
        """
        Makes a task's call. To be overridden.

        @return: A Deferred that fires with the status and the result, where an
            iterator has become a
            L{Deferator<asynqueue.deferator.Deferator>} unless it is to stay
            I{raw}. It never fails.
        """
        raise NotImplementedError

    def abandon(self, task: Task) -> None:
        """
        Ends the call of the task that I have begun, if that can be, because
        it was cancelled or has timed out. The Deferred of L{begin} still fires
        when the call is over. To be overridden.
        """
        raise NotImplementedError

    def finish(self, isCrashing: bool) -> "Deferred[None]":
        """
        Ends what I run tasks on. May be overridden.

        @param isCrashing: C{True} to wait for nothing, neither for the call of
            a task that I have begun. May follow upon C{False}, and be followed
            by it.
        @return: A Deferred that fires when that is gone.
        """
        return succeed(None)

    # --- What a worker does.

    def setResignator(self, callableObject: Callable[[], Any]) -> None:
        """
        Registers a callable that I call, without arguments, when I have been
        stopped or have crashed.
        """
        self._resignators.append(callableObject)

    def run(self, task: Task) -> "Deferred[None]":
        """
        Runs a task when those before it are done.

        @return: A Deferred that fires when the task is over and I am ready for
            another one. It does not if I crash.
        """
        if self.state is not Stage.RUNNING:
            call = aboutCall(task.callTuple)
            task.fail(WorkerError(f"The worker was stopped before it was given {call}"))
            return succeed(None)
        ready = self._waiting[task] = Deferred()
        self._work()
        return ready

    def cancel(self, task: Task) -> None:
        """
        Abandons a task: if I have not begun it I never will.
        """
        ready = self._waiting.pop(task, None)
        if ready is not None:
            ready.callback(None)
            self._tellIfIdle()
        elif self._charge is not None and self._charge.task is task:
            self._charge.isAbandoned = True
            self.abandon(task)

    def stop(self) -> "Deferred[None]":
        """
        Stops me for good, when the tasks that I have are done.

        @return: A Deferred that fires when nothing of me is left.
        """
        self._beginToStop()
        self._tellIfIdle()
        return branch(self._stopped)

    def crash(self) -> list[Task]:
        """
        Stops me for good, without waiting for anything. The result of the call
        that I have begun is dropped.

        @return: A list of the tasks that I had and have not done. I will not
            end them any more.
        """
        tasks = self.tasks
        self._charge = None
        self._waiting.clear()
        self._beginToStop()
        self.finish(isCrashing=True)
        if tasks:
            # Whoever waits for me to stop may be who is given them back now.
            theReactor(self._reactor).callFromThread(self._tellIfIdle)
        else:
            self._tellIfIdle()
        return tasks

    def _beginToStop(self) -> None:
        if self.state is Stage.RUNNING:
            self.state = Stage.STOPPING
            Deferred.fromCoroutine(self._stop())

    def _work(self) -> None:
        """
        Begins tasks as long as there are any to begin. What ends at once is
        followed by the next in the same loop, so calls do not nest however
        quickly they end.
        """
        if self._isBeginning:
            return
        self._isBeginning = True
        while self._charge is None and self._waiting:
            task = next(iter(self._waiting))
            charge = self._charge = _Charge(task, self._waiting.pop(task))
            self.begin(task).addCallback(self._done, charge)
        self._isBeginning = False

    def _done(self, outcome: tuple[Status, Any], charge: _Charge) -> None:
        if self._charge is not charge:
            # I crashed, and have given it back.
            return
        self._charge = None
        task = charge.task
        task.measured(perf_counter() - task.handedAt, 0.0)
        if not charge.isAbandoned:
            task.callback(outcome)
        charge.ready.callback(None)
        self._work()
        self._tellIfIdle()

    def _tellIfIdle(self) -> None:
        isIdle = self._charge is None and not self._waiting
        if self.state is Stage.STOPPING and isIdle and not self._idle.called:
            self._idle.callback(None)

    async def _stop(self) -> None:
        await self._idle
        await self.finish(isCrashing=False)
        self.state = Stage.STOPPED
        for resign in self._resignators:
            resign()
        self._stopped.callback(None)
