"""
A worker that runs calls in a process of its own.
"""

from collections.abc import Callable, Hashable, Iterable
from enum import Enum
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from asynqueue.channel import Channel
from asynqueue.children import Child
from asynqueue.deaths import newHistory, record
from asynqueue.deferreds import branch
from asynqueue.errors import WorkerDied, WorkerError
from asynqueue.figures import Figures
from asynqueue.interfaces import IMeasured, IPrefetcher, IRenewable, IRestartable
from asynqueue.life import Life
from asynqueue.lifeline import Lifeline
from asynqueue.looper import ThreadLooper
from asynqueue.messages import Status
from asynqueue.picklers import findPickler
from asynqueue.pollers import makePoller
from asynqueue.reactors import theReactor
from asynqueue.remotes import RemoteIterators
from asynqueue.starting import Starter
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


@implementer(IRestartable, IRenewable, IPrefetcher, IMeasured)
class ProcessWorker(Figures, Lifeline):
    """
    I run tasks in a process of my own.

    Each task's callable is pickled along with its arguments and sent through a
    pipe, so it has to be something that can be found again over there: a
    function or class of a module that the process can import, or a method of a
    picklable instance of such a class. A lambda or a function within a function
    is not, unless the pickler is C{"cloudpickle"}. Whatever cannot be pickled fails
    alone, with an error that names it.

    That is done when I get the call, and large buffers, as C{numpy} arrays have, are
    not even copied then but read when they are sent: leave what you gave to a call
    as it is until its Deferred fires. What arrives are copies that can be changed.

    The process is started when I am attached to a queue or am first given a
    task, in a thread, because starting it takes a while. If it dies, the call
    that it had fails with L{WorkerDied<asynqueue.errors.WorkerDied>}; a queue
    then has me start another. It never outlives its parent.

    Tuning the backoff coefficient
    ==============================

    I look for the answer to a call from the reactor, for a quarter of a
    millisecond if the last one came as soon, else once. Then (unless the reactor
    itself is my poller) I let a thread wait for it, at most for I{interval} at a
    time, which is multiplied by I{backoff} after each look in vain. The answer
    ends the wait at once, so unlike in AsynQueue 0.9.9, where the interval was
    slept out, neither figure delays any answer. They govern how often it wakes.

    With the I{interval} of 1 ms and the I{backoff} of 1.10 that I begin with, a
    call that has taken 10 ms has been looked for 7 times, one of 20 ms 4 times
    more (the interval is about 2 ms and 3 ms then), one of 100 ms 25 times, one
    of 200 ms 31 times and one of 1 second 48 times. The interval is always about
    one tenth of the time that has passed since the first look, 0.1 second after
    a second. With a backoff of 1.05 it is half of that, and it takes 81 looks to
    reach a second. (After I{n} looks C{interval * (backoff**n - 1) / (backoff - 1)}
    seconds have passed. The page of AsynQueue's C{ProcessWorker}, of 2022-11-17,
    has the 7 and 4 looks at 100 ms and 200 ms, which is true of an interval of 10
    ms; its 48, 81 and one tenth hold.)

    There workers were efficient to 96.7 % with calls of 0 to 200 ms at a backoff
    of 1.05 and to 94.5 % at 1.10, with calls of 100 ms to 95.5 % and 99 %, with
    calls of a second to 97.5 % and 94.3 %. C{docs/tuning.rst} tells why, and what
    they are here; C{python -m asynqueue tune} measures it on another machine.

    @cvar cQualified: The series that all of my class are qualified for,
        C{'process'} and C{'local'}.
    @ivar iQualified: A list of further series that I am qualified for.
    @ivar prefetch: How many further calls may wait in the pipe.
    @ivar ID: What my queue knows me by, C{None} without one.
    @ivar deaths: The last L{Death<asynqueue.deaths.Death>}s of my processes that
        nobody asked for, the latest at the right: a C{deque}.
    @ivar death: How the process that I last had died: a
        L{WorkerDied<asynqueue.errors.WorkerDied>}, C{None} if it was ended.
    @ivar state: A L{WorkerState}.
    """

    cQualified: ClassVar[list[Hashable]] = ["process", "local"]

    def __init__(
        self,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        callStats: bool = False,
        useReactor: bool = False,
        context: Any = None,
        pickler: str = "pickle",
        poller: Any = "thread",
        interval: float = 0.001,
        backoff: float = 1.10,
        prefetch: int = 0,
        readAhead: bool = True,
        shareAbove: int | None = None,
        maxCalls: int | None = None,
        maxMemory: int | None = None,
        logs: bool = True,
        reactor: Any = None,
        launch: Callable[..., Any] = Child,
    ) -> None:
        """
        Constructs me with a poller and no tasks.

        @param series: A list of one or more task series that this particular
            instance of me is qualified to handle. (It is copied.)
        @param raw: C{True} if you want raw iterators to be returned instead of
            L{Deferator<asynqueue.deferator.Deferator>} instances. An iterator
            is then pickled like any value, which only some can be. You can
            override this by the same keyword in a call.
        @param callStats: C{True} if you want stats kept about how long the
            calls took to send and to run on the process. Obtain a list of the
            call times here and on the process (2-tuples) with
            L{stats<asynqueue.figures.Figures.stats>}. The list grows by a tuple
            with each call.
        @param useReactor: C{True} to run a Twisted reactor in the process. A
            call may then return a Deferred or a coroutine, and what that comes
            to is its result. It works with and without I{raw}.
        @param context: A C{multiprocessing} context, or the name of a start
            method. C{"forkserver"} unless given, where there is one, else
            C{"spawn"}. With I{useReactor} it cannot be C{"fork"}: a copy of a
            process whose reactor runs has no use for another.
        @param pickler: What pickles calls and results. C{"cloudpickle"} sends
            lambdas, functions within functions and what is of C{__main__}, too, and
            takes longer. C{pip install 'asynqueue[cloudpickle]'} installs it.
        @param poller: How I learn of answers, by name (L{asynqueue.pollers.POLLERS}):
            C{"thread"}, as above; C{"reactor"}, the reactor watches the pipe, which
            it cannot on Windows. Or a callable that makes a provider of
            L{IPoller<asynqueue.interfaces.IPoller>}.
        @param interval: See above.
        @param backoff: See above.
        @param prefetch: How many further calls may wait in the pipe while one runs,
            0 to L{MOST<asynqueue.tickets.MOST>}. More than 0 is for floods of
            calls that take next to no time: the process then need not wait for the
            next, but a more urgent call does not overtake those that wait there. They
            have not begun: they are taken back, and run elsewhere, if the process
            dies, or another worker has nothing to do. Not on Windows.
        @param readAhead: C{False} to have each item of an iterator taken only when
            it is asked for. Else those that come quickly are taken ahead of their
            reader, as many as he has taken, and sent together: see
            L{asynqueue.batches}.
        @param shareAbove: From how many bytes on the arrays in calls, results and items
            (whatever offers its buffer, but C{bytes}) cross in shared memory, at least
            L{OUT_OF_BAND<asynqueue.contents.OUT_OF_BAND>}. Up to
            L{KEPT<asynqueue.slots.KEPT>} bytes of it, or as much as the largest array
            has, are kept for each process and either direction. Not on Windows.
        @param maxCalls: How many calls a process does; a queue then has another
            take its place, which was started meanwhile. Until that is up the
            old one goes on, so it may do some more. C{None} for any number.
        @param maxMemory: How large the resident set of a process may be between
            calls, in kilobytes (1024 bytes), until a queue has another take its
            place likewise. It is looked at every
            L{PAUSE<asynqueue.deaths.PAUSE>} seconds at most, so 10 times a
            second. C{None} for any size.
        @param logs: C{True} to have what the process logs by the standard C{logging}
            handled by the loggers of the same names here, as far as they have let it
            pass when it was started. See L{asynqueue.reports}.
        @param reactor: The reactor to use, the global one if C{None}.
        @param launch: Makes a L{Child<asynqueue.children.Child>} or the like.
        @raise ValueError: if there is no such start method, pickler or poller, or
            a number is out of range.
        @raise ImportError: if the pickler is not installed.
        @raise TypeError: if I{series} is a string, or context or poller is of no use.
        @raise RuntimeError: if no process could import the main module of the program.
        """
        if isinstance(series, (str, bytes)):
            raise TypeError(f"series has to be a list of series, not {series!r}")
        reactor = theReactor(reactor)
        super().__init__(
            makePoller(poller, interval, backoff, reactor),
            callStats,
            maxCalls,
            maxMemory,
            reactor,
        )
        self.iQualified: list[Hashable] = list(series)
        self.death: WorkerDied | None = None
        self.state = WorkerState.DOWN
        self.deaths = newHistory()
        self.ID: int | None = None
        self._makePickler = findPickler(pickler)
        self._readAhead = readAhead
        self._reactor = reactor
        settings: dict[str, Any] = {
            "raw": raw,
            "useReactor": useReactor,
            "pickler": pickler,
            "prefetch": prefetch,
            "shareAbove": shareAbove,
        }
        self.prefetch = prefetch
        self._starter = Starter(context, logs, reactor, launch, **settings)
        self._makeAnother = partial(
            type(self),
            callStats=callStats,
            context=context,
            poller=poller,
            readAhead=readAhead,
            maxCalls=maxCalls,
            maxMemory=maxMemory,
            logs=logs,
            reactor=reactor,
            launch=launch,
            **settings,
        )
        self._life = None
        self._looper = ThreadLooper(reactor=reactor)
        self._resignators: list[Callable[[], Any]] = []
        self._stopped: Deferred[None] | None = None

    def __repr__(self) -> str:
        pid = None if self.process is None else self.process.pid
        return f"<ProcessWorker {self.state.name}, process {pid}>"

    def setResignator(self, callableObject: Callable[[], Any]) -> None:
        """
        Registers I{callableObject}, which I call, without arguments, when my process is
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
            self.state, self.death = WorkerState.UP, None
            self._isNew(self._starter.newChild(self.ID))
            channel = Channel(self.process, self._poller, self._reactor, self.prefetch)
            iterators = RemoteIterators(
                channel, self._reactor, self._looper, self._readAhead
            )
            life = self._life = Life(
                channel, self._record, iterators, self._looper, self._makePickler
            )
            channel.whenDied = partial(self._died, channel)
            channel.ended.addCallback(self._lifeEnded, life)
            channel.open()
        if self._life is None:
            raise WorkerError("The worker was stopped")
        return self._life.channel.whenUp()

    def run(self, task: Task) -> "Deferred[None]":
        """
        Sends the task's callable and args, kw to the process (all of which must
        be picklable), and ends the task when the result is there.

        A process that I lack is started first.

        @return: A Deferred that fires when I am ready for another task. It
            never fires if the process dies of this one: my resignation tells.
        """
        ready: Deferred[None] = Deferred()
        self.begin(task, partial(ready.callback, None))
        return ready

    def begin(self, task: Task, ready: Callable[[], Any]) -> None:
        """
        Does what L{run} does with a I{task}, and calls I{ready} where that fires.
        """
        if self.state is WorkerState.DOWN:
            self.start()
        if self._life is None or self.state is WorkerState.STOPPING:
            task.callback((Status.ERROR, WorkerError("The worker was stopped")))
            ready()
        else:
            self._life.run(task, ready)

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
        if self._stopped is None:
            self.state = WorkerState.STOPPING
            self._stopped = Deferred.fromCoroutine(self._stop())
        return branch(self._stopped)

    def successor(self) -> "ProcessWorker":
        """
        Makes another of my kind, with my settings, my qualifications and my lists
        of call times and deaths.
        """
        successor = self._makeAnother(
            series=self.iQualified, interval=self.interval, backoff=self.backoff
        )
        successor.callTimes = self.callTimes
        successor.deaths = self.deaths
        return successor

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

    async def _stop(self) -> None:
        if self._life is not None:
            await self._life.finish()
        await self._poller.stop()
        await self._looper.stop()
        self.state = WorkerState.STOPPED

    def _died(self, channel: Channel, died: WorkerDied) -> None:
        self.death = died
        record(self.deaths, died, self.ID, channel.lost, self._memory.last)

    def _lifeEnded(self, died: WorkerDied, life: Life) -> WorkerDied:
        life.iterators.abandon()
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
