"""
A worker that runs calls in a process of its own.
"""

from collections.abc import Callable, Hashable, Iterable
from enum import Enum
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from zope.interface import implementer

from asynqueue.channel import Channel
from asynqueue.children import Child, getContext, refuseInBootstrap
from asynqueue.deferreds import branch
from asynqueue.entry import Settings
from asynqueue.errors import WorkerDied, WorkerError
from asynqueue.interfaces import ICanceller, IRestartable, IWorker
from asynqueue.life import Life
from asynqueue.machine import cores, residentSet
from asynqueue.messages import Status
from asynqueue.pollers import checkPace, makePoller
from asynqueue.reactors import theReactor
from asynqueue.task import Task

__all__ = ["ProcessWorker", "WorkerState"]


class WorkerState(Enum):
    """
    The stages of a L{ProcessWorker}. Moves: DOWN to UP when it is started; UP
    to DOWN when its process has ended; both to STOPPING, and then to STOPPED.
    """

    DOWN = "has no process"
    UP = "has a process, or is starting one"
    STOPPING = "lets its process finish what it has"
    STOPPED = "has no process and will have none"


@implementer(IWorker, IRestartable, ICanceller)
class ProcessWorker:
    """
    I run tasks in a process of my own.

    Each task's callable is pickled along with its arguments and sent through a
    pipe, so it has to be something that can be found again over there: a
    function or class of a module that the process can import, or a method of a
    picklable instance of such a class. A lambda or a function within a function
    is not. Whatever cannot be pickled fails alone, with an error that names it.

    The process is started when I am attached to a queue or am first given a
    task, in a thread, because starting it takes a while. If it dies, the call
    that it had fails with L{WorkerDied<asynqueue.errors.WorkerDied>}; a queue
    then has me start another. It never outlives its parent.

    Tuning the backoff coefficient
    ==============================

    I look for the answer to a call twice from the reactor and then let a thread
    wait for it, at most for I{interval} at a time, which is multiplied by
    I{backoff} after each look in vain. The answer ends the wait at once, so
    unlike in AsynQueue 0.9.9, where the interval was slept out, neither figure
    delays any answer. They only govern how often the thread wakes up.

    With the I{interval} of 1 ms and the I{backoff} of 1.10 that I begin with, a
    call that has taken 10 ms has been looked for 7 times, one of 20 ms 4 times
    more (the interval is about 2 ms and 3 ms then), one of 100 ms 25 times, one
    of 200 ms 31 times and one of 1 second 48 times. The interval is always about
    one tenth of the time that has passed since the first look, 0.1 second after
    a second. With a backoff of 1.05 it is half of that, and it takes 81 looks to
    reach a second. (These follow from the sum of the intervals: after I{n} looks
    C{interval * (backoff**n - 1) / (backoff - 1)} seconds have passed. The tests
    step a clock through them. The page of AsynQueue's C{ProcessWorker}, made on
    2022-11-17, has the 7 and 4 looks at 100 ms and 200 ms, which is where they
    are with an interval of 10 ms; its 48, 81 and one tenth hold.)

    That page tells of the efficiency of processes in AsynQueue: with calls of 0
    to 200 ms, 96.7 % at a backoff of 1.05 and 94.5 % at 1.10; with calls of 100
    ms, 95.5 % and 99 %; with calls of a second, 97.5 % and 94.3 %. It advises
    against a backoff below 1.10 with an interval of 1 ms, for the cost of the
    looks. Here the looks are the thread's, not the reactor's, and no dead time
    follows a long call.

    @cvar cQualified: The series that all of my class are qualified for,
        C{'process'} and C{'local'}.
    @ivar iQualified: A list of further series that I am qualified for.
    @ivar callTimes: A list of what L{stats} gives.
    @ivar process: The L{Child<asynqueue.children.Child>} that I have or last
        had, C{None} before the first.
    @ivar state: A L{WorkerState}.
    """

    log = Logger()
    cQualified: ClassVar[list[Hashable]] = ["process", "local"]

    def __init__(
        self,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        callStats: bool = False,
        useReactor: bool = False,
        context: Any = None,
        poller: Any = "thread",
        interval: float = 0.001,
        backoff: float = 1.10,
        reactor: Any = None,
        launch: Callable[..., Any] = Child,
    ) -> None:
        """
        Constructs me with a L{ThreadLooper<asynqueue.looper.ThreadLooper>} (in
        my poller) and no tasks.

        @param series: A list of one or more task series that this particular
            instance of me is qualified to handle. (It is copied.)
        @param raw: C{True} if you want raw iterators to be returned instead of
            L{Deferator<asynqueue.deferator.Deferator>} instances. An iterator
            is then pickled like any value, which only some can be. You can
            override this with the same keyword in a call.
        @param callStats: C{True} if you want stats kept about how long the
            calls took to send and to run on the process. Obtain a list of the
            call times here and on the process (2-tuples) with L{stats}. The
            list grows by a tuple with each call.
        @param useReactor: C{True} to run a Twisted reactor in the process. A
            call may then return a Deferred or a coroutine, and what that comes
            to is its result. It works with and without I{raw}.
        @param context: A C{multiprocessing} context, or the name of a start
            method. C{"forkserver"} unless given, where there is one, else
            C{"spawn"}. With I{useReactor} it cannot be C{"fork"}: a copy of a
            process whose reactor runs has no use for another.
        @param poller: How I learn of answers: the name of a strategy from
            L{asynqueue.pollers.POLLERS}, or a callable that makes a provider
            of L{IPoller<asynqueue.interfaces.IPoller>}.
        @param interval: See above.
        @param backoff: See above.
        @param reactor: The reactor to use, the global one if C{None}.
        @param launch: Makes a L{Child<asynqueue.children.Child>} or the like.
        @raise ValueError: if there is no such start method or poller, or the
            interval or backoff is out of range.
        @raise TypeError: if I{series} is a string, or the context or poller is
            of no use.
        @raise RuntimeError: if this is a worker process that is still
            importing its parent's main module.
        """
        refuseInBootstrap()
        if isinstance(series, (str, bytes)):
            raise TypeError(f"series has to be a list of series, not {series!r}")
        self.iQualified: list[Hashable] = list(series)
        self.callStats = callStats
        self.callTimes: list[tuple[float, float]] = []
        self.process: Any = None
        self.state = WorkerState.DOWN
        self._context = getContext(context)
        forked = self._context.get_start_method() == "fork"
        if useReactor and forked:
            raise ValueError(
                "A forked process cannot run a reactor of its own, because it has "
                "its parent's. Use the context 'forkserver' or 'spawn' with useReactor"
            )
        self._settings = Settings(raw=raw, useReactor=useReactor, forked=forked)
        self._reactor = theReactor(reactor)
        self._poller = makePoller(poller, interval, backoff, self._reactor)
        self._launch = launch
        self._life: Life | None = None
        self._resignators: list[Callable[[], Any]] = []
        self._whenStopped: list[Deferred[None]] = []

    def __repr__(self) -> str:
        pid = None if self.process is None else self.process.pid
        return f"<ProcessWorker {self.state.name}, process {pid}>"

    @property
    def interval(self) -> float:
        """
        The initial event-checking interval, in seconds (a C{float}, above 0).
        """
        return float(self._poller.interval)

    @interval.setter
    def interval(self, interval: float) -> None:
        checkPace(interval, self.backoff)
        self._poller.interval = interval

    @property
    def backoff(self) -> float:
        """
        The backoff exponent: what the interval is multiplied by after each
        check (a C{float}, from 1.0 to 1.3).
        """
        return float(self._poller.backoff)

    @backoff.setter
    def backoff(self, backoff: float) -> None:
        checkPace(self.interval, backoff)
        self._poller.backoff = backoff

    @property
    def tasks(self) -> list[Task]:
        """
        A list of the tasks that I have.
        """
        return [] if self._life is None else self._life.tasks

    @staticmethod
    def cores() -> int:
        """
        @return: The number of CPU cores available to this process.
        """
        return cores()

    def do_next(self, ID: int) -> "Deferred[Any]":
        """
        Does a next call of an iterator held by my process, over the pipe. It
        comes before the calls that wait, but takes turns with them.

        @param ID: The unique integer by which the process knows the iterator.
        @return: A Deferred that fires with the item. It fails with
            C{StopIteration} at the end, or with what the iterator raised.
        """
        if self._life is None:
            return fail(WorkerError("There is no process, and so no iterator"))
        return self._life.iterators.do_next(ID)

    def stats(self) -> "Deferred[list[tuple[float, float]]]":
        """
        Assembles and returns a (deferred) list of call times.

        @return: A Deferred that fires with a list of 2-tuples, one for each
            call that has been sent and is over, in that order. The first
            element is the time from sending the call to getting its result, in
            seconds; the second is how long it ran in the process, in seconds
            (0.0 if the process did not live to tell). Empty without
            I{callStats}.
        """
        return succeed(list(self.callTimes))

    def memUsage(self) -> int | None:
        """
        @return: The resident set of my process, in kilobytes (1024 bytes) as an
            C{int}, or C{None} if the process is not running. (AsynQueue 0.9.9
            gave the size of its virtual memory.)
        """
        if self.process is None or not self.process.is_alive():
            return None
        return residentSet(self.process.pid)

    def setResignator(self, callableObject: Callable[[], Any]) -> None:
        """
        Registers a callable that I call, without arguments, when my process is
        gone and I cannot run tasks unless I am started anew. The tasks that it
        had not begun are for L{crash} to give back.
        """
        self._resignators.append(callableObject)

    def start(self) -> "Deferred[None]":
        """
        Starts a process, unless I have one.

        @return: A Deferred that fires when the process is up, or fails with a
            L{WorkerDied<asynqueue.errors.WorkerDied>} if it ended before.
        """
        if self.state is WorkerState.DOWN:
            self.state = WorkerState.UP
            self.process = self._launch(self._context, self._settings, self._reactor)
            channel = Channel(self.process, self._poller, self._reactor)
            life = self._life = Life(channel, self._record, self._reactor)
            channel.ended.addCallback(self._lifeEnded, life)
            channel.open()
        if self._life is None:
            raise WorkerError("The worker was stopped")
        return branch(self._life.channel.up).addCallback(_raiseIfDead)

    def run(self, task: Task) -> "Deferred[None]":
        """
        Sends the task's callable and args, kw to the process (all of which must
        be picklable), and ends the task when the result is there.

        A process that I lack is started first.

        @return: A Deferred that fires when I am ready for another task. It
            never fires if the process dies of this one: my resignation tells.
        """
        if self.state is WorkerState.DOWN:
            self.start()
        if self._life is None or self.state is WorkerState.STOPPING:
            task.callback((Status.ERROR, WorkerError("The worker was stopped")))
            return succeed(None)
        return self._life.run(task)

    def cancel(self, task: Task) -> None:
        """
        Abandons a task: what my process has not begun it never will, and what
        it has begun ends with the process.
        """
        if self._life is not None:
            self._life.cancel(task)

    def stop(self) -> "Deferred[None]":
        """
        Stops me for good. Iterators in use may be read to their end; those that
        nobody asks for an item for a second
        (L{LINGER<asynqueue.openings.LINGER>}) are closed, so a
        L{Deferator<asynqueue.deferator.Deferator>} that was forgotten does not
        keep me.

        @return: A Deferred that fires when all tasks and Deferators are done,
            the task loop has ended, and the process has terminated.
        """
        if self.state is WorkerState.STOPPED:
            return succeed(None)
        d: Deferred[None] = Deferred()
        self._whenStopped.append(d)
        if self.state is not WorkerState.STOPPING:
            self.state = WorkerState.STOPPING
            Deferred.fromCoroutine(self._stop())
        return d

    def crash(self) -> list[Task]:
        """
        Ends the process at once: by SIGTERM, and by SIGKILL if that does not
        help.

        @return: A list of the tasks that I had and have not done. I will not
            end them any more.
        """
        if self._life is None:
            return []
        self._life.channel.terminate("its worker was made to crash")
        return self._life.giveBack()

    def _killProcess(self) -> None:
        """
        Ends the process by SIGKILL.
        """
        if self.process is not None:
            self.process.kill()

    def _record(self, here: float, there: float) -> None:
        if self.callStats:
            self.callTimes.append((here, there))

    async def _stop(self) -> None:
        if self._life is not None:
            await self._life.finish()
        await self._poller.stop()
        self.state = WorkerState.STOPPED
        waiters, self._whenStopped = self._whenStopped, []
        for d in waiters:
            d.callback(None)

    def _lifeEnded(self, died: WorkerDied, life: Life) -> WorkerDied:
        life.iterators.abandon()
        if life.channel.endReason is None:
            self.log.warn("{died}", died=died)
        if self.state is WorkerState.UP:
            self.state = WorkerState.DOWN
        for resign in self._resignators:
            resign()
        if self._life is life:
            self._life = None
        for task in life.giveBack():
            # Nobody has taken it back, so nobody else will end it.
            task.callback((Status.ERROR, died))
        return died


def _raiseIfDead(died: WorkerDied | None) -> None:
    if died is not None:
        raise died
