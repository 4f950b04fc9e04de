"""
What a worker's employment needs of whoever hired it.
"""

from collections.abc import Hashable
from typing import Any

from twisted.python.failure import Failure

from asynqueue.task import Task


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
