"""
Memory that is a file without a name, so that other processes can have it.

There is nothing to be cleaned up: it is gone with its last descriptor and mapping,
whoever dies. What it costs is that the system gives it page by page, clears each, and
maps each when it is touched first. (Where this was measured, 100 MB took 55 ms to be
written into a fresh file, 23 into one that had its pages, and 11 to be copied into one
that was mapped.) So it pays to use a file again.

Standard library only: the far side imports me, if arrays are shared.
"""

import mmap
import os
import sys
import tempfile
from ctypes import byref, c_ubyte, memmove
from typing import Any

_MOST_AT_ONCE = 1 << 30


class MemoryFile:
    """
    I am one such file, for one buffer after another.

    @ivar fd: Its descriptor, closed when nobody holds me; -1 without one.
    @ivar capacity: How many bytes have room in it.
    """

    fd = -1

    def __init__(self, size: int) -> None:
        """
        @param size: How many bytes have to have room in it.
        @raise OSError: if there is no descriptor left.
        """
        self.capacity = capacityFor(size)
        self.fd = _open()
        os.ftruncate(self.fd, self.capacity)
        self._filled = 0
        self._pages: mmap.mmap | None = None

    def fits(self, size: int) -> bool:
        """
        @return: C{True} if so many bytes have room in me, and do not waste it.
        """
        return size <= self.capacity <= 2 * capacityFor(size)

    def fill(self, buffer: memoryview) -> None:
        """
        Copies a buffer into me, and lets other threads run meanwhile.

        @param buffer: A C{memoryview} of single bytes.
        @raise OSError: if there is not enough memory.
        """
        size = len(buffer)
        if buffer.readonly or size > self._filled:
            # Only so is it told if there is not enough memory.
            at = 0
            while at < size:
                at += os.pwrite(self.fd, buffer[at : at + _MOST_AT_ONCE], at)
            self._filled = max(size, self._filled)
        else:
            to = c_ubyte.from_buffer(self.pages())
            memmove(byref(to), byref(c_ubyte.from_buffer(buffer)), size)

    def pages(self) -> mmap.mmap:
        """
        @return: My contents.
        @raise OSError: if they cannot be mapped.
        """
        if self._pages is None:
            self._pages = mapped(self.fd)
        return self._pages

    def empty(self) -> None:
        """
        Gives the memory back, even if others have mapped it. To be called when nobody
        touches it any more.
        """
        os.ftruncate(self.fd, 0)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def mapped(fd: int) -> mmap.mmap:
    """
    Maps a memory file, to be read and written.

    @param fd: Its descriptor, which is not needed any more then.
    @raise OSError: if there is no room, or no descriptor left: before Python 3.13 a
        mapping keeps one of its own.
    """
    return mmap.mmap(fd, os.fstat(fd).st_size, **_UNTRACKED)


def capacityFor(size: int) -> int:
    """
    @return: A number of bytes that is at least I{size}, and above it by a page or an
        eighth at most. So buffers whose sizes differ little can have the same file.
    """
    step = max(mmap.PAGESIZE, 1 << max(size.bit_length() - 4, 0))
    return max(size + step - 1, step) // step * step


def _open() -> int:
    if _memfdCreate is not None:
        fd: int = _memfdCreate("asynqueue")
        return fd
    # A file that is kept in memory as well, if there is room.
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


_memfdCreate: Any = getattr(os, "memfd_create", None)
_UNTRACKED: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
