"""
What crosses a pipe: packets, as a stream of bytes.

A packet is a list of I{parts}, each of them a number of bytes. One of two parts
that are short is sent as one message::

    length of the first part (1 byte) | first part | second part

Any other is I{announced} by a message that tells how long each part is, and its
parts follow one after another::

    255 (1 byte) | length of each part (8 bytes, the highest bit set for bytes)
    first part | second part | ...

Before each message stands its length, see L{asynqueue.framing}; before a part of an
announced packet stands nothing.

A part that is C{bytes} arrives as C{bytes}, any other as a C{memoryview} that can be
written to; those of a message are so short that they are always C{bytes}.

A message has at most L{AT_ONCE} bytes. So whoever finds one knows whether more follows
that may take long, and how much room it needs: each part is read right into its place,
but for what came by the same read as the message that announced it.

I do no input and output: what waits for them is in L{asynqueue.streams}, what must not,
in C{asynqueue.ends}. Standard library only: the far side imports me.
"""

import struct
from collections import deque
from collections.abc import Iterator
from pickle import PickleBuffer
from typing import Any

from asynqueue.framing import SHORT
from asynqueue.rooms import Room, roomFor

Packet = list[Any]
"""
A list of parts, each C{bytes}, a C{memoryview} of single bytes, or L{Pieces}. It is
used up by being sent, or opened: what is large is held no longer than it has to be.
"""

AT_ONCE = 4096
"""
The longest message, in bytes: any pipe takes it without blocking while it is empty.
(The default buffer of a local socket holds 208 KiB on Linux and 8 KiB on macOS.)
"""

MOST_PARTS = (AT_ONCE - 1) // 8
"""
How many parts a packet may have.
"""

STRETCH = 1 << 20
"""
How many bytes are read into a place, or written, by one system call at most: 1 MiB,
which takes below a millisecond, and is more than a pipe holds.
"""

_MOST_PIECES = 512
"""
How many pieces are written by one system call at most. Linux, macOS and the BSDs take
1024.
"""

_HEAD = struct.Struct(SHORT.format + "B")
_ANNOUNCED = 255
_IS_BYTES = 1 << 63


class Pieces(list[Any]):
    """
    I am a part that crosses as one and is held in pieces, each C{bytes} or a
    C{memoryview} of single bytes: what was written into me, as into a file, and is not
    copied.
    """

    def write(self, piece: Any) -> None:
        """
        Adds a piece.

        @param piece: C{bytes} or the like. It cannot change its length meanwhile.
        """
        self.append(piece if type(piece) is bytes else PickleBuffer(piece).raw())


def isShort(packet: Packet) -> bool:
    """
    @return: C{True} if a packet is sent as a message, C{False} if it is to be
        announced.
    """
    if len(packet) != 2:
        return False
    first = len(packet[0])
    return first < _ANNOUNCED and first + _length(packet[1]) < AT_ONCE


def message(packet: Packet) -> bytes:
    """
    @return: The message that a packet that L{isShort} is sent as, with its length
        before it.
    """
    envelope, contents = packet
    first = len(envelope)
    head = _HEAD.pack(1 + first + _length(contents), first)
    return b"".join((head, envelope, *_pieces(contents)))


def announcement(packet: Packet) -> bytes:
    """
    @return: The message that announces a packet, with its length before it.
    @raise ValueError: if it has more than L{MOST_PARTS} parts.
    """
    n = len(packet)
    if n > MOST_PARTS:
        raise ValueError(f"{n} parts, and {MOST_PARTS} at most can be sent")
    sizes = (_length(p) | isinstance(p, bytes) * _IS_BYTES for p in packet)
    return SHORT.pack(1 + 8 * n) + struct.pack(f"!B{n}Q", _ANNOUNCED, *sizes)


