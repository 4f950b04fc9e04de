"""
Tasks in order, and how many of them are how urgent.
"""

from collections import defaultdict
from typing import Any

from asynqueue.priority import Priority

__all__ = ["Heap", "taskKey"]


def taskKey(task: Any) -> Any:
    """
    @return: What a task is put in order by.
    """
    return task.key


class Heap(Priority[Any]):
    """
    I am a heap of tasks of one series.

    @ivar urgencies: How many of each urgency there are, or have been, where that is 0.
        Whoever puts tasks in and takes them out keeps it right.
    """

    def __init__(self) -> None:
        super().__init__(taskKey)
        self.urgencies: defaultdict[float, int] = defaultdict(int)
