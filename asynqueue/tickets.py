"""
How calls that wait in the pipe to a worker process are taken back.

What is in a pipe cannot be withdrawn: whoever would read it there might be a moment
too late, or too early, or in the middle. So each call that may be taken back has a
I{ticket}, one byte in a pipe of its own, written before the call is sent; and the
process begins with a call only once it has read a ticket. The near side keeps the read
end of the ticket pipe open too, and takes calls back by reading tickets itself. The
kernel gives each byte to one reader and no other. So whatever the process does at that
moment, whether it is stopped, in the middle of a call that lets nothing else run, or
dead, there is one answer to who has a call, and both sides know it.

Calls are begun in the order in which they were sent, so if the near side has got
I{n} tickets back, it has the last I{n} calls. Those are still in the pipe: the process
comes to them, finds no ticket, says so and does nothing. Until it has said so of all of
them no other ticket is issued, which it might take for theirs.

Standard library only: the far side imports me.
"""

import os
from typing import Any

MOST = 128
"""
How many tickets may be out at a time. Any pipe holds more: those of POSIX 512 bytes at
least.
"""

_TICKET = b"."


class Tickets:
    """
    I am the near side.
    """

    def __init__(self, reader: Any, writer: Any) -> None:
        """
        @param reader: The read end of the pipe, a C{multiprocessing} connection that
            the process has too, and not blocking.
        @param writer: Its write end.
        """
        self._reader = reader
        self._writer = writer

    def issue(self) -> None:
        """
        Gives a call its ticket. To be called before it is sent.
        """
        os.write(self._writer.fileno(), _TICKET)

    def takeBack(self) -> int:
        """
        Takes back all calls that have not begun.

        @return: How many these are.
        """
        try:
            return len(os.read(self._reader.fileno(), MOST))
        except BlockingIOError:
            return 0

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

    def admit(self) -> bool:
        """
        Is asked for each call when its turn has come.

        @return: C{False} if it was taken back.
        """
        try:
            return bool(os.read(self._reader.fileno(), 1))
        except BlockingIOError:
            return False


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
