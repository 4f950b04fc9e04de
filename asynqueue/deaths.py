"""
How worker processes died that nobody had asked to.
"""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from asynqueue.errors import WorkerDied, signalName
from asynqueue.machine import residentSet

MOST = 100
"""
How many deaths are kept.
"""

PAUSE = 0.1
"""
How long after a look at a process's memory there is another when a call ends, at
the earliest, in seconds. A look takes about 0.1 ms.
"""

log = Logger()


@dataclass(frozen=True)
class Death:
    """
    One worker process that ended though nobody had asked it to.

    @ivar time: When that was found, in seconds since the epoch.
    @ivar worker: The ID of its worker in its queue, C{None} if it is in none.
    @ivar pid: The process's ID, C{None} if it could not even be started.
    @ivar exitCode: Its exit code, negative for the signal that killed it, C{None}
        if it is not known.
    @ivar signal: The name of that signal, C{"SIGKILL"} for one; C{None} if there
        was none.
    @ivar call: The call that it had in hand, as a text; C{None} if it had none.
    @ivar memory: The size of its resident set when it was last looked at, in
        kilobytes (1024 bytes); C{None} if it never was. It is looked at when a
        call ends, but not more often than 10 times a second, and by C{memUsage}. So
        what the last call took is not in it.
    @ivar stack: What each of its threads was doing if it died of a fault, such as
        a SIGSEGV, as C{faulthandler} wrote it; C{None} otherwise.
    @ivar text: How it ended, in words.
    """

    time: float
    worker: int | None
    pid: int | None
    exitCode: int | None
    signal: str | None
    call: str | None
    memory: int | None
    stack: str | None
    text: str

    def __str__(self) -> str:
        text = self.text
        if self.call is not None:
            text += f" in the middle of the call {self.call}"
        if self.memory is not None:
            text += f"\nMemory at the last look: {self.memory} kB"
        return f"{text}\n{self.stack}" if self.stack else text


def newHistory() -> "deque[Death]":
    """
    @return: What keeps the last L{MOST} deaths, the latest at the right.
    """
    return deque(maxlen=MOST)


def record(
    history: "deque[Death]",
    died: WorkerDied,
    worker: int | None,
    call: str | None,
    memory: int | None,
) -> None:
    """
    Logs a death, with the attributes of L{Death} as the event's fields, and keeps
    it.

    @param history: Where it is kept.
    @param died: How the process ended.
    @param worker: As of L{Death}, and so are I{call} and I{memory}.
    """
    death = Death(
        time=time.time(),
        worker=worker,
        pid=died.pid,
        exitCode=died.exitCode,
        signal=signalName(died.exitCode),
        call=call,
        memory=memory,
        stack=died.stack,
        text=died.text,
    )
    history.append(death)
    log.warn("{death}", death=death, **vars(death))


class MemoryWatch:
    """
    I look how large a process is, from time to time.

    @ivar last: The size of its resident set at the last look, in kilobytes (1024
        bytes), C{None} if there was none.
    """

    def __init__(self, reactor: Any) -> None:
        self.last: int | None = None
        self._child: Any = None
        self._reactor = reactor
        self._next = 0.0

    def follow(self, child: Any) -> None:
        """
        Begins with a new process.
        """
        self.last, self._child, self._next = None, child, 0.0

    def look(self) -> int | None:
        """
        @return: The size now, C{None} if there is no process that runs.
        """
        if self._child is None or not self._child.is_alive():
            return None
        self._next = self._reactor.seconds() + PAUSE
        size = residentSet(self._child.pid)
        self.last = size or self.last
        return size

    def glance(self) -> None:
        """
        Looks, unless that was less than L{PAUSE} ago.
        """
        if self._reactor.seconds() >= self._next:
            self.look()
