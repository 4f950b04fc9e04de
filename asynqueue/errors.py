"""
Everything that goes wrong.
"""

import pickle
import signal
from typing import Any

from twisted.python.failure import Failure
from zope.interface import Invalid

from asynqueue.messages import describe

__all__ = [
    "ImplementationError",
    "InvariantError",
    "NotReadyError",
    "PicklingError",
    "ProcessError",
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


class QueueRunError(Exception):
    """
    The queue is not running: it was shut down before the call was made, or
    before the call came to its turn.
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
    A call could not be pickled, and so was not sent.
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
    """

    def __init__(
        self, text: str, pid: int | None = None, exitCode: int | None = None
    ) -> None:
        super().__init__(text)
        self.pid = pid
        self.exitCode = exitCode

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.pid, self.exitCode)


class StartFailed(WorkerDied):
    """
    A worker's process ended before it was ready for calls, or could not even be
    started.
    """


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
    @return: How a process ended, in words: "exit code 3", "signal 9
        (SIGKILL)".
    """
    if exitCode is None:
        return "an exit code that is not known"
    if exitCode >= 0:
        return f"exit code {exitCode}"
    try:
        name = signal.Signals(-exitCode).name
    except ValueError:
        return f"signal {-exitCode}"
    return f"signal {-exitCode} ({name})"


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
