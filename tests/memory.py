"""
A worker that has no process: a test decides when it comes up, when each of its
tasks ends, and when it dies.
"""

from collections.abc import Hashable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer, implementer_only

from asynqueue.base import TaskQueue
from asynqueue.deferator import Deferator
from asynqueue.errors import WorkerDied, WorkerError
from asynqueue.interfaces import ICanceller, IRenewable, IRestartable, IWorker
from asynqueue.messages import Status
from asynqueue.runner import CallRunner
from asynqueue.task import Task
from tests.fakes import Reactor

_RUN = object()


@implementer(IWorker, IRestartable, ICanceller)
class MemoryWorker:
    """
    I run tasks one by one, each when the test says so.

    @ivar begun: The arguments of each task's call, in the order in which I
        began them.
    @ivar inHand: The task that I have begun, or C{None}.
    @ivar cancelled: The tasks that I was asked to abandon.
    @ivar starts: How often I have been started.
    @ivar mayBeginAnew: What I say of it. A test may change it.
    @ivar death: How I died, unless I was asked to abandon what I had in hand.
    @ivar isUp: C{True} while I can run tasks.
    @ivar ID: What the queue knows me by.
    """

    cQualified: ClassVar[list[Hashable]] = ["memory", "local"]

    def __init__(
        self, series=(), raw=False, up=True, instant=False, lingers=False, held=()
    ):
        """
        @param up: C{True} if I come up at once whenever I am started.
        @param instant: C{True} if I finish each task at once.
        @param lingers: C{True} if I am not gone before L{vanish} is called.
        @param held: Callables whose calls I do not finish by myself, though I
            am I{instant}.
        """
        self.iQualified: Any = list(series)
        self.comesUp = up
        self.instant = instant
        self.lingers = lingers
        self.held = held
        self.begun = []
        self.cancelled = []
        self.starts = 0
        self.isUp = False
        self.isStopping = False
        self.mayBeginAnew = True
        self.death: WorkerDied | None = None
        self.ID: int | None = None
        self._runner = CallRunner(raw)
        self._tasks = {}
        self.inHand: Any = None
        self._working = False
        self._dying = False
        self._resignators = []
        self._starters = []
        self._stoppers = []

    @property
    def isComingUp(self):
        """
        C{True} if I have been started and am not up yet.
        """
        return bool(self._starters)

    @property
    def tasks(self):
        """
        A list of the tasks that I have, the one that I have begun first.
        """
        return list(self._tasks)

    # --- What a worker does.

    def setResignator(self, callableObject):
        self._resignators.append(callableObject)

    def start(self):
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

    def run(self, task):
        if self.isStopping:
            task.callback((Status.ERROR, WorkerError("The worker was stopped")))
            return succeed(None)
        ready = self._tasks[task] = Deferred()
        if not self.isUp and not self._dying:
            self.start()
        self._work()
        return ready

    def cancel(self, task):
        self.cancelled.append(task)
        if task is not self.inHand and task in self._tasks:
            self._tasks.pop(task).callback(None)
            self._tellIfStopped()

    def stop(self):
        self.isStopping = True
        if not self._tasks:
            self._down("it was stopped")
        d: Deferred[None] = Deferred()
        self._stoppers.append(d)
        self._tellIfStopped()
        return d

    def crash(self):
        self._down("it crashed")
        tasks, self._tasks, self.inHand = self._tasks, {}, None
        return [task for task in tasks if not task.isOver()]

    # --- What a test has me do.

    def comeUp(self):
        """
        Is up, having been started.
        """
        self.isUp = True
        starters, self._starters = self._starters, []
        for d in starters:
            d.callback(None)
        self._work()

    def finish(self, status=None, result=_RUN):
        """
        Ends the task in hand with what its call comes to, or with the status
        and the result given.

        @return: The task.
        """
        task = self.inHand
        if result is _RUN:
            status, result = self._runner(task.callTuple, task.raw)
            if status is Status.ITERATION:
                result = Deferator(result)
        ready = self._tasks.pop(task)
        self.inHand = None
        if task not in self.cancelled:
            task.callback((status, result))
        ready.callback(None)
        self._work()
        self._tellIfStopped()
        return task

    def fail(self, error):
        """
        Ends the task in hand with an error.
        """
        return self.finish(Status.ERROR, error)

    def die(self, read=True):
        """
        Ends the task in hand with C{WorkerDied}, keeps the others to be given
        back, and resigns. If I was not up yet, I never will be.

        @param read: C{False} if I have not even read the task in hand, so that
            it is given back too.
        """
        self._dying = True
        died = self._down("it died")
        task, self.inHand = self.inHand, None
        self.death = None if task is not None and task in self.cancelled else died
        if task is not None and not read:
            self.begun.pop()
        elif task is not None:
            del self._tasks[task]
            if task not in self.cancelled:
                task.callback((Status.ERROR, died))
        self._dying = False
        waiting = dict(self._tasks)
        for resign in self._resignators:
            resign()
        for task, ready in waiting.items():
            if self._tasks.get(task) is ready:
                # Nobody has taken it back, so nobody else will end it.
                del self._tasks[task]
                task.callback((Status.ERROR, died))
        self._tellIfStopped()

    def vanish(self):
        """
        Is gone, having been stopped.
        """
        self.lingers = False
        self._tellIfStopped()

    def _down(self, why):
        died = WorkerDied(f"The worker ended because {why}", 1, -9)
        self.isUp = False
        starters, self._starters = self._starters, []
        for d in starters:
            d.errback(died)
        return died

    def _work(self):
        """
        Begins tasks as long as there are any to begin. What ends at once is
        ended by the same loop, whoever called meanwhile.
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

    def note(self, task):
        """
        Notes that I begin a task.
        """
        self.begun.append(task.callTuple[1])

    def _tellIfStopped(self):
        if self.isStopping and not self._tasks and not self.lingers:
            self.isUp = False
            stoppers, self._stoppers = self._stoppers, []
            for d in stoppers:
                d.callback(None)


@implementer_only(IWorker)
class PlainMemoryWorker(MemoryWorker):
    """
    I cannot be started anew, nor abandon a task.
    """


@implementer(IRenewable)
class RenewableMemoryWorker(MemoryWorker):
    """
    I can be replaced.

    @ivar worn: After how many calls I am worn out, C{None} for never.
    @ivar successors: What I have made, by the I{make} that I was made with.
    """

    def __init__(self, *args, worn=None, make=None, **kw):
        super().__init__(*args, **kw)
        self.worn = worn
        self.successors = []
        self._make = make
        self._settlers = []

    def isWorn(self, calls):
        return self.worn is not None and calls >= self.worn

    def successor(self):
        successor = self._make(self.iQualified)
        self.successors.append(successor)
        return successor

    def settled(self):
        """
        Is for the test to tell, with L{settle}.
        """
        d: Deferred[None] = Deferred()
        self._settlers.append(d)
        return d

    def settle(self):
        """
        Has nothing left that came of its tasks.
        """
        settlers, self._settlers = self._settlers, []
        for d in settlers:
            d.callback(None)


def makeTask(f, *args, **kw):
    """
    @return: A task with a priority of its own.
    """
    return Task(f, args, kw, 1, None)


class SteppedQueue(TaskQueue):
    """
    A L{TaskQueue} on a reactor that a test steps.

    @ivar reactor: That reactor.
    """

    def __init__(self, *workers, **kw):
        self.reactor = Reactor()
        super().__init__(*workers, reactor=self.reactor, **kw)


def stopReactor(reactor):
    """
    Does what a reactor does before it stops.

    @return: A list of the Deferreds that it waits for.
    """
    triggers = list(reactor.triggers.get("before", {}).get("shutdown", []))
    reactor.triggers.clear()
    return [f(*args, **kw) for _, _, f, args, kw in triggers]


class Results:
    """
    I record what Deferreds come to, and how often.

    @ivar all: A list of results for each name.
    """

    def __init__(self):
        self.all = {}

    def watch(self, name, d):
        """
        Records what a Deferred comes to, under a name.
        """
        self.all[name] = []
        d.addBoth(self.all[name].append)
        return d

    def __getitem__(self, name):
        return self.all[name]
