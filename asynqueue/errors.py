"""
Everything that goes wrong.
"""

import itertools
import pickle
import signal
from collections.abc import Sequence
from typing import Any

from twisted.python.failure import Failure
from zope.interface import Invalid

from asynqueue.carried import HookError
from asynqueue.messages import describe

__all__ = [
    "CrashLoop",
    "HookError",
    "ImplementationError",
    "InvariantError",
    "NotReadyError",
    "PicklingError",
    "ProcessError",
    "QueueFull",
    "QueueRunError",
    "RemoteTraceback",
    "StartFailed",
    "ThreadError",
    "TimeoutError",
    "UnpicklingError",
    "WorkerDied",
    "WorkerError",
    "aboutExit",
    "asFailure",
    "harmless",
]

INNERMOST = 8
"""
How many functions of a stack the text of an error tells of: those where the fault
is, not those by which every call is made.
"""


class QueueRunError(Exception):
    """
    The queue is not running: it was shut down before the call was made, or
    before the call came to its turn.
    """


class QueueFull(Exception):
    """
    As many calls wait as the queue takes, and this one was to be refused then.
    """


class ImplementationError(Exception):
    """
    An object does not implement what it was supposed to.
    """


class NotReadyError(ImplementationError):
    """
    Something was asked for before what it depends on was there.
    """


class InvariantError(Invalid):  # type: ignore[misc]
    """
    A worker's lists of the series it is qualified for are not lists.
    """


class TimeoutError(Exception):
    """
    A call ran longer than its timeout, each time it was tried.
    """


class WorkerError(Exception):
    """
    A call failed in its worker, and this tells how: the exception that it
    raised could not be had itself.
    """


class PicklingError(WorkerError, pickle.PicklingError):
    """
    A call, or a hook of its queue, could not be pickled, and so was not sent.
    """


class UnpicklingError(WorkerError, pickle.UnpicklingError):
    """
    A result came back but could not be loaded here.
    """


class WorkerDied(WorkerError):
    """
    A worker's process ended, or never came up.

    @ivar pid: The process's ID, or C{None} if it never had one.
    @ivar exitCode: Its exit code, negative for the signal that killed it, or
        C{None} if it is not known.
    @ivar stack: What C{faulthandler} had it write when it died of a fault, such
        as a SIGSEGV: what each of its threads was doing. C{None} if there is
        nothing. My text has the part of it that matters most.
    """

    def __init__(
        self,
        text: str,
        pid: int | None = None,
        exitCode: int | None = None,
        stack: str | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.pid = pid
        self.exitCode = exitCode
        self.stack = stack

    def __str__(self) -> str:
        return self.text + aboutFault(self.stack)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.text, self.pid, self.exitCode, self.stack)


class StartFailed(WorkerDied):
    """
    A worker's process ended before it was ready for calls, or could not even be
    started.
    """


class CrashLoop(WorkerDied):
    """
    A worker was given up, because it died again and again before it had finished
    a call.

    @ivar times: How often it did.
    @ivar exitCodes: A list of the last exit codes, as of I{exitCode}, the latest
        last.
    """

    def __init__(
        self,
        text: str,
        pid: int | None = None,
        exitCode: int | None = None,
        times: int = 0,
        exitCodes: Sequence[int | None] = (),
    ) -> None:
        """
        @param text: What to say.
        @param pid: The ID of the last process.
        @param exitCode: Its exit code, negative for a signal.
        @param times: How often the worker died.
        @param exitCodes: The last exit codes, the latest last.
        """
        super().__init__(text, pid, exitCode)
        self.times = times
        self.exitCodes = list(exitCodes)

    def __reduce__(self) -> tuple[object, ...]:
        return (
            type(self),
            (str(self), self.pid, self.exitCode, self.times, self.exitCodes),
        )


class RemoteTraceback(Exception):
    """
    The cause of an exception that was raised in a worker process: its
    traceback there, as text.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


class ThreadError(Exception):
    """
    A call in a thread raised an exception.
    """


class ProcessError(Exception):
    """
    A subprocess could not be reached.
    """


def aboutExit(exitCode: int | None) -> str:
    """
    @param exitCode: Its exit code, negative for a signal, C{None} if it is not
        known.
    @return: How a process ended, in words: "exit code 3", "signal 9
        (SIGKILL)".
    """
    if exitCode is None:
        return "an exit code that is not known"
    if exitCode >= 0:
        return f"exit code {exitCode}"
    name = signalName(exitCode)
    return f"signal {-exitCode}" + (f" ({name})" if name else "")


def signalName(exitCode: int | None) -> str | None:
    """
    @param exitCode: As of L{aboutExit}.
    @return: The name of the signal that an exit code tells of, C{None} if it
        tells of none, or of one that has no name.
    """
    try:
        return signal.Signals(-(exitCode or 0)).name
    except ValueError:
        return None


def aboutFault(stack: str | None) -> str:
    """
    @param stack: What C{faulthandler} has written, or C{None}.
    @return: What it begins with, and the innermost functions, L{INNERMOST} at
        most, of the thread that it calls the current one: lines, each with a
        line break before it.
    """
    title, _, rest = (stack or "").partition("\n")
    current = rest.find("Current thread 0x")
    frames = itertools.takewhile(
        lambda line: line.startswith("  "), rest[max(current, 0) :].split("\n")[1:]
    )
    lines = [title, *itertools.islice(frames, INNERMOST)] if title else []
    return "".join(f"\n{line}" for line in lines)


def asFailure(result: Any) -> Failure:
    """
    @param result: What a worker gives with a status that means an error: a
        C{Failure}, an exception, or a text.
    @return: The C{Failure}; of a text, one of a L{WorkerError}.
    """
    if isinstance(result, Failure):
        return result
    if isinstance(result, BaseException):
        return Failure(result)
    return Failure(WorkerError(str(result)))


def harmless(error: BaseException) -> Exception:
    """
    @param error: What a call raised, elsewhere or just now.
    @return: What can be raised for it here: itself, but for C{SystemExit},
        C{KeyboardInterrupt} and their like, which would end more than the call,
        a L{WorkerError} that names it and has it
        as its cause.
    """
    if isinstance(error, Exception):
        return error
    instead = WorkerError(f"{type(error).__qualname__}: {describe(error)}")
    instead.__cause__ = error
    return instead
