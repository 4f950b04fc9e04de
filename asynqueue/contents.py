"""
A pickle, and the large buffers that stay beside it, uncopied.

Of objects that offer their buffers, such as C{numpy} arrays, C{pickle} leaves them
out by itself (PEP 574). C{bytes} it does not, but hands them on as they are, large
ones: these I leave out, too.

Standard library only: the far side imports me.
"""

import math
import pickle
import struct
from typing import Any

from asynqueue.packets import MOST_PARTS, Pieces

OUT_OF_BAND = 65536
"""
How large a buffer has to be, in bytes, to stay beside the pickle. It is not below
C{pickle._Framer._FRAME_SIZE_TARGET}, from which on C{pickle} writes C{bytes} as they
are.
"""

_MOST_BUFFERS = MOST_PARTS - 2
_LONGEST_REST = 12
"""
The opcode of a large object with its size, and up to three that need no frame.
"""


class TooLong(Exception):
    """
    The pickle of an object is longer than it may be.
    """


class Source:
    """
    I am a file to read a pickle from. Of C{pickle}'s ways to load one it takes the same
    time as any; but it calls me once for each frame, so about every 64 KiB, and there
    other threads can have their turn. In C{pickle.loads} they cannot before the end.
    """

    def __init__(self, data: Any) -> None:
        """
        @param data: C{bytes}, or a C{memoryview} of single bytes.
        """
        self._data = memoryview(data)
        self._at = 0

    def read(self, n: int) -> bytes:
        """
        @return: The next I{n} bytes.
        """
        start, self._at = self._at, self._at + n
        return self._data[start : self._at].tobytes()

    def readinto(self, room: Any) -> int:
        """
        Fills a buffer with what comes next.

        @return: How many bytes these were.
        """
        room[:] = self.read(len(room))
        return len(room)

    def readline(self) -> bytes:
        """
        @return: What is left, up to and with the next end of a line.
        """
        rest = self._data[self._at :].tobytes()
        return self.read(rest.find(b"\n") + 1 or len(rest))


class Contents(Pieces):
    """
    I am the pickle of an object, in pieces, without its large buffers.

    C{pickle} writes one of two kinds of pieces. Either what it has gathered in its own
    memory: a I{frame} of opcodes, and perhaps what comes before the data of a large
    object, outside of any frame. Or, right after such, these data.

    @ivar buffers: A list of the buffers, in order, each C{bytes} or a C{memoryview}
        of bytes.
    """

    def __init__(self, most: float = math.inf) -> None:
        """
        @param most: How long I may become, in bytes.
        """
        self.buffers: list[Any] = []
        self._left = most
        self._isGathered = False

    def write(self, piece: Any) -> None:
        """
        Takes a piece of the pickle.

        @raise TooLong: if I become too long.
        """
        before = self._unframed() if self._isGathered else b""
        self._isGathered = not before
        if before and type(piece) is bytes:
            opcode = _opcode(len(piece))
            if before.endswith(opcode) and self._takes(piece):
                self[-1] = bytes(self[-1][: -len(opcode)]) + pickle.NEXT_BUFFER
                self.buffers.append(piece)
                return
        super().write(piece)
        self._left -= len(self[-1])
        if self._left < 0:
            raise TooLong

    def staysInBand(self, buffer: pickle.PickleBuffer) -> bool:
        """
        Takes a buffer, unless it is too small, or there are too many.

        @return: C{True} if it has to be part of the pickle.
        """
        view = buffer.raw()
        if not self._takes(view):
            return True
        self.buffers.append(view)
        return False

    def _unframed(self) -> bytes:
        """
        @return: What stands after the frame in the last piece, one that C{pickle} had
            gathered, if it can be what comes before large data.
        """
        last = self[-1]
        # The first piece begins with the number of the protocol.
        start = 2 if len(self) == 1 else 0
        if last[start : start + 1] == pickle.FRAME:
            start += 9 + int.from_bytes(last[start + 1 : start + 9], "little")
        rest = last[start:]
        return bytes(rest) if len(rest) <= _LONGEST_REST else b""

    def _takes(self, buffer: Any) -> bool:
        return len(buffer) >= OUT_OF_BAND and len(self.buffers) < _MOST_BUFFERS


def _opcode(size: int) -> bytes:
    """
    @return: What comes before the data of C{bytes} of a size.
    """
    if size < 1 << 32:
        return struct.pack("<cI", pickle.BINBYTES, size)
    return struct.pack("<cQ", pickle.BINBYTES8, size)
