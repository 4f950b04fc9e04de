"""
What worker processes tell beside their answers, as this side hears it.

A record that is logged in a process by C{logging} is handled here by the logger of
the same name, if that lets it pass now. It has two attributes more, I{worker}, which
is the ID of the worker, and I{pid}, which is its process's; I{process} and
I{processName} are those of whoever logged it, which may be a process that the
worker's has forked. What a call has logged is handled before its Deferred fires.

The loggers in the process have the levels that those here had when it was started.
What is changed here later counts here only. In the process handlers may be added and
loggers configured at will, which has no influence on what is told.

Records that come faster than they are read wait, and the call that logs them with
them, for up to L{PATIENCE<asynqueue.reporting.PATIENCE>} each; then they are
dropped, and how many were is told. Nothing is told at all on Windows, nor under a
reactor that does not provide C{IReactorFDSet}.
"""

import io
import logging
import os
import pickle
import select
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from asynqueue.framing import Unframer
from asynqueue.reporting import HEAD, Levels

CHUNK = 16384
"""
How much is read of a report pipe in one turn of the reactor, in bytes: some dozens
of log records.
"""

MOST_AT_ONCE = 64
"""
How many such reads are made where all is wanted that is there. It is far more than
a pipe holds, and ends with a writer that never ends.
"""

LONGEST_TEXT = 65536
"""
How much is kept of the text that a process leaves, in characters. A hundred threads
with stacks of ten functions leave about as much.
"""

MOST_UNFINISHED = 16
"""
Of how many records, of different processes, some pieces are kept until the others
come. They never do if the process ended in the middle of sending them.
"""


def levelsHere() -> Levels:
    """
    @return: The levels of those loggers of this process that have one of their
        own, by name.
    """
    loggers = dict(logging.root.manager.loggerDict)
    levels = {
        name: logger.level
        for name, logger in loggers.items()
        if isinstance(logger, logging.Logger) and logger.level
    }
    return {"": logging.root.level, **levels}


class Sifter(Unframer):
    """
    I find the messages in a stream that has text between them.

    A message has fewer than 2**24 bytes, so its head begins with a zero byte. The
    text has none.

    @ivar text: The text up to now, in bytes, at most L{LONGEST_TEXT} of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.text = bytearray()

    def message(self) -> bytes | None:
        """
        Takes the next message out.

        @return: The message, or C{None} if it is not there whole.
        """
        if self._buffer and self._buffer[0]:
            end = self._buffer.find(0)
            end = len(self._buffer) if end < 0 else end
            self.text += self._buffer[:end]
            del self.text[LONGEST_TEXT:], self._buffer[:end]
        return super().message()


@implementer(IReadDescriptor)
class Reports:
    """
    I hand the log records of a worker process to the loggers of this one that
    have their names, and keep the text that the process leaves when it dies of a
    fault.

    The reactor watches the pipe for me, so a process that tells nothing costs
    nothing.
    """

    log = Logger()

    def __init__(
        self, connection: Any, worker: int | None, pid: int | None, reactor: Any
    ) -> None:
        """
        @param connection: The read end of the report pipe. I close it.
        @param worker: The ID of the process's worker, C{None} if it has none.
        @param pid: The process's own ID.
        """
        self._connection = connection
        self._worker = worker
        self._pid = pid
        self._reactor = reactor
        self._sifter = Sifter()
        self._unfinished: dict[tuple[int, int], list[bytes]] = {}
        self._unread = select.poll()
        self._unread.register(connection.fileno(), select.POLLIN)
        os.set_blocking(connection.fileno(), False)
        reactor.addReader(self)

    def fileno(self) -> int:
        """
        @return: The descriptor that is watched, -1 if I have none any more.
        """
        return -1 if self._connection.closed else int(self._connection.fileno())

    def logPrefix(self) -> str:
        """
        @return: What Twisted names me by.
        """
        return type(self).__name__

    def doRead(self) -> None:
        """
        Reads some of what has come.
        """
        self._read()

    def connectionLost(self, reason: Any) -> None:
        """
        The pipe can be watched no more.
        """
        self.finish()

    def catchUp(self) -> None:
        """
        Reads all that has come by now.
        """
        for _ in range(MOST_AT_ONCE):
            # Most often there is nothing, and that is found out most cheaply so.
            if not self._unread.poll(0) or not self._read():
                break

    def finish(self) -> str | None:
        """
        Reads what is left, and lets go of the pipe: at once, though others may
        have its far end open, such as children of the process.

        @return: The text that the process has left, C{None} if it has not.
        """
        self.catchUp()
        self._leave()
        return self._sifter.text.decode("utf-8", "replace").strip() or None

    def _read(self) -> bool:
        """
        @return: C{False} if there was nothing.
        """
        try:
            data = os.read(self._connection.fileno(), CHUNK)
        except BlockingIOError:
            return False
        if not data:
            # Nobody has the far end any more.
            self._leave()
            return False
        self._sifter.feed(data)
        for piece in iter(self._sifter.message, None):
            try:
                self._add(piece)
            except Exception:
                self.log.failure(
                    "A log record of the worker process {pid} was lost", pid=self._pid
                )
        return True

    def _leave(self) -> None:
        if not self._connection.closed:
            self._reactor.removeReader(self)
            self._unread.unregister(self._connection.fileno())
            self._connection.close()

    def _add(self, piece: bytes) -> None:
        pid, number, isLast = HEAD.unpack_from(piece)
        parts = self._unfinished.setdefault((pid, number), [])
        parts.append(piece[HEAD.size :])
        if isLast:
            del self._unfinished[pid, number]
            self._handle(_open(b"".join(parts)))
        elif len(self._unfinished) > MOST_UNFINISHED:
            del self._unfinished[next(iter(self._unfinished))]

    def _handle(self, record: logging.LogRecord) -> None:
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            record.worker = self._worker
            record.pid = self._pid
            logger.handle(record)


def _open(data: bytes) -> logging.LogRecord:
    return logging.makeLogRecord(_PlainUnpickler(io.BytesIO(data)).load())


class _PlainUnpickler(pickle.Unpickler):
    """
    I load plain values, and so run nobody's code.
    """

    def find_class(self, module: str, name: str) -> Any:
        """
        Finds C{str}, by which the texts of what is no plain value are made.
        """
        if (module, name) != ("builtins", "str"):
            raise pickle.UnpicklingError(f"A record has no {module}.{name}")
        return str
