"""
Tasks that wait behind another while somebody has nothing to do.
"""

from collections.abc import Callable, Collection
from typing import Any

from asynqueue.assignments import AssignmentFactory
from asynqueue.employment import Employee
from asynqueue.interfaces import IPrefetcher
from asynqueue.reactors import theReactor

PATIENCE = 0.005
"""
How long a worker may have nothing to do, in seconds, while tasks wait behind others
elsewhere. Most of those that are sent ahead take much less: to take them back would
cost more than to wait.
"""


class Recalls:
    """
    I have workers give back the tasks that they have not begun with when another has
    nothing to do and can run one of them.
    """

    def __init__(
        self,
        factory: AssignmentFactory,
        employees: "Callable[[], Collection[Employee]]",
        reactor: Any,
    ) -> None:
        """
        @param factory: Knows who has nothing to do.
        @param employees: Is called for those who may have too much.
        """
        self._factory = factory
        self._employees = employees
        self._reactor = reactor
        self._call: Any = None

    def look(self) -> None:
        """
        Has a look soon, if there is reason to. To be called when a worker may have
        been left with nothing to do.
        """
        if self._call is None and self._stranded() is not None:
            reactor = theReactor(self._reactor)
            self._call = reactor.callLater(PATIENCE, self._recall)

    def stop(self) -> None:
        """
        Looks no more.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _recall(self) -> None:
        self._call = None
        stranded = self._stranded()
        if stranded is not None:
            stranded.recall()
            self.look()

    def _stranded(self) -> Employee | None:
        """
        @return: Of those who have tasks waiting that an idle worker could run, and can
            give them back, the one that has most.
        """
        if not self._factory.waiting:
            return None
        loaded = [
            employee
            for employee in self._employees()
            if employee.inHand > 1 and IPrefetcher.providedBy(employee.worker)
        ]
        if not loaded:
            return None
        idle = {series for some in self._factory.waiting.values() for series in some}
        stranded = [
            employee
            for employee in loaded
            if any(task.series in idle for task in employee.worker.tasks[1:])
        ]
        return max(stranded, key=lambda employee: employee.inHand, default=None)
