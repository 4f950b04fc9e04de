"""
A worker that has no process: a test says when it comes up, when each of its calls ends,
and when it dies.
"""

from collections.abc import Callable, Container, Hashable, Iterable
from functools import partial
from typing import Any, ClassVar, NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from asynqueue.about import aboutCall
from asynqueue.deaths import newHistory, record
from asynqueue.errors import PicklingError, WorkerDied, WorkerError, aboutExit
from asynqueue.interfaces import ICanceller, IRestartable
from asynqueue.memoryside import Copying, Direct, Side
from asynqueue.messages import Status
from asynqueue.packets import Packet
from asynqueue.reactors import theReactor
from asynqueue.task import Task

__all__ = ["MemoryWorker"]

_RUN = object()


class _Charge(NamedTuple):
    """
    What a worker has of a task: what C{run} returned, and the call as it was sent.
    """

    ready: "Deferred[None]"
    packet: Packet


@implementer(IRestartable, ICanceller)
class MemoryWorker:
    """
    I run tasks one by one, each when a test says so: it ends the one in hand, whose
    timeout counts, by L{finish}, which makes the call; by L{succeed} or L{fail}, which
    do not; or by L{die}.

    To a caller I am what a L{ProcessWorker<asynqueue.process.ProcessWorker>} is. Calls
    and results are pickled, so what cannot be fails with the same errors, and nobody
    has the objects of anybody else. I die as a process does, and a queue has me begin
    anew. But a call is made in this process: what it changes in a module is changed
    here, and stays when I die.

    @cvar cQualified: The series that all of my class are qualified for,
        C{'memory'}, C{'process'} and C{'local'}.
    @ivar iQualified: A list of further series that I am qualified for.
    @ivar comesUp: C{True} if I come up at once whenever I am started. A test may set
        it, as it may I{instant} and I{mayBeginAnew}.
    @ivar instant: C{True} if I finish each task as soon as I have begun it.
    @ivar held: Callables whose calls I do not finish by myself, though I am I{instant}.
    @ivar mayBeginAnew: C{False} if I will not begin anew, whatever ended me.
    @ivar begun: A list of the arguments of each task's call, in the order in which I
        began them, each a tuple.
    @ivar inHand: The L{Task<asynqueue.task.Task>} that I have begun, or C{None}.
    @ivar cancelled: A list of the tasks that I was asked to abandon.
    @ivar starts: How often I have been started.
    @ivar isUp: C{True} while I can run tasks.
    @ivar isStopping: C{True} when I was asked to stop.
    @ivar death: The L{WorkerDied<asynqueue.errors.WorkerDied>} of my last death,
        C{None} if there was none, or I died of what I was asked to abandon.
    @ivar deaths: The last L{Death<asynqueue.deaths.Death>}s that nobody asked for, the
        latest at the right: a C{deque}.
    @ivar ID: What my queue knows me by, C{None} without one.
    """

    cQualified: ClassVar[list[Hashable]] = ["memory", "process", "local"]

    def __init__(
        self,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        up: bool = True,
        instant: bool = False,
        held: "Container[Any]" = (),
        pickler: str | None = "pickle",
        reactor: Any = None,
    ) -> None:
        """
        @param series: A list of the task series that this particular instance of me is
            qualified for. (It is copied.)
        @param raw: C{True} to have iterators come back as the values that they are,
            instead of as L{Deferator<asynqueue.deferator.Deferator>}s. The same keyword
            in a call overrides it.
        @param up: C{False} if I come up only when L{comeUp} is called.
        @param instant: C{True} if I finish each task at once.
        @param held: Callables whose calls I do not finish by myself all the same.
        @param pickler: What pickles calls and results, C{"pickle"} or C{"cloudpickle"};
            C{None} to have calls made with the very objects that they are given, which
            need not be picklable.
        @param reactor: The reactor to use, the global one if C{None}.
        @raise TypeError: if I{series} is a string.
        @raise ValueError: if no pickler has this name.
        @raise ImportError: if it is not installed.
        """
        if isinstance(series, (str, bytes)):
            raise TypeError(f"series has to be a list of series, not {series!r}")
        self.iQualified: list[Hashable] = list(series)
        self.comesUp = up
        self.instant = instant
        self.held = held
        self.begun: list[Any] = []
        self.cancelled: list[Task] = []
        self.starts = 0
        self.isUp = False
        self.isStopping = False
        self.mayBeginAnew = True
        self.death: WorkerDied | None = None
        self.deaths = newHistory()
        self.ID: int | None = None
        self.inHand: Any = None
        self._raw = raw
        self._pickler = pickler
        self._reactor = reactor
        self._side = self._newSide()
        self._tasks: dict[Task, _Charge] = {}
        self._working = False
        self._dying = False
        self._resignators: list[Callable[[], Any]] = []
        self._starters: list[Deferred[None]] = []
        self._stoppers: list[Deferred[None]] = []

    @property
    def tasks(self) -> list[Task]:
        """
        A list of the tasks that I have, the one that I have begun first.
        """
        return list(self._tasks)

    # --- What a worker does.

    def setResignator(self, callableObject: Callable[[], Any]) -> None:
        """
        Registers I{callableObject}, which I call, without arguments, when I have died.
        """
        self._resignators.append(callableObject)

    def start(self) -> "Deferred[None]":
        """
        Begins, or begins anew, unless I am up.

        @return: A Deferred that fires when I am up, or fails with a C{WorkerDied} if I
            die before, or with a C{WorkerError} if I was stopped.
        """
        if self.isUp:
            return succeed(None)
        if self.isStopping:
            return fail(WorkerError("The worker was stopped"))
        d: Deferred[None] = Deferred()
        self._starters.append(d)
        if len(self._starters) == 1:
            self.starts += 1
            if self.comesUp:
                self.comeUp()
        return d

    def run(self, task: Task) -> "Deferred[None]":
        """
        Takes a I{task}, whose call is pickled now. I start if I have not yet.

        @return: A Deferred that fires when I am ready for another, unless I die of it.
        """
        if self.isStopping:
            task.callback((Status.ERROR, WorkerError("The worker was stopped")))
            return succeed(None)
        try:
            packet = self._side.pack(task)
        except PicklingError as error:
            task.callback((Status.ERROR, error))
            return succeed(None)
        charge = self._tasks[task] = _Charge(Deferred(), packet)
        if not self.isUp and not self._dying:
            self.start()
        self._work()
        return charge.ready

    def cancel(self, task: Task) -> None:
        """
        Abandons a I{task}. One that I have not begun I never will. Of the one in hand I
        die, as a process is ended for it, when the reactor next comes round.
        """
        self.cancelled.append(task)
        if task is self.inHand:
            self._abandon(task)
        elif task in self._tasks:
            self._tasks.pop(task).ready.callback(None)
            self._tellIfStopped()

    def stop(self) -> "Deferred[None]":
        """
        Stops me for good, when the tasks that I have are done.

        @return: A Deferred that fires when I am gone.
        """
        self.isStopping = True
        if not self._tasks:
            self._down(" because it was stopped")
        d: Deferred[None] = Deferred()
        self._stoppers.append(d)
        self._tellIfStopped()
        return d

    def crash(self) -> list[Task]:
        """
        Ends me at once.

        @return: A list of the tasks that I had and have not done. I will not end them.
        """
        self._end(self._down(" because it was crashed"))
        tasks, self._tasks, self.inHand = self._tasks, {}, None
        return [task for task in tasks if not task.isOver()]

    # --- What a test has me do.

    def comeUp(self) -> None:
        """
        Is up, having been started.
        """
        self.isUp = True
        starters, self._starters = self._starters, []
        for d in starters:
            d.callback(None)
        self._work()

    def finish(self, status: bytes | None = None, result: Any = _RUN) -> Task:
        """
        Makes the call in hand, here and now, and ends its task with what that comes to;
        or with a result that is given.

        @param status: The L{Status<asynqueue.messages.Status>} of a I{result} that is
            given. That is not copied.
        @return: The task, which is over.
        @raise RuntimeError: if there is none in hand.
        """
        task: Task | None = self.inHand
        if task is None:
            state = "has nothing to do" if self.isUp else "is not up"
            raise RuntimeError(f"No call can be ended: the worker {state}")
        if result is _RUN:
            status, result = self._side.make(task, self._tasks[task].packet)
        charge = self._tasks.pop(task)
        self.inHand = None
        if task not in self.cancelled:
            task.callback((status, result))
        charge.ready.callback(None)
        self._work()
        self._tellIfStopped()
        return task

    def succeed(self, result: Any = None) -> Task:
        """
        Ends the task in hand with a I{result}, without making its call.

        @return: The task, which is over.
        @raise RuntimeError: if there is none in hand.
        """
        return self.finish(Status.RESULT, result)

    def fail(self, error: BaseException) -> Task:
        """
        Does what L{succeed} does, with an I{error}.
        """
        return self.finish(Status.ERROR, error)

    def die(self, read: bool = True, exitCode: int | None = -9) -> None:
        """
        Dies, as if my process had ended. The task in hand fails with
        L{WorkerDied<asynqueue.errors.WorkerDied>}, and the iterators that calls have
        returned do. Other tasks are given back, and a queue has me begin anew. If I
        was not up yet, I never will be.

        @param read: C{False} if I have not even read the task in hand, which is given
            back then.
        @param exitCode: My exit code, negative for the signal that killed me, C{None}
            if it is not known.
        """
        self._dying = True
        task, self.inHand = self.inHand, None
        call = aboutCall(task.callTuple) if task is not None and read else None
        if task in self.cancelled:
            died = self._down(" because its call was cancelled or timed out", exitCode)
            self.death = None
        else:
            died = self.death = self._down(f" with {aboutExit(exitCode)}", exitCode)
            record(self.deaths, died, self.ID, call, None)
        self._end(died)
        if task is not None and not read:
            self.begun.pop()
        elif task is not None:
            del self._tasks[task]
            if task not in self.cancelled:
                error = _more(died, f" in the middle of the call {call}")
                task.callback((Status.ERROR, error))
        self._dying = False
        waiting = dict(self._tasks)
        for resign in self._resignators:
            resign()
        for task, charge in waiting.items():
            if self._tasks.get(task) is charge:
                # Nobody has taken it back, so nobody else will end it.
                del self._tasks[task]
                task.callback((Status.ERROR, died))
        self._tellIfStopped()

    def note(self, task: Task) -> None:
        """
        Notes that I begin a I{task}.
        """
        self.begun.append(task.callTuple[1])

    def _newSide(self) -> Side:
        if self._pickler is None:
            return Direct(self._raw)
        return Copying(self._raw, self._pickler)

    def _abandon(self, task: Task) -> None:
        # It will be over then, and the test may have had me end it.
        theReactor(self._reactor).callLater(0, self._dieOf, task)

    def _dieOf(self, task: Task) -> None:
        if self.inHand is task:
            self.die()

    def _down(self, why: str, exitCode: int | None = -9) -> WorkerDied:
        """
        @param why: Why I am up no more, as the end of a sentence.
        @return: What tells of it.
        """
        died = WorkerDied(f"The worker in memory ended{why}", None, exitCode)
        self.isUp = False
        starters, self._starters = self._starters, []
        for d in starters:
            d.errback(died)
        return died

    def _end(self, died: WorkerDied) -> None:
        self._side.end(partial(_more, died))
        self._side = self._newSide()

    def _work(self) -> None:
        """
        Begins tasks as long as there are any to begin. What ends at once is ended by
        the same loop, whoever called meanwhile.
        """
        if self._working:
            return
        self._working = True
        while self.isUp and self._tasks and self.inHand is None:
            self.inHand = next(iter(self._tasks))
            self.note(self.inHand)
            f, _, _ = self.inHand.callTuple
            if self.instant and f not in self.held:
                self.finish()
        self._working = False

    def _tellIfStopped(self) -> None:
        if self.isStopping and not self._tasks:
            self.isUp = False
            stoppers, self._stoppers = self._stoppers, []
            for d in stoppers:
                d.callback(None)


def _more(died: WorkerDied, more: str) -> WorkerDied:
    return WorkerDied(died.text + more, died.pid, died.exitCode)
