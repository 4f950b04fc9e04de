"""
Waiting for what others wait for.
"""

from typing import TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


def branch(d: "Deferred[T]") -> "Deferred[T]":
    """
    Lets a second party wait for what a Deferred fires with. Its own callbacks
    go on with the same result.

    @param d: A Deferred that does not fail.
    @return: Another one that fires with the same.
    """
    other: Deferred[T] = Deferred()

    def fork(result: T) -> T:
        other.callback(result)
        return result

    d.addCallback(fork)
    return other
