"""
How large arrays cross in shared memory.

The sender copies an array's buffer into a I{memory file}: memory that is a file without
a name. Its descriptor goes through the I{door}, a local socket beside the pipe, before
the packet does, and in the packet stands the file's size instead of the buffer. The
receiver maps the file, and the array is there. So it is copied once, not twice, and
passes no buffer in between.

Such memory has no name, so there is nothing to be cleaned up: it is gone with the last
descriptor or mapping, whoever dies, and wherever the descriptor is then.

Standard library only: the far side imports me.
"""

import mmap
import os
import socket
import struct
import tempfile
from typing import Any

from asynqueue.packets import Packet

MOST = 128
"""
How many arrays of one packet are shared. (Linux passes 253 descriptors at a time.)
"""

_SIZE = struct.Struct("!Q")
_MOST_AT_ONCE = 1 << 30


class MemoryFile:
    """
    I am a part of a packet that was copied into a memory file.

    @ivar fd: The file's descriptor, closed when nobody holds me; -1 without one.
    @ivar size: How long it is, in bytes.
    """

    fd = -1

    def __init__(self, buffer: memoryview) -> None:
        """
        @raise OSError: if there is not enough memory, or no descriptor left.
        """
        self.fd = _open()
        self.size = len(buffer)
        while buffer:
            # Not mapped and assigned to, which would let no other thread run.
            buffer = buffer[os.write(self.fd, buffer[:_MOST_AT_ONCE]) :]

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def share(buffers: list[Any], least: int) -> list[Any]:
    """
    Copies those buffers that are to be shared into memory files.

    @param buffers: Each C{bytes}, which are not shared because nothing but C{bytes}
        could take their place, or a C{memoryview}.
    @param least: From how many bytes on they are.
    @return: A list of the buffers, with L{MemoryFile}s in the places of those.
    """
    left = MOST
    parts = []
    for buffer in buffers:
        if left and isShared([buffer], least):
            left -= 1
            parts.append(MemoryFile(buffer))
        else:
            parts.append(buffer)
    return parts


def isShared(buffers: list[Any], least: int) -> bool:
    """
    @return: C{True} if one of these buffers is to be shared. The arguments are those
        of L{share}.
    """
    return any(isinstance(b, memoryview) and len(b) >= least for b in buffers)


class Door:
    """
    I am one end of the socket through which descriptors go.
    """

    def __init__(self, connection: Any) -> None:
        """
        @param connection: That end, a C{multiprocessing} connection, which is mine
            from now on.
        """
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        connection.close()

    def send(self, packet: Packet) -> None:
        """
        Sends what is shared in a packet, and puts the sizes into its places. To be
        called before the packet is sent; then there is room for it.

        @raise OSError: if the far end is gone.
        """
        places = [i for i, part in enumerate(packet) if isinstance(part, MemoryFile)]
        if places:
            files = [packet[place] for place in places]
            socket.send_fds(self._socket, [b"."], [file.fd for file in files])
            for place, file in zip(places, files, strict=True):
                packet[place] = _SIZE.pack(file.size)

    def receive(self, packet: Packet) -> None:
        """
        Maps what is shared in a packet that was received, and puts it into its
        places. It is there: it came before the packet. What cannot be mapped is
        C{None}.
        """
        # The first two parts are no buffers, and all buffers are longer.
        places = [
            i
            for i, part in enumerate(packet[2:], 2)
            if part is not None and len(part) == _SIZE.size
        ]
        if places:
            _, fds, _, _ = socket.recv_fds(self._socket, 1, MOST)
            for place in places:
                (size,) = _SIZE.unpack(packet[place])
                packet[place] = _map(fds.pop(0), size) if fds else None

    def close(self) -> None:
        """
        Lets go of the socket.
        """
        self._socket.close()


def _open() -> int:
    if _memfdCreate is not None:
        fd: int = _memfdCreate("asynqueue")
        return fd
    # A file that is kept in memory as well, if there is room.
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _map(fd: int, size: int) -> memoryview | None:
    try:
        return memoryview(mmap.mmap(fd, size))
    except (OSError, OverflowError):
        return None
    finally:
        os.close(fd)


_memfdCreate: Any = getattr(os, "memfd_create", None)
CAN_SHARE = getattr(socket, "send_fds", None) is not None
"""
Whether descriptors can be passed here.
"""
