"""
What of a worker is up to the life of its process.
"""

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from asynqueue.errors import WorkerError
from asynqueue.life import Life
from asynqueue.task import Task


class Lifeline:
    """
    I hand on what a worker is asked to the life of the process that it has, I{_life},
    if it has one.

    @cvar mayBeginAnew: C{True}: a worker can always have another process.
    """

    mayBeginAnew = True
    _life: Life | None

    @property
    def tasks(self) -> list[Task]:
        """
        A list of the tasks that I have.
        """
        return [] if self._life is None else self._life.tasks

    def do_next(self, ID: int) -> "Deferred[Any]":
        """
        Does a next call of an iterator held by my process: over the pipe, unless
        the item is here already. It comes before the calls that wait, but takes
        turns with them.

        @param ID: The unique integer by which the process knows the iterator.
        @return: A Deferred that fires with the item. It fails with
            C{StopIteration} at the end, or with what the iterator raised.
        """
        if self._life is None:
            return fail(WorkerError("There is no process, and so no iterator"))
        return self._life.iterators.do_next(ID)

    def cancel(self, task: Task) -> None:
        """
        Abandons a task: what my process has not begun it never will, and what
        it has begun ends with the process.
        """
        if self._life is not None:
            self._life.cancel(task)

    def recall(self) -> list[Task]:
        """
        Lets go of the tasks that my process has not begun, and never will.

        @return: A list of them.
        """
        return [] if self._life is None else self._life.recall()

    def settled(self) -> "Deferred[None]":
        """
        @return: A Deferred that fires when I have no task, and none of my
            iterators is open.
        """
        if self._life is None:
            return succeed(None)
        return Deferred.fromCoroutine(self._life.settled())
