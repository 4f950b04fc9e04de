"""
What a worker process is made to do in tests: end, break, be busy and run its
reactor. Standard library only, but for what belongs to the reactor.
"""

import itertools
import os
import signal
import sys
import time


def pid():
    """The process's own ID."""
    return os.getpid()


def exitWith(code):
    """Ends the process at once."""
    os._exit(code)


def killSelf(signum):
    """Ends the process by a signal."""
    os.kill(os.getpid(), signum)


def ignoreTerminate():
    """Has the process ignore SIGTERM from now on."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def spin():
    """Is busy in Python for ever."""
    while True:
        pass


def grind():
    """Is busy in C for ever, and never lets another thread run."""
    sum(itertools.repeat(0))


def wait():
    """Does nothing for ever."""
    while True:
        time.sleep(3600)


def leaveChild():
    """Forks, and leaves a process behind that has all descriptors open."""
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    return child


def opened():
    """What the process has open besides the null device, by number."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return {fd: what for fd, what in found.items() if what != os.devnull}


def imported(name):
    """Tells if a module has been imported."""
    return name in sys.modules


def keywords(**kw):
    """Takes any keyword."""
    return kw


class Guarded(Exception):
    """Cannot be pickled."""

    def __reduce__(self):
        raise RuntimeError("not to be pickled")


class Fussy(Exception):
    """Can be pickled but not made again: C{BaseException} keeps one argument."""

    def __init__(self, what, where):
        super().__init__(f"{what} in {where}")


class Broken(Exception):
    """Cannot say what it is."""

    def __str__(self):
        raise ValueError("no words")


class Shout(str):
    """A text of its own type."""


class Loud(Exception):
    """Says what it is by a text of its own type."""

    def __str__(self):
        return Shout("loud")


class Closed:
    """Cannot be pickled."""

    def __reduce__(self):
        raise RuntimeError("not to be pickled")


def explode():
    """Raises."""
    raise RuntimeError("not to be made again")


class Bomb:
    """Can be pickled but not loaded."""

    def __reduce__(self):
        return explode, ()


class Unbound:
    """A proxy for nothing yet, which cannot even tell its class."""

    @property  # type: ignore[misc]
    def __class__(self):
        raise RuntimeError("bound to nothing")


class Sticky:
    """An iterator that does not want to be closed."""

    def __iter__(self):
        return self

    def __next__(self):
        return 1

    def close(self):
        raise RuntimeError("not to be closed")


class Veiled(Sticky):
    """An iterator that does not even tell if it can be closed."""

    @property
    def close(self):
        raise RuntimeError("not to be looked at")


def items(*values):
    """A generator of the values; those that are exceptions it raises."""
    for value in values:
        if isinstance(value, BaseException):
            raise value
        yield value


def later(value):
    """A Deferred that fires with a value, or fails with an exception."""
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    def give():
        if isinstance(value, BaseException):
            raise value
        return value

    return deferLater(reactor, 0.001, give)


async def slowly(value):
    """A coroutine that returns, or raises, what L{later} comes to."""
    return await later(value)


async def asyncItems():
    """An asynchronous generator."""
    yield 1


def laters(*values):
    """A generator of what takes its time."""
    return map(later, values)


def inReactorThread():
    """Tells if it is called in the reactor's thread, while that is running."""
    from twisted.internet import reactor
    from twisted.python.threadable import isInIOThread

    return isInIOThread() and reactor.running


def stopReactor():
    """Stops the reactor that it is called by."""
    from twisted.internet import reactor
    from twisted.internet.interfaces import IReactorCore

    IReactorCore(reactor).stop()


def never():
    """A Deferred that nobody fires."""
    from twisted.internet.defer import Deferred

    return Deferred()


def dribble():
    """
    The status of a program that closes its outputs long before it ends, when it has
    ended: only SIGCHLD tells.
    """
    from twisted.internet.utils import getProcessValue

    return getProcessValue("/bin/sh", ["-c", "exec <&- >&- 2>&-; sleep 0.1; exit 3"])
