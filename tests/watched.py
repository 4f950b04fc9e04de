"""
A queue to be watched that is none: it tells of itself what a test says.
"""

from dataclasses import replace
from typing import Any

from asynqueue.deaths import Death
from asynqueue.statistics import (
    CallInHand,
    Histogram,
    Statistics,
    Waiting,
    WorkerStatistics,
)

BOUNDS = (0.0001, 0.001, 0.01, 0.1, 1.0)

NASTY = "<script>document.title = 'taken'</script>"
"""
What must be shown as the text that it is, wherever it comes from.
"""


def times(*counts):
    """
    @return: A histogram with some counts, and as much time as they have at most.
    """
    counts = counts or (0,) * (len(BOUNDS) + 1)
    total = sum(n * bound for n, bound in zip(counts, (*BOUNDS, 2.0), strict=True))
    return Histogram(BOUNDS, counts, total)


def worker(ID=1, **how):
    """
    @return: What is told of a worker that has nothing to do.
    """
    told = WorkerStatistics(
        ID=ID,
        kind="ProcessWorker",
        state="working",
        pid=1000 + ID,
        series=(),
        calls=(),
        done=0,
        failed=0,
        deaths=0,
        restarts=0,
        memory=None,
        callSeconds=times(),
        overheadSeconds=times(),
    )
    return replace(told, **how)


def call(name="work.grind", series=None, seconds=0.5):
    """
    @return: A call in hand.
    """
    return CallInHand(name, f"{name}('secret')", series, seconds)


def death(**how):
    """
    @return: A death by SIGKILL.
    """
    told: dict[str, Any] = {
        "time": 1.7e9,
        "worker": 1,
        "pid": 1001,
        "exitCode": -9,
        "signal": "SIGKILL",
        "call": "work.grind('secret')",
        "memory": 4096,
        "stack": None,
        "text": "Worker process 1001 was killed by SIGKILL",
    }
    return Death(**{**told, **how})


def waiting(*rows):
    """
    @param rows: 3-tuples of a series, an urgency and a number of calls.
    """
    return tuple(Waiting(*row) for row in rows)


class WatchedQueue:
    """
    @ivar now: What I tell next.
    @ivar asked: How often I was asked.
    @ivar deaths: What has died.
    """

    def __init__(self, **how):
        self.asked = 0
        self.deaths: list[Death] = []
        told = Statistics(
            time=1.7e9,
            isRunning=True,
            waiting=(),
            inHand=0,
            done=0,
            failed=0,
            cancelled=0,
            deaths=0,
            restarts=0,
            callSeconds=times(),
            overheadSeconds=times(),
            workers=(worker(1), worker(2)),
        )
        self.now = replace(told, **how)

    def change(self, **how):
        """
        Changes what I tell, a second later.
        """
        self.now = replace(self.now, **{"time": self.now.time + 1, **how})

    def statistics(self):
        self.asked += 1
        return self.now