class Outgoing:
    """
    I have the packets that are still to be written, in order, and am told how much
    was.

    @ivar packets: For each packet, the pieces of it that are left: a C{deque}.
    """

    def __init__(self) -> None:
        self.packets: deque[deque[Any]] = deque()

    def add(self, packet: Packet) -> None:
        """
        Takes a packet, and uses it up.

        @raise ValueError: if it has more than L{MOST_PARTS} parts.
        """
        if isShort(packet):
            pieces = deque((message(packet),))
        else:
            pieces = deque((announcement(packet),))
            for part in packet:
                pieces += filter(len, _pieces(part))
        packet.clear()
        self.packets.append(pieces)

    def next(self) -> list[Any]:
        """
        @return: What is to be written next: pieces for one C{os.writev}, of
            L{STRETCH} bytes together at most.
        """
        chosen: list[Any] = []
        left = STRETCH
        # Not by an iterator, because another thread may add some meanwhile.
        for i in range(len(self.packets)):
            for piece in self.packets[i]:
                if len(piece) > left:
                    piece = memoryview(piece)[:left]
                chosen.append(piece)
                left -= len(piece)
                if not left or len(chosen) == _MOST_PIECES:
                    return chosen
        return chosen

    def written(self, n: int) -> None:
        """
        Lets go of a number of bytes.
        """
        while n:
            packet = self.packets[0]
            size = len(packet[0])
            if n < size:
                packet[0] = memoryview(packet[0])[n:]
                return
            n -= size
            del packet[0]
            if not packet:
                del self.packets[0]


class Incoming:
    """
    I put packets together from a stream of bytes, however it is cut. While I am
    L{isInPart}, whoever reads the stream can read into my L{room}.

    @ivar packets: A C{deque} of the packets that are whole. A part that there was not
        enough memory for is C{None}: it is lost, and what follows is not.
    @ivar isInPart: C{True} while the next bytes are those of a part that was announced.
    """

    def __init__(self) -> None:
        self.packets: deque[Packet] = deque()
        self.isInPart = False
        self._rest = b""
        self._sizes: Iterator[int] = iter(())
        self._parts: Packet = []
        self._room: Room = Room(0)

    def feed(self, data: bytes) -> None:
        """
        Takes the next bytes of the stream, whatever they are.

        @raise OSError: if something stands where a message should that is none.
        """
        while data:
            data = self._fill(data) if self.isInPart else self._open(data)

    def room(self) -> memoryview:
        """
        @return: Where the next bytes of a part belong, L{STRETCH} of them at most. To
            be released when they are there, before I am told.
        """
        return self._room.next(STRETCH)

    def filled(self, n: int) -> None:
        """
        Is told how many bytes are in the L{room}.
        """
        self._room.left -= n
        if not self._room.left:
            self._parts.append(self._room.take())
            self._beginPart()

    def _fill(self, data: bytes) -> bytes:
        """
        @return: What comes after the part, or after the first stretch of it.
        """
        with self.room() as room:
            n = min(len(room), len(data))
            room[:n] = data[:n]
        self.filled(n)
        return data[n:]

    def _open(self, data: bytes) -> bytes:
        """
        @return: What comes after the first message that announces a packet.
        """
        data = self._rest + data if self._rest else data
        begin, end = 0, len(data)
        while end - begin >= SHORT.size:
            (length,) = SHORT.unpack_from(data, begin)
            if not 0 < length <= AT_ONCE:
                raise OSError(f"A message cannot have {length} bytes: not a message")
            start = begin + SHORT.size
            if start + length > end:
                break
            begin = start + length
            first = data[start]
            if first == _ANNOUNCED:
                self._rest = b""
                sizes = struct.unpack_from(f"!{length // 8}Q", data, start + 1)
                self._sizes = iter(sizes)
                self._beginPart()
                return data[begin:]
            second = start + 1 + first
            self.packets.append([data[start + 1 : second], data[second:begin]])
        self._rest = data[begin:]
        return b""

    def _beginPart(self) -> None:
        for size in self._sizes:
            self._room = roomFor(size & ~_IS_BYTES, size >= _IS_BYTES)
            if self._room.left:
                self.isInPart = True
                return
            self._parts.append(self._room.take())
        self.isInPart = False
        self.packets.append(self._parts)
        # Not held any more.
        self._parts, self._room = [], Room(0)


def _pieces(part: Any) -> Any:
    return part if isinstance(part, Pieces) else (part,)


def _length(part: Any) -> int:
    return sum(map(len, part)) if isinstance(part, Pieces) else len(part)
