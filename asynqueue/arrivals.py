"""
What has arrived of what the other side shares.

Each of its memory files stays mapped here, and each buffer that arrives in one is a
I{view} of that mapping: to map it anew would cost more than to copy it. When nothing is
left of a view, not even a slice of an array that was made of it, the file is free to be
filled again, and a note has to tell so. It waits here until something else is sent:
until then the other side has no use for the file.

If this process has forked since the view was made, its copy may go on in another
process. Then the note says so, and the file is left to whoever has it.

Standard library only: the far side imports me, if arrays are shared.
"""

import mmap
import os
import sys
import weakref
from collections import deque
from ctypes import c_ubyte
from functools import cache
from pickle import PickleBuffer
from typing import Any

from asynqueue.memoryfiles import mapped


class Arrivals:
    """
    I have the other side's files.

    @ivar gone: A C{deque} of what the other side has to know: for each view that is
        gone, the number of its file, and C{True} if this is lost.
    """

    def __init__(self) -> None:
        self.gone: deque[tuple[int, bool]] = deque()
        self._mappings: dict[int, mmap.mmap | None] = {}

    def add(self, number: int, fds: list[int]) -> None:
        """
        Takes a new file.

        @param number: What it is called by; if there was one by the same, it is not
            used any more.
        @param fds: A list of its descriptor, or an empty one if there was none left for
            it. It is mine from now on.
        """
        self._mappings[number] = None
        for fd in fds:
            try:
                self._mappings[number] = mapped(fd)
            except (OSError, OverflowError):
                continue
            finally:
                os.close(fd)

    def view(self, number: int, size: int) -> memoryview | None:
        """
        @return: What begins a file, I{size} bytes, which can be written to; C{None} if
            it could not be mapped.
        """
        mapping = self._mappings.get(number)
        if mapping is None:
            self.gone.append((number, True))
            return None
        # A memoryview itself may be gone before those that were made of it.
        room = _roomOf(len(mapping)).from_buffer(mapping)
        end = weakref.finalize(room, _ended, self.gone, number, _forks)
        end.atexit = False
        return PickleBuffer(room).raw()[:size]


@cache
def _roomOf(size: int) -> Any:
    return c_ubyte * size


def _ended(gone: "deque[tuple[int, bool]]", number: int, forks: int) -> None:
    """
    Runs at the end of a view, at any time, in any thread.
    """
    gone.append((number, forks != _forks))


def _forking() -> None:
    global _forks
    _forks += 1


_forks = 0
if sys.platform != "win32":
    os.register_at_fork(before=_forking)
