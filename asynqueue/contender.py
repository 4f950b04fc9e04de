"""
What a library has to do to be measured beside others.
"""

from collections.abc import Callable
from importlib import metadata
from platform import python_version
from typing import Any, ClassVar

from twisted.internet.defer import Deferred


class Cannot(Exception):
    """
    A contender cannot do what it is asked for. My text says why.
    """


class Contender:
    """
    I am a library that calls functions in worker processes.

    My constructor imports it, and L{start} makes its pool, which has not to be
    ready when it returns.

    @cvar title: What I am called in tables.
    @cvar distribution: What my library is installed by, C{None} for Python itself.
    @cvar isUsual: C{False} if I am measured only if I am asked for by name.
    """

    title: ClassVar[str]
    distribution: ClassVar[str | None] = None
    isUsual: ClassVar[bool] = True

    def __init__(self, workers: int, method: str) -> None:
        """
        @param workers: How many processes.
        @param method: The start method, if the library lets us choose it.
        @raise ImportError: if the library is not installed.
        """
        self.workers = workers
        self.method = method

    @classmethod
    def version(cls) -> str:
        """
        @return: The version of the library.
        """
        if cls.distribution is None:
            return python_version()
        return metadata.version(cls.distribution)

    def start(self) -> None:
        """
        Makes the pool.
        """
        raise NotImplementedError

    def call(self, f: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """
        @return: A Deferred that fires in the reactor's thread with what a worker
            returns.
        """
        raise NotImplementedError

    async def read(self, f: Callable[..., Any], *args: Any) -> int:
        """
        Reads an iterator that f returns, item by item, and leaves it in the worker.

        @return: How many items there were.
        @raise Cannot: if the library has no such thing.
        """
        raise Cannot("has no remote iterators")

    def watch(self) -> tuple[str, Callable[[], Any]]:
        """
        Serves a page to watch me on.

        @return: Its address, and what takes it away, which returns a Deferred
            that fires then.
        @raise Cannot: if the library has no such thing.
        """
        raise Cannot("has no page to watch it on")

    def stop(self) -> "Deferred[Any]":
        """
        @return: A Deferred that fires when the processes have ended.
        """
        raise NotImplementedError
