"""
What a worker process tells beside its answers: its log records, and the stack of a
fault that it dies of.

Both go through a pipe of their own, the I{report pipe}. A record is pickled and
cut into I{pieces}, each a message with a head of its own::

    process ID (4 bytes) | number of the record (8 bytes) | last piece? (1 byte) | data

No piece is longer than what a pipe takes whole or not at all (C{PIPE_BUF}). So
whatever happens in the middle, nothing is ever half written; the threads and the
forked children of the process need no lock between them; and the text that
C{faulthandler} writes, in which there is no zero byte, stands before, after or
between messages of fewer than 2**24 bytes, which begin with one.

Standard library only: the far side imports me.
"""

import faulthandler
import io
import itertools
import logging
import os
import pickle
import select
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from multiprocessing.util import Finalize
from typing import Any

from asynqueue.framing import header

PATIENCE = 5.0
"""
How long a record waits for the near side to read those before it, in seconds.
"""

HEAD = struct.Struct("!IQ?")
"""
What a piece begins with.
"""

ATOMIC = getattr(select, "PIPE_BUF", 512)
"""
How much a pipe takes whole or not at all, in bytes: what the system says, at least
the 512 of POSIX.
"""

ROOM = ATOMIC - len(header(0)) - HEAD.size
"""
How much of a record a piece holds, in bytes.
"""

Levels = Mapping[str, int]
"""
The levels of loggers by name, the root's as that of an empty name.
"""

_formatter = logging.Formatter()


def begin(connection: Any, levels: "Levels | None") -> None:
    """
    Has this process tell its parent of faults, and of log records.

    @param connection: The write end of the report pipe.
    @param levels: What levels the loggers are given. C{None} to leave all that
        concerns log records as it is.
    """
    fd = connection.fileno()
    os.set_blocking(fd, False)
    os.set_inheritable(fd, False)
    faulthandler.enable(fd)
    os.register_at_fork(after_in_child=_faultsToStderr)
    if levels is not None:
        reporter = Reporter(connection)
        standAboveRoot(reporter, levels)
        # The end of a process that multiprocessing has started, of either kind:
        # that of a forked one is none to atexit.
        Finalize(None, reporter.flush, exitpriority=0)


def standAboveRoot(handler: logging.Handler, levels: Levels) -> None:
    """
    Puts a handler above the root logger, as if that had a parent. There it hears
    of all records, and is in the way of no configuration: C{basicConfig} finds a
    root logger without handlers, and nothing takes this one away. Without
    arguments C{basicConfig} does nothing, though, because so it is called by
    C{logging.info} and its like, lest their records be lost, which they are not.

    The handlers that there are by now have come with the main module, or with
    the memory of the parent. They are taken away, because the parent has them
    too and hands them every record that it is told of.
    """
    loggers = list(logging.root.manager.loggerDict.values())
    for logger in [logging.root, *loggers]:
        if isinstance(logger, logging.Logger):
            logger.handlers = []
            logger.propagate = True
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    above = logging.Logger("the parent process")
    above.addHandler(handler)
    logging.root.parent = above
    logging.basicConfig = partial(_configureIfTold, logging.basicConfig)


def seal(record: logging.LogRecord) -> bytes:
    """
    Pickles a record's attributes.

    Message and traceback become text, as with C{QueueHandler}, but stay apart,
    so that the near side formats the record as it does its own. So do all
    objects, for example among what a user adds, except numbers, texts and
    containers of such. Loading the pickle thus runs nobody's code.

    @raise Exception: whatever making the message raises.
    """
    fields = dict(vars(record), msg=record.getMessage(), args=None, exc_info=None)
    if record.exc_info and not record.exc_text:
        fields["exc_text"] = _formatter.formatException(record.exc_info)
    stream = io.BytesIO()
    _PlainPickler(stream, pickle.HIGHEST_PROTOCOL).dump(fields)
    return stream.getvalue()


def pieces(data: bytes, number: int) -> Iterator[bytes]:
    """
    @return: The pieces of a record, with what stands before each.
    """
    for begin in range(0, len(data), ROOM):
        part = data[begin : begin + ROOM]
        head = HEAD.pack(os.getpid(), number, begin + ROOM >= len(data))
        yield header(len(head) + len(part)) + head + part


class Reporter(logging.Handler):
    """
    I send log records to the parent process.

    A record waits at most L{PATIENCE} for room in the pipe. After one that has
    waited in vain, none waits until there is room again. Those that were
    dropped are counted, and the parent is told how many.
    """

    def __init__(self, connection: Any) -> None:
        super().__init__()
        self._connection = connection
        self._pipe = self._which()
        self._numbers = itertools.count()
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """
        Sends a record. If it cannot be made a text of, that is told on stderr,
        in the way of all handlers.
        """
        try:
            data = seal(record)
        except Exception:
            self.handleError(record)
            return
        self.flush()
        if self._dropped or not self._send(data, PATIENCE):
            self._dropped += 1

    def flush(self) -> None:
        """
        Tells how many records were dropped, if some were and there is room.
        """
        if self._dropped and self._send(seal(self._notice()), 0.0):
            self._dropped = 0

    def _notice(self) -> logging.LogRecord:
        return logging.LogRecord(
            __name__,
            logging.WARNING,
            __file__,
            0,
            "%d log records were dropped: they came faster than they were read",
            (self._dropped,),
            None,
        )

    def _send(self, data: bytes, patience: float) -> bool:
        """
        @return: C{False} if there was no room, or nobody reads any more.
        """
        number = next(self._numbers)
        return all(self._write(piece, patience) for piece in pieces(data, number))

    def _write(self, piece: bytes, patience: float) -> bool:
        deadline = time.monotonic() + patience
        try:
            if self._which() != self._pipe:
                # A call has closed all descriptors, and this is another by now.
                return False
            while True:
                try:
                    os.write(self._connection.fileno(), piece)
                except BlockingIOError:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0 or not self._hasRoom(remaining):
                        return False
                else:
                    return True
        except OSError:
            return False

    def _which(self) -> tuple[int, int]:
        """
        @return: What tells the pipe from whatever else may have its descriptor.
        """
        status = os.fstat(self._connection.fileno())
        return status.st_dev, status.st_ino

    def _hasRoom(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLOUT)
        return bool(poll.poll(seconds * 1000))


class _PlainPickler(pickle.Pickler):
    """
    I pickle what is no plain value as the text that represents it.
    """

    def reducer_override(self, obj: Any) -> Any:
        """
        Is asked about all that is neither a number, a text nor a container, and
        about instances of their subclasses.
        """
        if obj is str:
            return NotImplemented
        if isinstance(obj, str):
            return str, (str.__str__(obj),)
        try:
            return str, (str.__str__(repr(obj)),)
        except Exception as e:
            kind = type(obj).__qualname__
            return str, (f"<{kind} whose repr raises {type(e).__name__}>",)


def _configureIfTold(basicConfig: Callable[..., None], /, **kw: Any) -> None:
    if kw:
        basicConfig(**kw)


def _faultsToStderr() -> None:
    """
    Has a forked child tell of its own faults where any process does.
    """
    try:
        faulthandler.enable()
    except (AttributeError, OSError, RuntimeError, ValueError):
        # There is no such place.
        faulthandler.disable()
