"""
What an asyncio loop does meanwhile.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

AGAIN = 0.1
"""
After how many seconds what goes on is cancelled again when it has to end: before Python
3.12, C{asyncio.wait_for} may swallow that.
"""


class Background:
    """
    I have coroutines run, and know those that have not come to their ends.
    """

    def __init__(self, failed: Callable[[BaseException], Any]) -> None:
        """
        @param failed: Is called with what one of them has raised, but not with an
            C{OSError}: that whom it talked to is gone is told by other ways.
        """
        self._failed = failed
        self._tasks: set[asyncio.Task[Any]] = set()

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """
        Runs one.
        """
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def end(self) -> None:
        """
        Cancels them all, and waits for their ends.
        """
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(list(self._tasks), timeout=AGAIN)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, OSError):
            self._failed(error)
