"""
How the block is left for which something lasts that has to be shut down.
"""

from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.awaiting import DualDeferred
from asynqueue.lifetime import Lifetime
from asynqueue.queues import Queue

__all__ = ["leave", "whenTaken"]

log = Logger()


def whenTaken(queue: Queue, isServed: Callable[[Hashable], Any]) -> "Deferred[None]":
    """
    Waits until a queue has handed over all that it can.

    @param isServed: Tells whether the tasks of a series can be hoped to be taken some
        time.
    @return: A Deferred that fires when no such task waits.
    """

    def look() -> None:
        if not any(map(isServed, queue.heaps)):
            queue.watchers.remove(look)
            d.callback(None)

    d: Deferred[None] = DualDeferred(lambda _: queue.watchers.remove(look))
    queue.watchers.append(look)
    look()
    return d


async def leave(
    lifetime: Lifetime,
    whenDone: Callable[[], "Deferred[None]"],
    error: BaseException | None,
    isSoon: bool,
) -> None:
    """
    Shuts something down, and waits until that is over.

    If whoever waits is cancelled, it is made short work of.

    @param whenDone: Is called if the block has come to its end, for a Deferred that is
        waited for before.
    @param error: What has ended the block, C{None} if it came to its end.
    @param isSoon: C{True} if the shutdown may take no longer than the lifetime's
        I{grace} where there is an error.
    @raise Exception: What went wrong in the shutdown. It is logged instead if there is
        an error already.
    """
    try:
        if error is None:
            await whenDone()
            await lifetime.shutdown()
            return
        over = lifetime.shutdownSoon() if isSoon else lifetime.shutdown()
        # Nobody can wait in a coroutine that is being closed.
        if not isinstance(error, GeneratorExit):
            await over
    except BaseException as another:
        if not lifetime.isOver():
            over = lifetime.shutdown().addErrback(_tell)
            lifetime.kill()
            if not isinstance(another, GeneratorExit):
                await over
            raise
        if error is None:
            raise
        _tell(Failure())


def _tell(failure: Failure) -> None:
    log.failure("What a block was for could not be shut down as it should", failure)
