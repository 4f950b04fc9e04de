"""
A task's call on its way to a cluster.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from asynqueue.about import aboutCall
from asynqueue.carried import Carried
from asynqueue.errors import WorkerDied
from asynqueue.task import FIRST, LAST, Task

MOST_URGENT = 1000
"""
The dask priority of calls made with I{doNext}, and, below 0, of those with I{doLast}:
beyond all that a niceness comes to.
"""


class ClusterErrand:
    """
    I am a task's call on its way to the cluster and back.

    What I am told, and what is to be known of me, is as of
    L{Errand<asynqueue.clusterheld.Errand>}.
    """

    __slots__ = (
        "_life",
        "asks",
        "call",
        "isWanted",
        "name",
        "number",
        "ready",
        "resource",
        "runs",
        "sentAt",
        "task",
        "urgency",
    )

    def __init__(
        self,
        number: int,
        task: Task,
        resource: str | None,
        ready: Callable[[], Any],
        life: Any,
    ) -> None:
        self.number = number
        self.task = task
        # There when it has been pickled.
        self.call = b""
        self.resource = resource
        self.ready = ready
        self.name = _name(task)
        self.urgency = _urgency(task)
        self.runs = 1 + max(task.retries, 0)
        self.asks = hasToAsk(task)
        self.isWanted = True
        self.sentAt = 0.0
        self._life = life

    def begun(self) -> None:
        """
        It begins.
        """
        if self.isWanted:
            self.task.startTimer()

    def answered(self, node: str, parts: list[bytes]) -> None:
        """
        It is over.
        """
        self._life.answered(self, node, parts)

    def failed(self, error: Exception) -> None:
        """
        It could not be made.
        """
        self._life.end(self, error)

    def died(self, nodes: Sequence[str], why: str) -> None:
        """
        It has begun as often as it may.
        """
        times = "once" if len(nodes) == 1 else f"{len(nodes)} times"
        error = WorkerDied(
            f"The call {aboutCall(self.task.callTuple)} was lost in the middle: {why}. "
            f"As far as is known it has begun {times}, on {', '.join(nodes)}, which is "
            "as often as its retries allow"
        )
        self._life.end(self, error)

    def returned(self, runs: int) -> None:
        """
        It is to be made elsewhere, or later.
        """
        self.task.retries = runs - 1

    def released(self) -> None:
        """
        It takes up no place any more.
        """
        self._life.released(self)


def hasToAsk(task: Task) -> bool:
    """
    @return: C{True} if a node has to ask before it begins a task's call. If it has not,
        a node that is lost counts as one that began it, and its time begins when it is
        sent.
    """
    return task.retries <= 0 or task.timeout is not None


def _urgency(task: Task) -> int:
    if task.priority == FIRST:
        return MOST_URGENT
    return -MOST_URGENT if task.priority == LAST else -task.niceness


def _name(task: Task) -> str:
    """
    @return: What dask groups calls by, and shows: the name of the callable.
    """
    f = task.callTuple[0]
    name = getattr(f.f if isinstance(f, Carried) else f, "__name__", "call")
    return re.sub(r"\W", "_", f"{name}").strip("_") or "call"
