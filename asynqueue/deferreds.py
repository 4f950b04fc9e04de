"""
Waiting for what others wait for.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

from asynqueue.about import aboutObject

__all__ = ["branch", "callAfterDeferred", "deferUntilEnded"]

T = TypeVar("T")


def branch(d: "Deferred[T]") -> "Deferred[T]":
    """
    Lets a second party wait for what a Deferred fires with. Its own callbacks
    go on with the same result, its errbacks with the same failure.

    @return: Another one that fires, or fails, with the same.
    """
    other: Deferred[T] = Deferred()

    def fork(result: Any) -> Any:
        other.callback(result)
        return result

    d.addBoth(fork)
    return other


def callAfterDeferred(
    namespace: Any, dName: str, f: Callable[..., Any], /, *args: Any, **kw: Any
) -> "Deferred[Any]":
    """
    Makes a call when an object is ready for it. Until then, the object has an
    attribute that is a Deferred, which keeps its result for others. The attribute
    is deleted when the Deferred has fired; then, and if it is C{None} or was
    never there, the call is made at once.

    @param namespace: The object.
    @param dName: The attribute's name.
    @param f: What to call, with the other arguments. It may be a coroutine
        function.
    @return: A Deferred that fires with what I{f} returns, or fails with what it
        raises; or with what the attribute failed with, and then the call is not
        made, and the attribute stays.
    @raise TypeError: if the attribute is no Deferred.
    """
    call = partial(maybeDeferred, partial(f, *args, **kw))
    d = getattr(namespace, dName, None)
    if d is None:
        return call()
    if not isinstance(d, Deferred):
        raise TypeError(
            f"The attribute {dName} of {aboutObject(namespace)} has to be a "
            f"Deferred, which {aboutObject(d)} is not"
        )

    def ready(_: object) -> "Deferred[Any]":
        if getattr(namespace, dName, None) is d:
            delattr(namespace, dName)
        return call()

    return branch(d).addCallback(ready)


def deferUntilEnded(thread: threading.Thread, reactor: Any) -> "Deferred[None]":
    """
    Waits for a thread that has said, as the last thing it does, that it ends.
    It cannot say that it has ended, so here we look, in each of the few
    iterations of the reactor that it takes.

    @return: A Deferred that fires when the thread is no longer alive.
    """
    d: Deferred[None] = Deferred()

    def look() -> None:
        if thread.is_alive():
            reactor.callLater(0, look)
        else:
            d.callback(None)

    look()
    return d
