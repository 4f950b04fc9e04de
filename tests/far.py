"""
What worker processes are given to call to find out what they are like. Like them I
import the standard library only.
"""

import os
import signal
import sys
import threading
import time


def modules():
    """What an ordinary child has imported of what it must not."""
    return sorted(
        name for name in sys.modules if name.split(".")[0] in ("twisted", "zope")
    )


def signals():
    """The handlers that a child has, as names."""
    return [str(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM)]


def blob(megabytes):
    """Something large."""
    return b"x" * (megabytes << 20)


kept = []


def memory(megabytes):
    """Something large that stays."""
    kept.append(blob(megabytes))


def nap(seconds):
    """A call that takes its time."""
    time.sleep(seconds)
    return seconds


class Poison:
    """Cannot be loaded where it is not at home."""

    def __init__(self, pid):
        self.pid = pid

    def __reduce__(self):
        return arrive, (self.pid,)


def arrive(pid):
    if pid != os.getpid():
        raise LookupError("not at home here")
    return Poison(pid)


def poison():
    """A result that its receiver cannot load."""
    return Poison(os.getpid())


def unpicklable():
    """A result that cannot be sent."""
    return threading.Lock()


def greet(sock):
    """Uses a socket that was handed over."""
    with sock:
        sock.sendall(b"hello")
