"""
How large arrays cross in shared memory.

The sender copies an array's buffer into a memory file, and the packet is sent without
it. The receiver has the file mapped, and puts it there. So it is copied once, not
twice, and passes no buffer in between. The envelope is followed by what there is to
know of it::

    envelope | I{mark} for each | how many (1 byte)

A mark has the buffer's place in the packet, the file's number, and the buffer's size.

Beside the pipe there is the I{door}, a local socket. A file's descriptor goes through
it once, before the first packet with its mark. What has become free goes through it in
the other direction, before the next packet whatever. So nobody ever waits at the door:
what is needed to understand a packet is there when the packet is. Each message has two
bytes, what it is about and a file's number; and there are never more of them on their
way than each file can be the subject of, which any socket holds.

Standard library only: the far side imports me, if arrays are shared.
"""

import os
import socket
import struct
import sys
import weakref
from contextlib import suppress
from typing import Any

from asynqueue.arrivals import Arrivals
from asynqueue.packets import Packet
from asynqueue.slots import Part, Slot, Slots

LONG = 1 << 20
"""
How many bytes are copied in less than a millisecond, 1 MiB: measured as 0.1 to 0.6.
"""

_MARK = struct.Struct("!HBQ")
_MADE, _FREE, _LOST = b"mfl"


class Sharing:
    """
    I am one side of what is shared with one process.

    L{share} can be called in any thread, at the near side also before the door is
    there; the others where packets are sent and received.
    """

    def __init__(self, least: int) -> None:
        """
        @param least: From how many bytes on buffers are shared.
        """
        self._least = least
        self._slots = Slots()
        self._arrivals = Arrivals()
        self._door: Any = None
        _all.add(self)

    def open(self, connection: Any) -> None:
        """
        Begins to use the door.

        @param connection: My end of it, a C{multiprocessing} connection, which is mine
            from now on.
        """
        self._door = socket.socket(fileno=os.dup(connection.fileno()))
        self._door.setblocking(False)
        connection.close()

    def takesLong(self, buffers: list[Any]) -> bool:
        """
        @return: C{True} if to L{share} these takes more than about a millisecond.
        """
        return sum(len(buffer) for buffer in buffers if self._isOne(buffer)) > LONG

    def share(self, buffers: list[Any]) -> list[Any]:
        """
        Copies those buffers that are to be shared into memory files, as long as there
        are any.

        @param buffers: Each C{bytes}, which are not shared because nothing but C{bytes}
            could take their place, or a C{memoryview} of single bytes.
        @return: A list of the buffers, with L{Part}s in the places of those.
        """
        return [self._shared(b) if self._isOne(b) else b for b in buffers]

    def send(self, packet: Packet) -> None:
        """
        Takes what is shared out of a packet, and sends what the other side has to know
        for it. To be called right before the packet is sent.

        @raise OSError: if there is neither a descriptor nor memory left.
        """
        while self._arrivals.gone:
            number, isLost = self._arrivals.gone.popleft()
            # If there is no room, the file is not used any more. That is all.
            with suppress(OSError):
                self._door.send(bytes((_LOST if isLost else _FREE, number)))
        marks = []
        for place in reversed(range(len(packet))):
            part = packet[place]
            if isinstance(part, Part):
                if self._isSent(part.slot):
                    marks.append(_MARK.pack(place, part.slot.number, part.size))
                    del packet[place]
                else:
                    packet[place] = memoryview(part.slot.file.pages())[: part.size]
        packet[0] += b"".join(marks) + bytes((len(marks),))

    def receive(self, packet: Packet) -> None:
        """
        Puts what is shared into the packet that was received. What could not be mapped
        is C{None}.
        """
        head = packet[0]
        end = len(head) - 1 - head[-1] * _MARK.size
        if head[-1] or self._slots.areUsed:
            self._hear()
        packet[0] = head[:end]
        for place, number, size in reversed([*_MARK.iter_unpack(head[end:-1])]):
            packet.insert(place, self._arrivals.view(number, size))

    def close(self) -> None:
        """
        Lets go of the door and the memory. What has arrived stays, and nothing more is
        shared.
        """
        self._slots, self._arrivals = Slots(0), Arrivals()
        if self._door is not None:
            self._door.close()

    def _isOne(self, buffer: Any) -> bool:
        return isinstance(buffer, memoryview) and len(buffer) >= self._least

    def _shared(self, buffer: memoryview) -> "Part | memoryview":
        part = self._slots.take(len(buffer))
        if part is None:
            return buffer
        try:
            part.slot.file.fill(buffer)
        except OSError:
            part.slot.file.empty()
            part.slot.isLost = True
            return buffer
        return part

    def _isSent(self, slot: Slot) -> bool:
        """
        @return: C{False} if the slot cannot be sent. Then it is in use for good.
        """
        slot.sent += 1
        if not slot.isKnown:
            message = bytes((_MADE, slot.number))
            try:
                socket.send_fds(self._door, [message], [slot.file.fd])
            except OSError:
                return False
            slot.isKnown = True
        return True

    def _hear(self) -> None:
        """
        Hears what the other side has sent.
        """
        # If it is gone, the pipe tells.
        with suppress(OSError):
            while (message := socket.recv_fds(self._door, 2, 1))[0]:
                (kind, number), fds, *_ = message
                if kind == _MADE:
                    self._arrivals.add(number, fds)
                else:
                    self._slots.ended.append((number, kind == _LOST))
        self._slots.settle()


def _forked() -> None:
    """
    Lets a process that was forked have nothing of what its parent shares, except for
    what has arrived there.
    """
    for sharing in list(_all):
        sharing.close()


_all: "weakref.WeakSet[Sharing]" = weakref.WeakSet()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forked)
