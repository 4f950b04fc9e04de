"""
What goes wrong in tests, and the stages of a call that it goes wrong in. Worker
processes import me, so I import the standard library and what they have anyway.

A fault is named by its key in L{FAULTS}. Whatever strikes takes that name and the
path of a file, which some faults leave something in.
"""

import os
import signal
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from asynqueue import streams
from tests.deeds import Broken, Fussy, Guarded

LARGE = 100 << 20
"""
How many bytes are large: many times what a pipe holds.
"""

ENOUGH = 5 << 20
"""
How many of them have crossed when that is broken off: more than a pipe holds, so the
other side has begun.
"""


def strike(fault, path):
    """Has something go wrong here and now."""
    FAULTS[fault](path)


def throw(error):
    """What raises an exception."""

    def raiseIt(path):
        raise error("struck")

    return raiseIt


def throwFussy(path):
    """Raises what can be pickled but not made again."""
    raise Fussy("struck", "here")


def exitWith(code):
    """What ends the process at once."""
    return lambda path: os._exit(code)


def killBy(signum):
    """What ends the process by a signal."""
    return lambda path: os.kill(os.getpid(), signum)


def closeAll(path):
    """Closes all that the process has open, and returns."""
    os.closerange(0, 4096)


def leaveGrandchild(path):
    """
    Leaves a process that has all descriptors open, for a minute at most, and ends.
    The path is one of a file with its ID.
    """
    if os.fork() == 0:
        signal.alarm(60)
        with open(path + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(path + ".new", path)
        signal.pause()
    while not os.path.exists(path):
        time.sleep(0.001)
    os._exit(5)


FAULTS: dict[str, Callable[[str], object]] = {
    "raise": throw(ValueError),
    "raise what cannot be pickled": throw(Guarded),
    "raise what cannot be rebuilt": throwFussy,
    "raise with a broken __str__": throw(Broken),
    "SystemExit": throw(SystemExit),
    "KeyboardInterrupt": throw(KeyboardInterrupt),
    "os._exit(0)": exitWith(0),
    "os._exit(3)": exitWith(3),
    "SIGKILL": killBy(signal.SIGKILL),
    "SIGSEGV": killBy(signal.SIGSEGV),
    "close every descriptor": closeAll,
    "a grandchild holds the pipe": leaveGrandchild,
}


class WhenPickled:
    """Strikes when it is pickled."""

    def __init__(self, fault, path):
        self.what = fault, path

    def __reduce__(self):
        strike(*self.what)
        return str, ()


class WhenLoaded(WhenPickled):
    """Strikes when it is loaded."""

    def __reduce__(self):
        return strike, self.what


class WhenClosed(WhenPickled):
    """An iterator without an end that strikes when it is closed."""

    def __iter__(self):
        return self

    def __next__(self):
        return "item"

    def close(self):
        strike(*self.what)


def inSecondItem(fault, path):
    """A generator of one item, which strikes after it."""
    yield "item"
    strike(fault, path)


def haltMidway(path):
    """
    Has the process read, or write, no more than so much of what is large: then it
    makes a file and waits to be killed.
    """

    def limited(f):
        left = ENOUGH

        def readOrWrite(fd, what):
            nonlocal left
            n = f(fd, what)
            left -= n
            if left < 0:
                open(path, "x").close()
                signal.pause()
            return n

        return readOrWrite

    broken: Any = streams
    broken.os = SimpleNamespace(
        name=os.name, read=os.read, readv=limited(os.readv), writev=limited(os.writev)
    )


def large():
    """Something large."""
    return bytearray(LARGE)


def smallAndLarge():
    """A generator of two items, the second of which is large in two places."""
    yield "small"
    yield bytes(LARGE), bytes(LARGE)
