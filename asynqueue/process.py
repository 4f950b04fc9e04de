"""
A queue of workers that run calls in processes of their own.
"""

from collections.abc import Hashable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed

from asynqueue.base import TaskQueue
from asynqueue.checks import checkInteger
from asynqueue.deaths import newHistory
from asynqueue.processbase import ProcessBase
from asynqueue.processworker import ProcessWorker
from asynqueue.task import Task
from asynqueue.universe import ProcessUniverse

__all__ = ["ProcessBase", "ProcessQueue", "ProcessUniverse", "ProcessWorker"]


class ProcessQueue(TaskQueue):
    """
    I am a L{TaskQueue<asynqueue.base.TaskQueue>} with a number of
    L{ProcessWorker}s. One whose process dies starts another, which runs the
    saved updates before anything else. One that is worn out, by its I{maxCalls}
    or I{maxMemory}, gets a successor.

    @ivar deaths: The last L{Death<asynqueue.deaths.Death>}s of their processes
        that nobody asked for, the latest at the right: a C{deque}. Each has also
        been logged.
    """

    def __init__(
        self,
        N: int | None = None,
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
        logs: bool = True,
        maxCalls: int | None = None,
        maxMemory: int | None = None,
        reactor: Any = None,
        **kw: Any,
    ) -> None:
        """
        @param N: How many workers; as many as there are L{cores} if C{None}.
        @param series: A list of the series that the workers are qualified for,
            beside those of their class. What is said in L{ProcessWorker} of this and
            of all that follows, but for I{kw}, holds for each of them.
        @param raw: C{True} to have iterators returned as the values that they are.
        @param callStats: C{True} to keep call times for L{stats}.
        @param useReactor: C{True} to run a Twisted reactor in the processes.
        @param context: A C{multiprocessing} context, or the name of a start method.
        @param pickler: C{"pickle"} or C{"cloudpickle"}.
        @param poller: How answers are learned of: C{"thread"}, C{"reactor"}, or what
            makes a poller.
        @param interval: The initial event-checking interval, in seconds.
        @param backoff: What it is multiplied by after each check, from 1.0 to 1.3.
        @param prefetch: How many further calls may wait in the pipe of each process.
        @param readAhead: C{False} to have items taken only when they are asked for.
        @param shareAbove: From how many bytes on arrays cross in shared memory,
            C{None} for never.
        @param logs: C{False} to leave C{logging} in the processes alone.
        @param maxCalls: How many calls a process does before it is replaced, C{None}
            for any number.
        @param maxMemory: How large its resident set may become, in kilobytes,
            C{None} for any size.
        @param reactor: The reactor to use, the global one if C{None}.
        @param kw: Keywords of L{TaskQueue<asynqueue.base.TaskQueue>}.
        @raise ValueError: if I{N} is below 1, or a keyword of the workers is
            out of range.
        """
        if N is None:
            N = self.cores()
        checkInteger("N, the number of workers,", N, 1)
        workers = [
            ProcessWorker(
                series=series,
                raw=raw,
                callStats=callStats,
                useReactor=useReactor,
                context=context,
                pickler=pickler,
                poller=poller,
                interval=interval,
                backoff=backoff,
                prefetch=prefetch,
                readAhead=readAhead,
                shareAbove=shareAbove,
                logs=logs,
                maxCalls=maxCalls,
                maxMemory=maxMemory,
                reactor=reactor,
            )
            for _ in range(N)
        ]
        self.deaths = newHistory()
        super().__init__(*workers, reactor=reactor, **kw)

    @staticmethod
    def cores() -> int:
        """
        @return: The number of CPU cores available, as of
            L{ProcessWorker.cores}.
        """
        return ProcessWorker.cores()

    def attachWorker(self, worker: Any) -> "Deferred[int]":
        """
        As of L{TaskQueue<asynqueue.base.TaskQueue.attachWorker>}. If the I{worker} is
        a L{ProcessWorker}, its processes' deaths are kept in my history from now on.
        """
        if isinstance(worker, ProcessWorker):
            worker.deaths = self.deaths
        return super().attachWorker(worker)

    def stats(self) -> "Deferred[list[tuple[float, float]]]":
        """
        @return: A Deferred that fires with the call times of all workers, as
            from L{ProcessWorker.stats}, one worker's after the other's.
        """
        return succeed([pair for worker in self.workers() for pair in worker.callTimes])

    def crashWorkers(self) -> "Deferred[list[list[Task]]]":
        """
        Ends all workers at once, those too that were to finish what they have
        before they go. What they have in hand fails with a
        L{WorkerError<asynqueue.errors.WorkerError>}. What waits still waits, for
        workers that are attached from now on.

        @return: A Deferred that fires when they are gone, with a list of lists
            of the tasks that they did not do, one for each worker. It is empty
            for one that was going already.
        """
        workers = [*self.workers(), *self.th.leaving()]
        return gatherResults([self.detachWorker(each, crash=True) for each in workers])
