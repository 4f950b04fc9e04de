"""
A queue whose calls are made in the reactor's thread.
"""

from collections.abc import Hashable, Iterable
from typing import Any

from asynqueue.asyncworker import AsyncWorker
from asynqueue.base import TaskQueue

__all__ = ["NullQueue"]


class NullQueue(TaskQueue):
    """
    I am a L{TaskQueue<asynqueue.base.TaskQueue>} with one L{AsyncWorker}: my
    calls have their order, but no place of their own, and must not block.
    """

    def __init__(
        self,
        *,
        series: "Iterable[Hashable]" = (),
        raw: bool = False,
        reactor: Any = None,
        **kw: Any,
    ) -> None:
        """
        @param series: As of L{AsyncWorker}.
        @param raw: As of L{AsyncWorker}.
        @param reactor: The reactor to use, the global one if C{None}.
        @param kw: Other keywords of L{TaskQueue<asynqueue.base.TaskQueue>}.
        """
        super().__init__(AsyncWorker(series, raw, reactor), reactor=reactor, **kw)
