"""
A queue of workers that run calls in processes of their own.
"""

from collections.abc import Hashable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed

from asynqueue.base import TaskQueue
from asynqueue.checks import checkInteger
from asynqueue.processworker import ProcessWorker
from asynqueue.task import Task

__all__ = ["ProcessQueue", "ProcessWorker"]


class ProcessQueue(TaskQueue):
    """
    I am a L{TaskQueue<asynqueue.base.TaskQueue>} with a number of
    L{ProcessWorker}s. One whose process dies starts another, which runs the
    saved updates before anything else.
    """

    def __init__(
        self,
        N: int | None = None,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        callStats: bool = False,
        useReactor: bool = False,
        context: Any = None,
        poller: Any = "thread",
        interval: float = 0.001,
        backoff: float = 1.10,
        reactor: Any = None,
        **kw: Any,
    ) -> None:
        """
        @param N: How many workers; as many as there are L{cores} if C{None}.
        @param kw: Keywords of L{TaskQueue<asynqueue.base.TaskQueue>}. The
            others are those of L{ProcessWorker}.
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
                poller=poller,
                interval=interval,
                backoff=backoff,
                reactor=reactor,
            )
            for _ in range(N)
        ]
        super().__init__(reactor=reactor, **kw)
        for worker in workers:
            # If it never comes up, the calls that wait for it tell.
            self.attachWorker(worker).addErrback(lambda _: None)

    @staticmethod
    def cores() -> int:
        """
        @return: The number of CPU cores available, as of
            L{ProcessWorker.cores}.
        """
        return ProcessWorker.cores()

    def stats(self) -> "Deferred[list[tuple[float, float]]]":
        """
        @return: A Deferred that fires with the call times of all workers, as
            from L{ProcessWorker.stats}, one worker's after the other's.
        """
        return succeed([pair for worker in self.workers() for pair in worker.callTimes])

    def crashWorkers(self) -> "Deferred[list[list[Task]]]":
        """
        Ends all workers at once. Their calls fail with a
        L{WorkerError<asynqueue.errors.WorkerError>}. New workers may be
        attached.

        @return: A Deferred that fires when they are gone, with a list of lists
            of the tasks that they did not do.
        """
        ends = [self.detachWorker(worker, crash=True) for worker in self.workers()]
        return gatherResults(ends)
