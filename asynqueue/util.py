"""
Small things that several modules need.
"""

import math
from typing import TypeVar

from twisted.internet.defer import Deferred

from asynqueue.info import aboutObject

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


def checkCallable(name: str, value: object) -> None:
    """
    @raise TypeError: if a value, called by a name, is not callable.
    """
    if not callable(value):
        raise TypeError(f"{name} has to be callable, which {aboutObject(value)} is not")


def checkInteger(
    name: str, value: object, lowest: float, highest: float = math.inf
) -> None:
    """
    @raise ValueError: if a value, called by a name, is not an integer in a
        range. (C{True} and C{False} are none.)
    """
    if type(value) is not int or not lowest <= value <= highest:
        limit = f" to {highest}" if highest < math.inf else ""
        raise ValueError(
            f"{name} has to be an integer from {lowest}{limit}, not {value!r}"
        )
