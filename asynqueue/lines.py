"""
Lines that come in by standard input and go out by standard output, without ever
keeping the reactor waiting.

Descriptors are read and written without file objects. A thread that waits for
input or for a reader would hold such an object's lock when the interpreter exits.
"""

import os
import select
import sys
import threading
from collections.abc import AsyncIterator, Callable
from itertools import groupby
from operator import itemgetter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

CHUNK = 2**16
"""
How much is read at once, in bytes: what a pipe holds on Linux.
"""

IN, OUT, ERR = 0, 1, 2
"""
The standard descriptors.
"""

Defer = Callable[..., "Deferred[Any]"]
"""
Runs a call elsewhere: what
L{deferToThread<asynqueue.looper.ThreadLooper.deferToThread>} does.
"""


async def fromList(texts: list[str]) -> AsyncIterator[str]:
    """
    Gives texts one by one.
    """
    for text in texts:
        yield text


class LineSplitter:
    """
    I cut a stream of bytes into lines, wherever it was cut before.
    """

    def __init__(self) -> None:
        self._begun: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """
        @return: The lines that the data completes, without their newlines.
        """
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._begun, lines[0]])
            self._begun.clear()
        self._begun.append(rest)
        return lines

    def end(self) -> list[bytes]:
        """
        @return: A list with the last line, if it lacks its newline.
        """
        rest = b"".join(self._begun)
        self._begun.clear()
        return [rest] if rest else []


async def readLines(defer: Defer, fd: int = IN) -> AsyncIterator[str]:
    """
    Reads lines from a descriptor, as they are asked for.

    @raise OSError: if it cannot be read.
    """
    splitter = LineSplitter()
    while data := await defer(_read, fd):
        for line in splitter.feed(data):
            yield decode(line)
    for line in splitter.end():
        yield decode(line)


def _read(fd: int) -> bytes:
    while True:
        try:
            return os.read(fd, CHUNK)
        except BlockingIOError:
            select.select([fd], [], [])


def writeAll(fd: int, data: bytes) -> None:
    """
    Writes to a descriptor, and waits until it has taken everything.

    @raise OSError: if it cannot be written to.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])


def decode(data: bytes) -> str:
    """
    @return: A text from which L{encode} makes the same bytes, whatever they are.
    """
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """
    @return: A text as UTF-8, with any lone surrogate as the byte that L{decode}
        made it of, or else as an escape sequence.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


class InOrder:
    """
    I hold lines back until all those before them are there.

    @ivar size: How many bytes I hold.
    """

    def __init__(self) -> None:
        self.size = 0
        self._next = 0
        self._held: dict[int, bytes] = {}

    def __len__(self) -> int:
        """
        @return: How many lines I hold.
        """
        return len(self._held)

    def put(self, index: int, line: bytes) -> list[bytes]:
        """
        @param index: The line's place, counted from 0.
        @return: The lines whose turn has come.
        """
        self._held[index] = line
        self.size += len(line)
        lines = []
        while self._next in self._held:
            lines.append(self._held.pop(self._next))
            self._next += 1
        self.size -= sum(map(len, lines))
        return lines


class AsTheyCome(InOrder):
    """
    I hold nothing back.
    """

    def put(self, index: int, line: bytes) -> list[bytes]:
        """
        @return: A list of just that line.
        """
        return [line]


class Output:
    """
    I write to the standard descriptors, in the order in which I am given what
    is to be written, and keep a progress bar below it.

    I write in a thread: whoever is slow to read it holds up nothing else.

    @ivar count: How many texts are still to be written.
    @ivar size: How many bytes these are.
    @ivar whenWritten: Is called when some have been.
    @ivar whenFailed: Is called with a C{Failure} if standard output cannot be
        written to. I drop what I have then.
    """

    def __init__(
        self,
        defer: Defer,
        write: Callable[[int, bytes], None] = writeAll,
        bar: Any = None,
    ) -> None:
        """
        @param bar: A C{tqdm} bar on the terminal, or C{None}.
        """
        self.count = self.size = 0
        self.whenWritten: Callable[[], Any] = lambda: None
        self.whenFailed: Callable[[Any], Any] = lambda failure: None
        self._defer = defer
        self._write = write
        self._bar = bar
        self._texts: list[tuple[int, bytes]] = []
        self._finished = 0
        self._isBusy = False

    def isIdle(self) -> bool:
        """
        @return: C{True} if everything has been written.
        """
        return not (self._isBusy or self._texts or self._finished)

    def put(self, fd: int, text: bytes) -> None:
        """
        Writes a text, which may be empty. It is dropped if it is for a standard
        error that is closed, whose number another descriptor may have by now.
        """
        if text and (fd != ERR or sys.stderr is not None):
            self._texts.append((fd, text))
            self.count += 1
            self.size += len(text)
            self._begin()

    def advance(self) -> None:
        """
        Moves the progress bar on by an item.
        """
        if self._bar is not None:
            self._finished += 1
            self._begin()

    def setTotal(self, total: int) -> None:
        """
        Tells the progress bar how many items there are.
        """
        if self._bar is not None:
            self._bar.total = total

    def closeBar(self) -> None:
        """
        Leaves the progress bar as it is, and the cursor below it; unless I am
        still writing, which may take for ever.
        """
        if self._bar is not None and not self._isBusy:
            self._bar.close()

    def _begin(self) -> None:
        if not self._isBusy and (self._texts or self._finished):
            self._isBusy = True
            texts, self._texts = self._texts, []
            finished, self._finished = self._finished, 0
            d = self._defer(self._work, texts, finished)
            d.addCallbacks(self._written, self._failed, (texts,))

    def _work(self, texts: list[tuple[int, bytes]], finished: int) -> None:
        screens = filter(os.isatty, {fd for fd, _ in texts})
        inTheWay = self._bar is not None and any(screens)
        if inTheWay:
            self._bar.clear()
        for fd, group in groupby(texts, itemgetter(0)):
            try:
                self._write(fd, b"".join(text for _, text in group))
            except OSError:
                if fd == OUT:
                    raise
        if finished:
            self._bar.update(finished)
        if inTheWay:
            self._bar.refresh()

    def _written(self, _: None, texts: list[tuple[int, bytes]]) -> None:
        self._isBusy = False
        self.count -= len(texts)
        self.size -= sum(len(text) for _, text in texts)
        self._begin()
        self.whenWritten()

    def _failed(self, failure: Failure) -> None:
        self._isBusy = False
        self._texts.clear()
        self.whenFailed(failure)


def makeBar(total: int | None = None) -> Any:
    """
    @param total: How many items there are, C{None} if that is not known yet.
    @return: A progress bar on standard error if that is a terminal, and C{tqdm}
        is installed; else C{None}.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    # No thread of its own that looks after the bar, and no lock shared between
    # processes: only Output touches it.
    tqdm.monitor_interval = 0
    tqdm.set_lock(threading.RLock())
    return tqdm(total=total, file=sys.stderr, miniters=1, dynamic_ncols=True)
