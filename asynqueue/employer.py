"""
What a worker's employment needs of whoever hired it.
"""

from collections.abc import Hashable
from typing import Any
from weakref import WeakSet

from twisted.python.failure import Failure

from asynqueue.errors import ImplementationError
from asynqueue.task import Task

employed: "WeakSet[Any]" = WeakSet()
"""
The workers that somebody has hired and that are not gone since then.
"""


def checkFree(worker: Any) -> None:
    """
    @raise ImplementationError: if somebody has hired a worker, who would not know
        what it does for others.
    """
    if worker in employed:
        raise ImplementationError(
            f"{worker!r} works for another queue. Make a worker for each queue, "
            "or wait until detachWorker() there has fired"
        )


class Employer:
    """
    What an L{Employee<asynqueue.employment.Employee>} needs of whoever hired it.
    Override me.
    """

    def savedUpdates(self, series: "list[Hashable]") -> "list[Task]":
        """
        @return: The updates that a newcomer with these qualifications runs.
        """
        return []

    def ready(self) -> None:
        """
        An employee has become ready for a task.
        """

    def changed(self, employee: Any) -> None:
        """
        An employee may have come to be qualified for other series than before.
        """

    def returned(self, tasks: "list[Task]") -> None:
        """
        An employee gives back tasks that it had but did not begin.
        """

    def lost(self, employee: Any, why: Failure) -> None:
        """
        An employee will never take tasks again.
        """
