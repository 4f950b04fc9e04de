"""
Packets read from a connection, and written to it, by who can wait.

Where the connection is a socket, I read and write bytes of the stream themselves. Where
it is not (a named pipe of Windows, or a test's), I know only that it carries messages
of its own: then it is these that the stream is cut into.

Standard library only: the far side imports me.
"""

import os
import select
import time
from multiprocessing.connection import Connection
from typing import Any

from asynqueue.packets import Incoming, Outgoing, Packet
from asynqueue.vigil import QUESTION_SOON, Vigil, letOthersRun

SOME = 1 << 16
"""
How much is read at a time where it is not known how much is there, in bytes: 64 KiB,
some hundreds of short packets.
"""


class Receiver:
    """
    I receive packets one by one. What came with one, of those that follow it, I keep.
    For what comes soon I stay awake, if I know how to look for it.
    """

    def __init__(self, connection: Any) -> None:
        """
        @param connection: A C{multiprocessing} connection.
        """
        self._connection = connection
        self._isSocket = isSocket(connection)
        self._incoming = Incoming()
        self._vigil = Vigil(time.monotonic, QUESTION_SOON)

    def receive(self) -> Packet:
        """
        Receives a packet, however long that takes.

        @return: Its parts. One is C{None} if there was not enough memory for it.
        @raise EOFError: if the far end is gone.
        @raise OSError: if it has gone with something unread, or what came is no packet.
        """
        incoming = self._incoming
        if self._isSocket and not incoming.packets:
            self._lookForSome()
            readSome(self._connection.fileno(), incoming)
            self._vigil.end()
        while not incoming.packets:
            if self._isSocket:
                readSome(self._connection.fileno(), incoming)
            else:
                incoming.feed(self._connection.recv_bytes())
        return incoming.packets.popleft()

    def _lookForSome(self) -> None:
        reading = select.poll()
        reading.register(self._connection.fileno(), select.POLLIN)
        self._vigil.begin()
        while self._vigil.lasts() and not reading.poll(0):
            # Where cores are few, whoever is to send may wait for this one.
            letOthersRun()


def send(connection: Any, packet: Packet) -> None:
    """
    Sends a packet, however long that takes, and uses it up.

    @raise ValueError: if it has more than L{MOST_PARTS<asynqueue.packets.MOST_PARTS>}
        parts.
    @raise OSError: if the far end is gone.
    """
    outgoing = Outgoing()
    outgoing.add(packet)
    if isSocket(connection):
        fd = connection.fileno()
        while outgoing.packets:
            writeSome(fd, outgoing)
    else:
        while outgoing.packets:
            sendPiece(connection, outgoing)


def isSocket(connection: Any) -> bool:
    """
    @return: C{True} if a connection is a stream of bytes and no more.
    """
    return os.name == "posix" and isinstance(connection, Connection)


def readSome(fd: int, incoming: Incoming) -> None:
    """
    Reads some of what there is by one system call, or waits until there is some.

    @raise BlockingIOError: if it cannot wait, and there is nothing.
    @raise EOFError: if the far end is gone.
    @raise OSError: as of C{Receiver.receive}.
    """
    if incoming.isInPart:
        with incoming.room() as room:
            n = os.readv(fd, (room,))
        if not n:
            raise EOFError("The pipe has ended within a packet")
        incoming.filled(n)
    else:
        data = os.read(fd, SOME)
        if not data:
            raise EOFError("The pipe has ended")
        incoming.feed(data)


def writeSome(fd: int, outgoing: Outgoing) -> None:
    """
    Writes some of what is to be written by one system call, or waits until it can.

    @raise BlockingIOError: if it cannot wait, and the pipe is full.
    @raise OSError: if the far end is gone.
    """
    outgoing.written(os.writev(fd, outgoing.next()))


def sendPiece(connection: Any, outgoing: Outgoing) -> None:
    """
    Sends some of what is to be written as a message of a connection that has its own.

    @raise OSError: if the far end is gone.
    """
    piece = outgoing.next()[0]
    connection.send_bytes(piece)
    outgoing.written(len(piece))
