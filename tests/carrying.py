"""
Context variables, hooks, and what workers are given to call with them. Standard library
only, but for what belongs to the reactor.
"""

import os
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

from tests.calls import note

user: ContextVar[Any] = ContextVar("user", default="nobody")
depth: ContextVar[Any] = ContextVar("depth", default=0)


def before():
    """Brings along who the user is."""
    return user.get()


def after(carrier):
    """Says who it is."""
    user.set(carrier)


def whoami():
    """Tells who the user is."""
    return user.get()


def become(name):
    """Changes who it is, and tells who it was."""
    was = user.get()
    user.set(name)
    return was


def names(n):
    """A generator that tells who the user is, and how deep each item is."""
    for _ in range(n):
        depth.set(depth.get() + 1)
        yield user.get(), depth.get()


def brittle():
    """A generator of one item."""
    yield user.get()
    raise ValueError("broke")


def fail():
    """Raises."""
    raise ValueError("the function")


def where():
    """Tells which process and which user it is."""
    return os.getpid(), user.get()


async def slowly(name):
    """Changes who it is, waits for the reactor, and tells who it was and is."""
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    was = become(name)
    await deferLater(reactor, 0)
    await deferLater(reactor, 0)
    return was, user.get()


def refuse(carrier):
    """A hook that raises."""
    raise LookupError(f"nobody knows {carrier}")


def odd(carrier):
    """A hook that returns what it must not."""
    return 42


@contextmanager
def noting(path, carrier):
    """A hook whose context manager notes how it begins and ends."""
    token = user.set(carrier)
    note(path, f"enter {carrier}")
    try:
        yield
    except BaseException as e:
        note(path, f"leave {type(e).__name__}")
        raise
    else:
        note(path, "leave")
    finally:
        user.reset(token)


@contextmanager
def unruly(carrier):
    """A hook whose context manager raises in the end."""
    yield
    raise LookupError("no end")


@contextmanager
def lenient(carrier):
    """A hook whose context manager would have errors be none."""
    with suppress(ValueError):
        yield


def notingTo(path):
    """
    @return: A hook that notes in a file.
    """
    return partial(noting, path)
