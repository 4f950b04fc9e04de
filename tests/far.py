"""
What worker processes are given to call to find out what they are like. Like them I
import the standard library only.
"""

import os
import resource
import signal
import sys
import threading
import time


def modules():
    """What an ordinary child has imported of what it must not."""
    # The bare namespace zope is made in every interpreter where an old zope.interface
    # is installed.
    return sorted(name for name in sys.modules if name.startswith(("twisted", "zope.")))


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


def peak():
    """How much memory the process has had at most, in bytes, as on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def resident(_):
    """How much memory the process has while it has something, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def limitMemory(more):
    """Lets the process have only so many bytes more."""
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + more, size + more))


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
