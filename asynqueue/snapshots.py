"""
What a queue tells of itself, put together.
"""

import time
from typing import Any

from asynqueue.about import aboutCall, aboutCallable
from asynqueue.employment import Employee, EmployeeState
from asynqueue.interfaces import IMeasured
from asynqueue.queues import Queue
from asynqueue.statistics import (
    MOST_CALLS,
    CallInHand,
    Statistics,
    Waiting,
    WorkerStatistics,
)
from asynqueue.tally import Tally
from asynqueue.task import Task
from asynqueue.workforce import TaskHandler

__all__ = ["snapshot"]

_STATES = {
    EmployeeState.PREPARING: "preparing",
    EmployeeState.WORKING: "working",
    EmployeeState.LEFT: "leaving",
}


def snapshot(th: TaskHandler, q: Queue, isRunning: bool) -> Statistics:
    """
    @param th: The workers of the queue.
    @param q: What waits in it.
    @return: What is to be told of it at this moment.
    """
    workers, inHand, tallies = [], 0, {}
    for employee in th.employees():
        tally, handed = employee.tally, employee.handed()
        # A worker that has a successor has lost its place to that.
        isOwn = tally not in tallies
        tallies[tally] = employee
        inHand += len(handed)
        workers.append(_worker(employee, handed, tally if isOwn else Tally()))
    total = Tally()
    total.absorb([th.tally, *tallies])
    callSeconds, overheadSeconds = total.histograms()
    return Statistics(
        time=time.time(),
        isRunning=isRunning,
        waiting=tuple(Waiting(*key, calls) for key, calls in q.waiting().items()),
        inHand=inHand,
        done=total.done,
        failed=total.failed,
        cancelled=total.cancelled,
        deaths=total.deaths,
        restarts=total.restarts,
        callSeconds=callSeconds,
        overheadSeconds=overheadSeconds,
        workers=tuple(sorted(workers, key=lambda worker: worker.ID)),
    )


def _worker(employee: Employee, handed: list[Task], tally: Tally) -> WorkerStatistics:
    worker: Any = employee.worker
    isMeasured = IMeasured.providedBy(worker)
    callSeconds, overheadSeconds = tally.histograms()
    series = employee.qualifications()
    return WorkerStatistics(
        ID=worker.ID,
        kind=type(worker).__name__,
        state=_STATES[employee.state],
        pid=worker.pid if isMeasured else None,
        series=tuple(each for each in series if each is not None),
        calls=tuple(map(_call, handed[:MOST_CALLS])),
        done=tally.done,
        failed=tally.failed,
        deaths=tally.deaths,
        restarts=tally.restarts,
        memory=worker.memory if isMeasured else None,
        callSeconds=callSeconds,
        overheadSeconds=overheadSeconds,
    )


def _call(task: Task) -> CallInHand:
    return CallInHand(
        function=aboutCallable(task.callTuple[0]),
        text=aboutCall(task.callTuple),
        series=task.series,
        seconds=time.perf_counter() - task.handedAt,
    )
