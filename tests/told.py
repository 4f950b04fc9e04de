"""
What a worker process is made to do in tests so that it tells of it. Standard library
only, but for what it changes.
"""

import ctypes
import logging
import logging.config
import os
import signal
import sys
import threading
import time
from typing import Any

from asynqueue import reporting


class Thing:
    """What a record should not depend on."""

    def __repr__(self):
        return "<a thing>"


class Shy:
    """Cannot be shown."""

    def __repr__(self):
        raise RuntimeError("not to be seen")


def say(text, *args, name="told", level=logging.WARNING, **extra):
    """Logs a record."""
    logging.getLogger(name).log(level, text, *args, extra=extra)


def sayInShort(text):
    """Logs by the function of the module, which may configure the root logger."""
    logging.warning(text)
    return len(logging.root.handlers)


def sayMuch(n):
    """Logs a number of records."""
    for i in range(n):
        say("%d", i)


def hurry():
    """Has records that find no room wait for it for a moment only."""
    reporting.PATIENCE = 0.01


def sayTogether(threads, n):
    """Logs the same number of records, some of them long, in each of some threads."""

    def run(thread):
        for i in range(n):
            say("%d %d %s", thread, i, "x" * (5000 * (i % 3)))

    running = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def sayAndHold(path, text):
    """Logs a record, and returns once there is a file."""
    say(text)
    while not os.path.exists(path):
        time.sleep(0.005)


def sayError(text):
    """Logs an exception."""
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("told").exception("it is %s", text)


def sayNonsense():
    """Logs what cannot be made a text of."""
    say("%d", "no number")


def sayFromFork(text):
    """Logs from a forked process, whose ID is returned."""
    child = os.fork()
    if child == 0:
        say(text)
        os._exit(0)
    os.waitpid(child, 0)
    return child


def sayAtEnd(text):
    """Logs from a process, and kills that."""
    say(text)
    os.kill(os.getpid(), signal.SIGKILL)


def closeAll(path):
    """
    Closes every descriptor from the fourth on, opens a file under each of them, and
    logs. Returns how large the file is then.
    """
    before = os.listdir("/proc/self/fd")
    pipes = {fd for fd in map(int, before) if fd > 2 and isPipe(fd)}
    for fd in pipes:
        os.close(fd)
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    for fd in pipes - {file}:
        os.dup2(file, fd)
    say("to nobody")
    return os.fstat(file).st_size


def isInheritable():
    """Tells if a program that is run has the report pipe too."""
    above: Any = logging.root.parent
    (reporter,) = above.handlers
    return os.get_inheritable(reporter._connection.fileno())


def isPipe(fd):
    """Tells if a descriptor is one of a pipe."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")
    except OSError:
        return False


def configure(path, **kw):
    """Configures logging, by arguments."""
    logging.basicConfig(filename=path, **kw)


def configureByDict():
    """Configures logging anew, so that nothing is written here."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "root": {"level": "INFO"},
        }
    )


def isEnabledFor(name, level):
    """Tells if a logger lets records of a level pass."""
    return logging.getLogger(name).isEnabledFor(level)


def fault():
    """Reads where nothing is."""
    ctypes.string_at(0)


def faultInFork(path):
    """
    Has a forked process die of a fault, with a file as its stderr.

    Returns the exit status.
    """
    child = os.fork()
    if child == 0:
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
        fault()
    return os.waitpid(child, 0)[1]
