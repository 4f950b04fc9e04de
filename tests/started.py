"""
A process that a test starts, with all that stem from it, and what they write.
"""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from twisted.internet import protocol
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready

from asynqueue.deferreds import branch
from tests.support import BOUND

LOOK = 0.005
"""
How long to wait between two looks, in seconds, where nobody tells.
"""


class ProgramError(Exception):
    """
    A program has not done what was waited for. I say what it wrote.
    """


def inSessions(pids: Iterable[int | None]) -> list[int]:
    """
    @return: The IDs of all processes that run in some sessions.
    """
    sessions, found = set(pids), []
    for process in psutil.process_iter():
        # It may have ended since it was listed.
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            isThere = os.getsid(process.pid) in sessions
            if isThere and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


class Program(protocol.ProcessProtocol):
    """
    I am a process with a session of its own, and all that stem from it.

    @ivar name: What it is called in the texts of errors.
    @ivar pid: Its ID, C{None} until it is started. It is that of its session, too.
    @ivar lines: What it has written, line by line.
    @ivar exitCode: Minus the number of a signal, if that ended it; C{None} as long
        as it runs.
    """

    def __init__(self, name: str, directory: Path, reactor: Any) -> None:
        """
        @param directory: Where what it writes is kept, in I{name.log}.
        """
        self.name = name
        self.pid: int | None = None
        self.lines: list[str] = []
        self.exitCode: int | None = None
        self._log = directory / f"{name}.log"
        self._reactor = reactor
        self._isSilent = False
        self._parts = {1: b"", 2: b""}
        self._waiting: list[tuple[str, int, Deferred[str]]] = []
        self._ended: Deferred[int | None] = Deferred()

    def makeConnection(self, transport: Any) -> None:
        """
        The process is started.
        """
        self.pid = transport.pid
        super().makeConnection(transport)
        transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        It has written something.
        """
        *whole, self._parts[childFD] = (self._parts[childFD] + data).split(b"\n")
        with self._log.open("ab") as log:
            for line in whole:
                log.write(line + b"\n")
                self.lines.append(line.decode(errors="backslashreplace"))
        for entry in list(self._waiting):
            text, nth, d = entry
            if found := self._find(text, nth):
                self._waiting.remove(entry)
                d.callback(found)

    def processExited(self, reason: Any) -> None:
        """
        The first of its processes has ended.
        """
        self.exitCode = reason.value.exitCode
        if reason.value.signal is not None:
            self.exitCode = -reason.value.signal

    def processEnded(self, reason: Any) -> None:
        """
        It has ended, and all that have inherited its output have closed that.
        """
        for childFD, part in self._parts.items():
            if part:
                self.childDataReceived(childFD, b"\n")
        self._isSilent = True
        waiting, self._waiting = self._waiting, []
        for text, _, d in waiting:
            d.errback(self._error(f"ended before it wrote {text!r}"))
        self._look()

    def _look(self) -> None:
        """
        Looks until the last of those that are not our children is gone, too: it has
        closed what it had, but a moment later it may still be seen.
        """
        if inSessions([self.pid]):
            self._reactor.callLater(LOOK, self._look)
        else:
            self._ended.callback(self.exitCode)

    def hasEnded(self) -> "Deferred[int | None]":
        """
        @return: A Deferred that fires with my exit code, when I and all that stem
            from me have ended, and I am reaped.
        """
        return branch(self._ended)

    def saw(self, text: str, nth: int = 1) -> "Deferred[str]":
        """
        @param nth: Which of the lines with that text is meant, counted from 1.
        @return: A Deferred that fires with a line that has a text in it, written
            or to be written. It fails with a L{ProgramError} if the process ends
            without, or takes longer than L{BOUND<tests.support.BOUND>} seconds.
        """
        if found := self._find(text, nth):
            return succeed(found)
        d: Deferred[str] = Deferred()
        entry = (text, nth, d)

        def late() -> None:
            self._waiting.remove(entry)
            d.errback(self._error(f"has not written {text!r} for {BOUND} seconds"))

        if self._isSilent:
            d.errback(self._error(f"ended before it wrote {text!r}"))
            return d
        self._waiting.append(entry)
        delayed = self._reactor.callLater(BOUND, late)

        def settled(result: Any) -> Any:
            if delayed.active():
                delayed.cancel()
            return result

        return d.addBoth(settled)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """
        Sends a signal to me and all that stem from me.
        """
        if self.pid is None or self._ended.called:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            # It has no session of its own yet; or nobody is left in it.
            transport: Any = self.transport
            with suppress(ProcessExitedAlready):
                transport.signalProcess(number)

    def _find(self, text: str, nth: int) -> str | None:
        found = [line for line in self.lines if text in line]
        return found[nth - 1] if len(found) >= nth else None

    def _error(self, fault: str) -> ProgramError:
        last = "\n".join(self.lines[-40:])
        return ProgramError(f"The {self.name} {fault}. The end of {self._log}:\n{last}")
