"""
How calls that wait in the pipe to a worker process are taken back.

What is in a pipe cannot be withdrawn: whoever would read it there might be a moment
too late, or too early, or in the middle. So each call that may be taken back has a
I{ticket}, one byte in a pipe of its own, and the process begins with the call only
once it has read that byte. The near side keeps the read end of the ticket pipe open
too, and takes calls back by reading tickets itself. The kernel gives each byte to one
reader and no other. So whatever the process does at that moment, whether it is
stopped, in the middle of a call that lets nothing else run, or dead, there is one
answer to who has a call, and both sides know it: whoever has read its ticket.

A ticket is the number of its call, counted from the first on, by both sides for
itself, and of that the lowest eight bits: so there may be no more than L{MOST} at a
time. It is written before its call is. If the process comes to a call and finds no
ticket, or that of a later one (which it keeps until then), the call was taken back,
and it says so and does nothing.

Standard library only: the far side imports me.
"""

import os
from typing import Any

MOST = 128
"""
How many tickets may be out at a time: half of the numbers that a byte has.
"""

_LOW = 0xFF


class Tickets:
    """
    I am the near side. To be told apart, at most L{MOST} of the calls that have a
    ticket are unanswered at any time.
    """

    def __init__(self, reader: Any, writer: Any) -> None:
        """
        @param reader: The read end of the pipe, a C{multiprocessing} connection that
            the process has too, and not blocking.
        @param writer: Its write end.
        """
        self._reader = reader
        self._writer = writer
        self._issued = 0

    def issue(self) -> int:
        """
        Gives the next call its ticket, before it is sent.

        @return: The number of the ticket, from 0 to 255.
        """
        ticket = self._issued & _LOW
        self._issued += 1
        os.write(self._writer.fileno(), bytes((ticket,)))
        return ticket

    def takeBack(self) -> bytes:
        """
        Takes back all calls that have not begun.

        @return: The numbers of their tickets, in order.
        """
        try:
            return os.read(self._reader.fileno(), MOST)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """
        Lets go of the pipe.
        """
        self._reader.close()
        self._writer.close()


class Gate:
    """
    I am the far side.
    """

    def __init__(self, reader: Any) -> None:
        """
        @param reader: The read end of the pipe, as of L{Tickets}.
        """
        self._reader = reader
        self._came = 0
        self._held: int | None = None

    def admit(self) -> bool:
        """
        Is asked for each call when its turn has come.

        @return: C{False} if it was taken back.
        """
        ticket = self._came & _LOW
        self._came += 1
        if self._held is None:
            try:
                read = os.read(self._reader.fileno(), 1)
            except BlockingIOError:
                return False
            self._held = read[0]
        if self._held != ticket:
            return False
        self._held = None
        return True


def makePipe(context: Any) -> tuple[Any, Any]:
    """
    Makes a ticket pipe.

    @param context: A C{multiprocessing} context.
    @return: Its read end and its write end, which do not block, C{multiprocessing}
        connections.
    """
    reader, writer = context.Pipe(duplex=False)
    # Of the pipe itself, whatever process has it.
    os.set_blocking(reader.fileno(), False)
    os.set_blocking(writer.fileno(), False)
    return reader, writer
