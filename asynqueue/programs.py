"""
Processes that others have started, and what they print.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
from twisted.internet import protocol
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from asynqueue.checks import checkCallable, checkInteger
from asynqueue.errors import ProcessError
from asynqueue.reactors import theReactor
from asynqueue.stops import AtStop

__all__ = ["KILL_AFTER", "LOOK_FIRST", "LOOK_LAST", "ProcessProtocol", "killProcess"]

KILL_AFTER = 5.0
"""
How long a process has to follow a SIGTERM, in seconds, before it gets a SIGKILL.
The figure is AsynQueue's.
"""

LOOK_FIRST = 0.001
"""
How long to wait before the first look at whether it has ended, in seconds. After
that each wait is a tenth longer than the last.
"""

LOOK_LAST = 0.1
"""
The longest wait between two looks, in seconds.
"""


def killProcess(pid: int, reactor: Any = None) -> "Deferred[bool]":
    """
    Ends a process, one that we have started or another: by SIGTERM, and if it has
    not ended L{KILL_AFTER} seconds later, by SIGKILL. (Windows knows only the
    latter.) If it is a child of ours, it is reaped. The reactor does not stop
    before this is over.

    @param pid: The process's ID.
    @param reactor: The reactor to use, the global one if C{None}.
    @return: A Deferred that fires when the process has ended: with C{True}, or
        with C{False} if it had ended before; or fails with a
        L{ProcessError<asynqueue.errors.ProcessError>} if it is not ours to end,
        or not even a SIGKILL has ended it after as long again. To cancel it is
        to send no further signal.
    @raise ValueError: if I{pid} is no ID of a process, or this one's own.
    """
    checkInteger("pid", pid, 1)
    if pid == os.getpid():
        raise ValueError(
            f"Process {pid} is this one, which could not tell of its own end. "
            "reactor.stop() ends a program"
        )
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return succeed(False)
    if _isGone(process):
        return succeed(False)
    return Deferred.fromCoroutine(_kill(process, theReactor(reactor)))


async def _kill(process: psutil.Process, reactor: Any) -> bool:
    over: Deferred[None] = Deferred()
    atStop = AtStop(lambda: over, reactor)
    try:
        _signal(process, process.terminate)
        if not await _hasEnded(process, KILL_AFTER, reactor):
            _signal(process, process.kill)
            if not await _hasEnded(process, KILL_AFTER, reactor):
                raise ProcessError(
                    f"Process {process.pid} was killed, but {KILL_AFTER} seconds "
                    "later it has not ended. The operating system holds it, "
                    "perhaps in an access to a device or a network drive"
                )
        return True
    finally:
        atStop.withdraw()
        over.callback(None)


async def _hasEnded(process: psutil.Process, patience: float, reactor: Any) -> bool:
    """
    Looks whether a process has ended. Nothing that all platforms have would tell
    of the end of one that is not a child.

    @return: C{False} if it has not when the I{patience}, in seconds, is over.
    """
    end = reactor.seconds() + patience
    wait = LOOK_FIRST
    while (left := end - reactor.seconds()) > 0:
        await deferLater(reactor, min(wait, left))
        if _isGone(process):
            return True
        wait = min(wait * 1.1, LOOK_LAST)
    return False


def _signal(process: psutil.Process, send: Callable[[], None]) -> None:
    """
    @raise ProcessError: if we may not.
    """
    try:
        # It may have ended since we looked.
        with suppress(psutil.NoSuchProcess):
            send()
    except psutil.AccessDenied as e:
        raise ProcessError(
            f"Process {process.pid} cannot be ended from here: it belongs to "
            "another user, and this program has no right to send it signals"
        ) from e


def _isGone(process: psutil.Process) -> bool:
    """
    @return: C{True} if a process has ended. It is reaped then, if it is ours; if
        it is another's, that one has to.
    """
    try:
        if not process.is_running():
            # Another process may have its ID by now.
            return True
        return process.status() == psutil.STATUS_ZOMBIE and _isReaped(process.pid)
    except psutil.NoSuchProcess:
        return True


def _isReaped(pid: int) -> bool:
    """
    Reaps a process that has ended, if it is ours.

    @return: C{False} if it is, but cannot be reaped yet: the first of its threads
        has ended, but not all.
    """
    from twisted.internet.process import reapProcessHandlers

    if pid in reapProcessHandlers:
        # From reactor.spawnProcess, which tells its protocol when it reaps it.
        reapProcessHandlers[pid].reapProcess()
        return pid not in reapProcessHandlers
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


class ProcessProtocol(protocol.ProcessProtocol):
    """
    I wait for what a process that C{reactor.spawnProcess} starts prints first.

    @ivar d: A Deferred that fires with that: the first bytes from its standard
        output that are not white space, without white space around them. It fails
        with a L{ProcessError<asynqueue.errors.ProcessError>} if the process ends
        before it has printed anything.
    @ivar pid: The process's ID, C{None} until it is started.
    """

    log = Logger()

    def __init__(self, stopper: Callable[[Any], Any] | None = None) -> None:
        """
        @param stopper: Is called once, with the process's ID, when it has ended.
            It may return a Deferred. What it raises is logged.
        @raise TypeError: if it is not callable.
        """
        if stopper is not None:
            checkCallable("stopper", stopper)
        self.d: Deferred[bytes] = Deferred()
        self.pid: int | None = None
        self._stopper = stopper

    def makeConnection(self, transport: Any) -> None:
        """
        The process is started.
        """
        self.pid = transport.pid
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def outReceived(self, data: bytes) -> None:
        """
        The process has written to its standard output.
        """
        data = data.strip()
        if data and not self.d.called:
            self.d.callback(data)

    def errReceived(self, data: bytes) -> None:
        """
        The process has written to its standard error, which is logged.
        """
        self.log.warn(
            "Process {pid} wrote to its standard error: {text}",
            pid=self.pid,
            text=data.decode(errors="backslashreplace").strip(),
        )

    def processExited(self, reason: Failure) -> None:
        """
        The process has ended.
        """
        if self._stopper is not None:
            maybeDeferred(self._stopper, self.pid).addErrback(
                lambda failure: self.log.failure(
                    "The stopper of process {pid} failed", failure, pid=self.pid
                )
            )

    def processEnded(self, reason: Failure) -> None:
        """
        The process has ended, and what it wrote is here.
        """
        if not self.d.called:
            self.d.errback(
                ProcessError(
                    f"Process {self.pid} ended before it had printed anything: "
                    f"{reason.getErrorMessage()}"
                )
            )
