"""
What a queue tells of itself, as a page in a browser reads it.
"""

import json
import math
import re
from collections.abc import Hashable, Iterable, Sequence
from heapq import nlargest
from typing import Any

from asynqueue.about import aboutObject
from asynqueue.deaths import Death
from asynqueue.statistics import (
    CallInHand,
    Histogram,
    Statistics,
    Waiting,
    WorkerStatistics,
)

WAITING, WORKERS, CALLS, SERIES, DEATHS = 100, 200, 3, 10, 10
"""
How many rows of calls that wait, workers, calls of one worker, series of one and deaths
are told of at most. Of the others only the number is, so that a page stays a page
whatever the queue is like.
"""

NAME, TEXT = 100, 300
"""
How many characters names, and other texts, have at most.
"""


def figures(
    statistics: Statistics, deaths: Sequence[Death] = (), arguments: bool = False
) -> dict[str, Any]:
    """
    @param deaths: The deaths of its workers' processes, the latest at the right.
    @param arguments: C{True} to have calls with their arguments.
    @return: What JSON has words for: texts, finite numbers, lists and dicts. Times
        are in seconds, sizes in bytes, and C{None} is what is not known.
    """
    some = _some(statistics.waiting)
    return {
        "time": statistics.time,
        "isRunning": statistics.isRunning,
        "waiting": sum(row.calls for row in statistics.waiting),
        "waitingRows": some,
        "moreWaitingRows": len(statistics.waiting) - len(some),
        "inHand": statistics.inHand,
        "done": statistics.done,
        "failed": statistics.failed,
        "cancelled": statistics.cancelled,
        "deaths": statistics.deaths,
        "restarts": statistics.restarts,
        "callSeconds": _histogram(statistics.callSeconds),
        "overheadSeconds": _histogram(statistics.overheadSeconds),
        "workers": [_worker(each, arguments) for each in statistics.workers[:WORKERS]],
        "moreWorkers": max(0, len(statistics.workers) - WORKERS),
        "lastDeaths": [_death(each, arguments) for each in _latest(deaths)],
    }


def encode(figures: dict[str, Any]) -> bytes:
    """
    @return: Figures as JSON, in one line of ASCII.
    """
    text = json.dumps(figures, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii")


def _some(rows: Sequence[Waiting]) -> list[dict[str, Any]]:
    """
    @return: Those of the most calls, in an order that does not depend on how many: by
        series, the most urgent of each first.
    """
    some = nlargest(WAITING, rows, key=lambda row: row.calls)
    some.sort(key=lambda row: (_series(row.series) or "", row.urgency))
    return [_waiting(row) for row in some]


def _waiting(row: Waiting) -> dict[str, Any]:
    return {
        "series": _series(row.series),
        "urgency": _urgency(row.urgency),
        "calls": row.calls,
    }


def _worker(worker: WorkerStatistics, arguments: bool) -> dict[str, Any]:
    return {
        "ID": worker.ID,
        "kind": _cut(worker.kind, NAME),
        "state": worker.state,
        "pid": worker.pid,
        "series": [_series(each) for each in worker.series[:SERIES]],
        "moreSeries": max(0, len(worker.series) - SERIES),
        "calls": [_call(each, arguments) for each in worker.calls[:CALLS]],
        "moreCalls": max(0, len(worker.calls) - CALLS),
        "done": worker.done,
        "failed": worker.failed,
        "deaths": worker.deaths,
        "restarts": worker.restarts,
        "memory": worker.memory,
        "callMean": _mean(worker.callSeconds),
        "overheadMean": _mean(worker.overheadSeconds),
    }


def _call(call: CallInHand, arguments: bool) -> dict[str, Any]:
    text = _cut(call.text, TEXT) if arguments else _cut(_name(call.function), NAME)
    return {"text": text, "series": _series(call.series), "seconds": call.seconds}


def _name(function: str) -> str:
    """
    @return: The name of a function, without what may follow: what has no name is told
        by its C{repr}, and that of a C{functools.partial} has arguments.
    """
    found = re.match(r"<?([\w.]+(?:<\w+>[\w.]*)*)", function)
    return "?" if found is None else found[1]


def _death(death: Death, arguments: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "time": death.time,
        "worker": death.worker,
        "pid": death.pid,
        "exitCode": death.exitCode,
        "signal": death.signal,
        "text": _cut(death.text, TEXT),
    }
    if arguments:
        told["call"] = None if death.call is None else _cut(death.call, TEXT)
    return told


def _latest(deaths: Iterable[Death]) -> list[Death]:
    """
    @return: The last of them, the latest first.
    """
    return list(deaths)[: -DEATHS - 1 : -1]


def _histogram(histogram: Histogram) -> dict[str, Any]:
    return {
        "bounds": list(histogram.bounds),
        "counts": list(histogram.counts),
        "total": histogram.total,
    }


def _mean(histogram: Histogram) -> float | None:
    count = sum(histogram.counts)
    return histogram.total / count if count else None


def _urgency(urgency: float) -> float | str:
    """
    @return: A niceness, or which of the two it is that JSON has no number for.
    """
    if math.isfinite(urgency):
        return urgency
    return "doNext" if urgency < 0 else "doLast"


def _series(series: Hashable) -> str | None:
    if series is None:
        return None
    return _cut(series if isinstance(series, str) else aboutObject(series), NAME)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
