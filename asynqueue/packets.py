"""
How packets cross a pipe.

A packet is a list of I{parts}, each of them a number of bytes. One of two parts
that are short is sent as one message::

    length of the first part (1 byte) | first part | second part

Any other is I{announced} by a message that tells how long each part is, and its
parts follow one after another::

    255 (1 byte) | length of each part (8 bytes, the highest bit set for bytes)
    first part | second part | ...

A part that is C{bytes} arrives as C{bytes}, any other as a C{memoryview} that can be
written to; those of a message are so short that they are always C{bytes}.

A message has at most L{AT_ONCE} bytes. So whoever finds one in the pipe can read
it without blocking, and knows then whether more follows that may take long, and
how much room it needs: each part is read right into its place.

Standard library only: the far side imports me.
"""

import io
import mmap
import os
import struct
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pickle import PickleBuffer
from typing import Any

Packet = list[Any]
"""
A list of parts, each C{bytes}, a C{memoryview} of single bytes, or L{Pieces}. It is
used up by being sent, or opened: what is large is held no longer than it has to be.
"""

AT_ONCE = 4096
"""
The longest message, in bytes, which is written and read in one piece: any pipe
takes it without blocking while it is empty. (The default buffer of a local
socket holds 208 KiB on Linux and 8 KiB on macOS.)
"""

MOST_PARTS = (AT_ONCE - 1) // 8
"""
How many parts a packet may have.
"""

LARGE = 1 << 22
"""
From how many bytes on a part is read into pages that the system gives for it alone.
A C{bytearray} would first be cleared, and no other thread run meanwhile: for 0.37 s
where 200 MiB were measured.
"""

_MOST_AT_ONCE = 1 << 30
"""
How many bytes are read by one system call at most. macOS refuses 2 GiB.
"""

_ANNOUNCED = 255
_IS_BYTES = 1 << 63


class Pieces(list[memoryview]):
    """
    I am a part that crosses as one and is held in pieces: what was written into me,
    as into a file, and is not copied.
    """

    def write(self, piece: Any) -> None:
        """
        Adds a piece.

        @param piece: C{bytes} or the like. It cannot change its length meanwhile.
        """
        self.append(PickleBuffer(piece).raw())


def message(packet: Packet) -> bytes | None:
    """
    @return: The message that a packet is sent as, C{None} if it is to be announced.
    """
    if len(packet) != 2:
        return None
    first, second = map(_length, packet)
    if first >= _ANNOUNCED or first + second >= AT_ONCE:
        return None
    return b"".join((bytes((first,)), *_pieces(packet)))


def announcement(packet: Packet) -> bytes:
    """
    @return: The message that announces a packet.
    @raise ValueError: if it has more than L{MOST_PARTS} parts.
    """
    if len(packet) > MOST_PARTS:
        raise ValueError(f"{len(packet)} parts, and {MOST_PARTS} at most can be sent")
    lengths = (_length(p) | isinstance(p, bytes) * _IS_BYTES for p in packet)
    return struct.pack(f"!B{len(packet)}Q", _ANNOUNCED, *lengths)


def parts(received: bytes) -> Packet | None:
    """
    @param received: A message.
    @return: The packet that was sent as it, C{None} if it announces one.
    @raise IndexError: if it is empty, as no message is.
    """
    first = received[0]
    if first == _ANNOUNCED:
        return None
    return [received[1 : first + 1], received[first + 1 :]]


def send(connection: Any, packet: Packet) -> None:
    """
    Sends a packet, however long that takes.

    @raise ValueError: if it has more than L{MOST_PARTS} parts.
    @raise OSError: if the far end is gone.
    """
    short = message(packet)
    if short is not None:
        connection.send_bytes(short)
    else:
        connection.send_bytes(announcement(packet))
        for piece in _pieces(packet):
            _write(connection, memoryview(piece))
    packet.clear()


def receive(connection: Any) -> Packet:
    """
    Receives a packet, however long that takes.

    @return: Its parts, as of L{receiveParts}.
    @raise EOFError: if the far end is gone.
    @raise OSError: if it has gone with something unread, or within a message.
    """
    received = connection.recv_bytes(AT_ONCE)
    short = parts(received)
    return receiveParts(connection, received) if short is None else short


def receiveParts(connection: Any, announcement: bytes) -> Packet:
    """
    Receives a packet after the message that announced it.

    @return: Its parts. One is C{None} if there was not enough memory for it: it is
        lost, and what follows is not.
    @raise EOFError: if the far end is gone.
    @raise OSError: if it has gone with something unread.
    """
    sizes = struct.unpack_from(f"!{len(announcement) // 8}Q", announcement, 1)
    return [_readPart(connection, size) for size in sizes]


def _pieces(packet: Packet) -> Iterator[Any]:
    for part in packet:
        if isinstance(part, Pieces):
            yield from part
        else:
            yield part


def _length(part: Any) -> int:
    return sum(map(len, part)) if isinstance(part, Pieces) else len(part)


def _readPart(connection: Any, size: int) -> Any:
    isBytes, size = size & _IS_BYTES, size & ~_IS_BYTES
    try:
        if isBytes:
            return _readBytes(connection, size)
        room = _room(size)
    except MemoryError:
        spare = memoryview(bytearray(AT_ONCE))
        while size:
            some = spare[:size]
            _readInto(connection, some)
            size -= len(some)
        return None
    _readInto(connection, room)
    return room


def _readBytes(connection: Any, size: int) -> bytes:
    if not isinstance(connection, Connection):
        room = bytearray(size)
        _readInto(connection, memoryview(room))
        return bytes(room)
    # It reads right into what it returns, as long as a buffer of its own would be
    # filled by it; so one of a single byte never is.
    reader = io.BufferedReader(io.FileIO(connection.fileno(), closefd=False), 1)
    part = reader.read(size)
    if len(part) < size:
        raise EOFError
    return part


def _room(size: int) -> memoryview:
    if size < LARGE or not _havePages:
        return memoryview(bytearray(size))
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as e:
        raise MemoryError(f"No room for {size} bytes") from e
    return memoryview(pages)


def _write(connection: Any, view: memoryview) -> None:
    while view:
        if isinstance(connection, Connection):
            n = os.write(connection.fileno(), view)
        else:
            # A pipe of Windows, or of a test.
            connection.send_bytes(view)
            n = len(view)
        view = view[n:]


def _readInto(connection: Any, view: memoryview) -> None:
    while view:
        if isinstance(connection, Connection):
            n = os.readv(connection.fileno(), [view[:_MOST_AT_ONCE]])
        else:
            n = connection.recv_bytes_into(view)
        if n == 0:
            raise EOFError
        view = view[n:]


_havePages = os.name == "posix"
