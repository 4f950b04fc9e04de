"""
Calls that are abandoned in the middle, each in a thread that goes on to live.

Standard library only: a node of a cluster imports me.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_raiseIn = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raiseIn.argtypes = [ctypes.c_ulong, ctypes.py_object]


class Abandoned(BaseException):
    """
    Nobody waits for this call any more. It is raised in the middle of it, and is no
    C{Exception}, so that it does not pass for an error that the call can handle.
    """


class Interrupts:
    """
    I know which calls run in which threads, and can abandon each: it never begins, or
    L{Abandoned} is raised in it where it next runs Python code. What waits in C code,
    for a lock or for the operating system, learns of it only when that returns.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[int, int] = {}
        self._abandoned: set[int] = set()
        self._isClosed = False

    @contextmanager
    def during(self, number: int) -> Iterator[None]:
        """
        Is the context that a call is made in, by the thread that enters it.

        @param number: The call's number.
        @raise Abandoned: if the call was abandoned, before it or in it.
        """
        try:
            self._enter(number)
            yield
        finally:
            try:
                self._leave(number)
            except Abandoned:
                # It came so late, and does not come twice.
                self._leave(number)
                raise

    def abandon(self, number: int) -> bool:
        """
        Abandons a call.

        @return: C{True} if it is being made just now, C{False} if it never will.
        """
        with self._lock:
            self._abandon(number)
            return number in self._threads

    def close(self) -> None:
        """
        Abandons all calls, and those that come.
        """
        with self._lock:
            self._isClosed = True
            for number in self._threads:
                self._abandon(number)

    def _abandon(self, number: int) -> None:
        if number in self._threads and number not in self._abandoned:
            _raiseIn(self._threads[number], ctypes.py_object(Abandoned))
        self._abandoned.add(number)

    def _enter(self, number: int) -> None:
        with self._lock:
            if self._isClosed or number in self._abandoned:
                raise Abandoned
            self._threads[number] = threading.get_ident()

    def _leave(self, number: int) -> None:
        with self._lock:
            thread = self._threads.pop(number, None)
            self._abandoned.discard(number)
            if thread is not None:
                # What was to be raised in the call must not be raised after it.
                _raiseIn(thread, ctypes.py_object())
