"""
The near end of a pipe, which the reactor's thread never waits for.

Beside that thread another may use an end, which can wait: then it alone reads, and
either of them writes.
"""

import os
import select
import socket
from contextlib import suppress
from typing import Any

from asynqueue.packets import Incoming, Outgoing
from asynqueue.streams import isSocket, readSome, sendPiece, writeSome

CAPACITY = 1 << 19
"""
How much a pipe is wanted to hold, in bytes, so that its two ends need not take turns so
often: 20 MB went to and fro in 12 ms instead of 15. Linux doubles it for what comes
with it, and gives no more than C{net.core.wmem_max}.
"""


class SocketEnd:
    """
    I am an end that is a socket, as all are but on Windows.

    @ivar incoming: What was read, an L{Incoming<asynqueue.packets.Incoming>}.
    @ivar outgoing: What is to be written, an L{Outgoing<asynqueue.packets.Outgoing>}.
    """

    def __init__(self, connection: Any) -> None:
        """
        @param connection: A C{multiprocessing} connection. I close it.
        """
        self.incoming = Incoming()
        self.outgoing = Outgoing()
        self._connection = connection
        self._fd = connection.fileno()
        os.set_blocking(self._fd, False)
        self._reading, self._both = select.poll(), select.poll()
        self._reading.register(self._fd, select.POLLIN)
        self._both.register(self._fd, select.POLLIN | select.POLLOUT)

    def fileno(self) -> int:
        """
        @return: The descriptor, -1 if it was closed.
        """
        return int(self._fd)

    def write(self) -> None:
        """
        Writes what the pipe takes now, up to
        L{STRETCH<asynqueue.packets.STRETCH>} bytes. If the far end is gone, that is for
        whoever reads to find, after what it has left.
        """
        try:
            writeSome(self._fd, self.outgoing)
        except (BlockingIOError, ConnectionError):
            # It is full, or has ended.
            return
        except OSError:
            # It cannot go on.
            self.wake()

    def read(self) -> None:
        """
        Reads what is there now, up to L{SOME<asynqueue.streams.SOME>} bytes, or
        L{STRETCH<asynqueue.packets.STRETCH>} of a long part.

        @raise EOFError: if the far end is gone.
        @raise OSError: if it has gone with something unread, or what came is no packet.
        """
        try:
            readSome(self._fd, self.incoming)
        except BlockingIOError:
            # It is empty.
            return

    def wait(self, seconds: float) -> bool:
        """
        @return: C{True} if there is something to be read, or the end, within a time.
        """
        return bool(self._reading.poll(seconds * 1000))

    def attend(self, seconds: float, isWriter: bool) -> bool:
        """
        Waits until something can be read, or written if that is to be done, and
        does so.

        @return: C{False} if nothing could be within a time.
        @raise EOFError: as of L{read}.
        @raise OSError: as of L{read}.
        """
        isWriting = isWriter and bool(self.outgoing.packets)
        if not (self._both if isWriting else self._reading).poll(seconds * 1000):
            return False
        if isWriting:
            self.write()
        self.read()
        return True

    def wake(self) -> None:
        """
        Has whoever waits find the end of the pipe, after what it holds already.
        """
        try:
            with socket.socket(fileno=os.dup(self._fd)) as end:
                end.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It was at its end.
            return

    def close(self) -> None:
        """
        Closes it.
        """
        self._fd = -1
        self._connection.close()


class MessageEnd:
    """
    I am an end of which no more is known than what all C{multiprocessing}
    connections do: a named pipe of Windows, or a test's.

    An empty pipe takes a message at once. Of one that is not empty nobody can say if
    it does, so I write a packet when the one before was answered. What is more than a
    message is written by who can wait.

    @ivar incoming: As of a L{SocketEnd}.
    @ivar outgoing: As of a L{SocketEnd}.
    """

    def __init__(self, connection: Any) -> None:
        """
        @param connection: A C{multiprocessing} connection. I close it.
        """
        self.incoming = Incoming()
        self.outgoing = Outgoing()
        self._connection = connection
        self._isAnswered = True

    def write(self) -> None:
        """
        Writes the next packet, if it is a message and the last one was answered. If
        the far end is gone, that is for whoever reads to find.
        """
        if self._isAnswered and len(self.outgoing.packets[0]) == 1:
            self._writePacket()

    def read(self) -> None:
        """
        Reads a message. One has to be there.

        @raise EOFError: if the far end is gone.
        @raise OSError: if what came is no packet.
        """
        before = len(self.incoming.packets)
        self.incoming.feed(self._connection.recv_bytes())
        self._isAnswered = self._isAnswered or len(self.incoming.packets) > before

    def wait(self, seconds: float) -> bool:
        """
        @return: As of a L{SocketEnd}.
        """
        return bool(self._connection.poll(seconds))

    def attend(self, seconds: float, isWriter: bool) -> bool:
        """
        Writes the next packet, if that is to be done and the last one was answered,
        and reads a message.

        @return: C{False} if none has come within a time.
        @raise EOFError: as of L{read}.
        @raise OSError: as of L{read}.
        """
        if isWriter and self._isAnswered and self.outgoing.packets:
            self._writePacket()
        if not self.wait(seconds):
            return False
        self.read()
        return True

    def wake(self) -> None:
        """
        Cannot be done. Whoever waits finds out at his next look.
        """

    def close(self) -> None:
        """
        Closes it.
        """
        self._connection.close()

    def _writePacket(self) -> None:
        self._isAnswered = False
        packet = self.outgoing.packets[0]
        with suppress(OSError):
            while packet:
                sendPiece(self._connection, self.outgoing)


def widen(connection: Any) -> None:
    """
    Has a pipe hold up to L{CAPACITY} of what is written at one end, if it can.

    @param connection: That end.
    """
    if isSocket(connection):
        with socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CAPACITY)


def nearEnd(connection: Any) -> SocketEnd | MessageEnd:
    """
    @param connection: A C{multiprocessing} connection.
    @return: What it can be used by without waiting.
    """
    return SocketEnd(connection) if isSocket(connection) else MessageEnd(connection)
