"""
A queue of workers without processes, for the tests of code that makes calls.
"""

from collections.abc import Callable, Container, Hashable, Iterable
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from asynqueue.base import TaskQueue
from asynqueue.checks import checkInteger
from asynqueue.deaths import newHistory
from asynqueue.memoryworker import MemoryWorker

__all__ = ["MemoryQueue", "MemoryWorker", "SteppedReactor"]


class SteppedReactor(MemoryReactorClock):
    """
    I am a reactor that a test steps, by C{advance(seconds)}: a
    C{twisted.internet.testing.MemoryReactorClock} that also has what others call from
    their threads, and can be told that something is no longer to be called when I stop.
    """

    def callFromThread(self, f: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """
        Calls I{f} when I am next advanced, be it by 0 seconds.
        """
        self.callLater(0, f, *args, **kw)

    def addSystemEventTrigger(  # type: ignore[override]
        self, phase: str, event: str, f: Callable[..., Any], *args: Any, **kw: Any
    ) -> Any:
        """
        Keeps I{f} and what it is to be called with in C{triggers[phase][event]}, a list
        of tuples.

        @return: That tuple, of I{phase}, I{event}, I{f}, its arguments, its keywords.
        """
        trigger = (phase, event, f, args, kw)
        self.triggers.setdefault(phase, {}).setdefault(event, []).append(trigger)
        return trigger

    def removeSystemEventTrigger(self, trigger: Any) -> None:
        """
        Forgets a I{trigger}, which L{addSystemEventTrigger} has returned.

        @raise ValueError: if it is not there.
        """
        self.triggers[trigger[0]][trigger[1]].remove(trigger)


class MemoryQueue(TaskQueue):
    """
    I am a L{TaskQueue<asynqueue.base.TaskQueue>} with a number of L{MemoryWorker}s, and
    take the place of a L{ProcessQueue<asynqueue.process.ProcessQueue>} in the tests of
    code that is given one. Nothing happens but what the test says: it has the workers,
    from L{workers<asynqueue.workplace.Workplace.workers>}, end their calls, and the
    reactor's time pass.

    @ivar reactor: The reactor that I was given, or a L{SteppedReactor}.
    @ivar deaths: The last L{Death<asynqueue.deaths.Death>}s of the workers that nobody
        asked for, the latest at the right: a C{deque}.
    """

    def __init__(
        self,
        N: int = 1,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        up: bool = True,
        instant: bool = False,
        held: "Container[Any]" = (),
        pickler: str | None = "pickle",
        reactor: Any = None,
        **kw: Any,
    ) -> None:
        """
        @param N: How many workers. What is said in L{MemoryWorker} of what follows, but
            for I{reactor} and I{kw}, holds for each of them.
        @param series: A list of the series that they are qualified for, beside those of
            their class.
        @param raw: C{True} to have iterators returned as the values that they are.
        @param up: C{False} if they come up only when the test says so.
        @param instant: C{True} to have calls made as soon as a worker has them.
        @param held: Callables whose calls are not.
        @param pickler: C{"pickle"}, C{"cloudpickle"}, or C{None} to copy nothing.
        @param reactor: The reactor to use, a new L{SteppedReactor} if C{None}.
        @param kw: Keywords of L{TaskQueue<asynqueue.base.TaskQueue>}.
        @raise ValueError: if I{N} is below 1, or there is no such pickler.
        @raise ImportError: if the pickler is not installed.
        """
        checkInteger("N, the number of workers,", N, 1)
        self.reactor: Any = reactor
        if reactor is None:
            self.reactor = SteppedReactor()  # type: ignore[no-untyped-call]
        self.deaths = newHistory()
        workers = [
            MemoryWorker(
                series=series,
                raw=raw,
                up=up,
                instant=instant,
                held=held,
                pickler=pickler,
                reactor=self.reactor,
            )
            for _ in range(N)
        ]
        for worker in workers:
            worker.deaths = self.deaths
        super().__init__(*workers, reactor=self.reactor, **kw)
