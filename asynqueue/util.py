"""
Small things, and the address of others that AsynQueue's users import from here.
"""

import pickle
import time
from collections.abc import Iterator
from typing import Any

from asynqueue.deferreds import callAfterDeferred
from asynqueue.locks import DeferredLock
from asynqueue.programs import ProcessProtocol, killProcess
from asynqueue.runner import CallRunner
from asynqueue.trackers import DeferredTracker

__all__ = [
    "CallRunner",
    "DeferredLock",
    "DeferredTracker",
    "ProcessProtocol",
    "TestStuff",
    "callAfterDeferred",
    "killProcess",
    "o2p",
    "p2o",
    "testFunction",
]


def o2p(obj: Any) -> bytes:
    """
    @return: The pickle of an object; nothing at all, C{b""}, for an empty list,
        tuple or dict.
    @raise Exception: what C{pickle.dumps} raises, for what cannot be pickled.
    """
    if isinstance(obj, (list, tuple, dict)) and not obj:
        return b""
    return pickle.dumps(obj)


def p2o(pickledString: bytes, defaultObj: Any = None) -> Any:
    """
    The inverse of L{o2p}. Unpickling can run any code: only for what comes from
    those whom you would let run any.

    @param defaultObj: What to return for C{b""}. It is returned itself, not a copy
        of it.
    @return: The object.
    @raise Exception: what C{pickle.loads} raises, for what is no pickle.
    """
    return pickle.loads(pickledString) if pickledString else defaultObj


def testFunction(x: Any) -> Any:
    """
    For tests that need a function which can be imported.

    @return: Twice the argument.
    """
    return 2 * x


class TestStuff:
    """
    For tests that need an object whose methods can be called elsewhere.

    @ivar x: What L{accumulate} has come to.
    @ivar stuff: What L{stufferator} iterates over.
    """

    def __init__(self) -> None:
        self.x: Any = 0
        self.stuff: list[str] = []

    @staticmethod
    def divide(x: Any, y: Any) -> Any:
        """
        @return: The quotient.
        """
        return x / y

    def add(self, x: Any, y: Any) -> Any:
        """
        @return: The sum.
        """
        return x + y

    def accumulate(self, y: Any) -> Any:
        """
        @return: The sum of all that was passed so far.
        """
        self.x += y
        return self.x

    def setStuff(self, N1: int, N2: int) -> "TestStuff":
        """
        Lets L{stufferator} have I{N2} strings, of I{N1} letters each.

        @return: Myself.
        """
        self.stuff = ["x" * N1] * N2
        return self

    def stufferator(self) -> Iterator[str]:
        """
        @return: An iterator of the strings.
        """
        yield from self.stuff

    def blockingTask(self, x: Any, delay: float) -> Any:
        """
        @param delay: How long it takes, in seconds.
        @return: Twice the argument.
        """
        time.sleep(delay)
        return 2 * x
