"""
How the processes of one worker are started.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from asynqueue.checks import checkInteger
from asynqueue.children import Child, getContext
from asynqueue.contents import OUT_OF_BAND
from asynqueue.entry import Settings
from asynqueue.guard import refuseInBootstrap, refuseNoFile
from asynqueue.reports import levelsHere
from asynqueue.tickets import MOST


class Starter:
    """
    I start the processes of one worker, one after another, all in the same way.
    """

    def __init__(
        self,
        context: Any,
        logs: bool,
        reactor: Any,
        launch: Callable[..., Any] = Child,
        **settings: Any,
    ) -> None:
        """
        @param context: As of L{getContext<asynqueue.children.getContext>}.
        @param logs: C{True} if the processes are to tell of their log records.
        @param launch: Makes a L{Child<asynqueue.children.Child>} or the like.
        @param settings: What the L{Settings<asynqueue.entry.Settings>} of all
            are to be.
        @raise ValueError: if there is no such start method, a reactor cannot be run
            by a process that was started by it, or a number among the settings is out
            of range.
        @raise TypeError: if I{context} is none.
        @raise RuntimeError: if no process could import the main module of the program.
        """
        refuseInBootstrap()
        self._context = getContext(context)
        refuseNoFile(self._context.get_start_method())
        self._logs = logs
        self._reactor = reactor
        self._launch = launch
        self._settings = Settings(
            forked=self._context.get_start_method() == "fork", **settings
        )
        _check(self._settings)
        if self._settings.useReactor and self._settings.forked:
            raise ValueError(
                "A forked process cannot run a reactor of its own, because it has "
                "its parent's. Use the context 'forkserver' or 'spawn' with useReactor"
            )

    def newChild(self, worker: int | None) -> Any:
        """
        Makes a L{Child<asynqueue.children.Child>}, which is still to be started.

        @param worker: The ID of the worker, C{None} if it has none.
        """
        levels = levelsHere() if self._logs else None
        settings = self._settings._replace(worker=worker, levels=levels)
        return self._launch(self._context, settings, self._reactor)


def _check(settings: Settings) -> None:
    checkInteger("prefetch", settings.prefetch, 0, MOST)
    if settings.prefetch and os.name != "posix":
        raise ValueError("prefetch needs pipes as POSIX has them")
    if settings.shareAbove is not None:
        checkInteger("shareAbove", settings.shareAbove, OUT_OF_BAND)
        if os.name != "posix" or find_spec("_ctypes") is None:
            raise ValueError("shareAbove needs POSIX, and Python's module ctypes")
