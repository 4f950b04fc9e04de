"""
What a worker process tells: how it is written, and what that does to the process.
"""

import contextlib
import io
import logging
import os
import pickle
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import reporting
from asynqueue.framing import Unframer
from asynqueue.reporting import ATOMIC, HEAD, Reporter, pieces, seal
from tests.told import Shy, Thing


class Text(str):
    """A text of its own type."""


def makeRecord(text, *args, level=logging.INFO, error=None, **extra):
    """
    @return: A log record.
    """
    info = error and (type(error), error, error.__traceback__)
    record = logging.LogRecord("told", level, __file__, 7, text, args, info, "f")
    vars(record).update(extra)
    return record


def plain(data):
    """
    @return: What a pickle holds that may name nothing but C{str}.
    """

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            assert (module, name) == ("builtins", "str"), name
            return str

    return Unpickler(io.BytesIO(data)).load()


def unframed(data):
    """
    @return: The messages in some bytes, and what is left.
    """
    unframer = Unframer()
    unframer.feed(data)
    return list(iter(unframer.message, None)), unframer.rest()


class SealTests(SynchronousTestCase):
    def test_message(self):
        """The message is made where its arguments are, and nothing else is lost."""
        record = makeRecord("%s and 100%%", Thing())
        fields = plain(seal(record))
        self.assertEqual(fields["msg"], "<a thing> and 100%")
        self.assertIsNone(fields["args"])
        same = set(vars(record)) - {"msg", "args"}
        self.assertEqual(
            {n: fields[n] for n in same}, {n: vars(record)[n] for n in same}
        )

    def test_traceback(self):
        """The traceback is text, beside the message and not in it."""
        try:
            raise ValueError("no")
        except ValueError as e:
            record = makeRecord("it failed", error=e)
        fields = plain(seal(record))
        self.assertEqual(fields["msg"], "it failed")
        self.assertIsNone(fields["exc_info"])
        for text in ("Traceback", "test_traceback", "ValueError: no"):
            self.assertIn(text, fields["exc_text"])
        back = logging.makeLogRecord(fields)
        lines = logging.Formatter("%(message)s").format(back).splitlines()
        self.assertEqual((lines[0], lines[-1]), ("it failed", "ValueError: no"))

    def test_unchanged(self):
        """Other handlers find the record as it was."""
        try:
            raise ValueError("no")
        except ValueError as e:
            record = makeRecord("%s", 1, error=e)
        before = dict(vars(record))
        seal(record)
        self.assertEqual(vars(record), before)

    def test_extra(self):
        """What a user adds is kept where it is plain, and else what it looks like."""
        loop: list[Any] = [1]
        loop.append(loop)
        for given_, got in (
            ({"a": [1, 2.5, None, True], "b": (b"x", {3})}, None),
            (Thing(), "<a thing>"),
            ([1, {"x": Thing()}], [1, {"x": "<a thing>"}]),
            (Text("text"), "text"),
            (Thing, repr(Thing)),
            (Shy(), "<Shy whose repr raises RuntimeError>"),
        ):
            fields = plain(seal(makeRecord("x", given=given_)))
            self.assertEqual(fields["given"], given_ if got is None else got)
        back = plain(seal(makeRecord("x", given=loop)))["given"]
        self.assertIs(back[1], back)


class PiecesTests(SynchronousTestCase):
    @given(st.binary(min_size=1, max_size=20000), st.integers(0, 2**64 - 1))
    def test_pieces(self, data, number):
        """A record is the sum of its pieces, each short enough to be written whole."""
        made = list(pieces(data, number))
        self.assertLessEqual(max(map(len, made)), ATOMIC)
        messages, rest = unframed(b"".join(made))
        self.assertEqual(rest, b"")
        heads = [HEAD.unpack_from(message) for message in messages]
        last = len(made) - 1
        self.assertEqual(
            heads, [(os.getpid(), number, i == last) for i in range(len(made))]
        )
        self.assertEqual(b"".join(m[HEAD.size :] for m in messages), data)

    def test_begin(self):
        """None begins with what a text could begin with."""
        for piece in pieces(b"x" * 10000, 1):
            self.assertEqual(piece[0], 0)


class ReporterTests(SynchronousTestCase):
    """
    A reporter and a pipe, in one process.
    """

    def setUp(self):
        self.reading, self.writing = os.pipe()
        for fd in (self.reading, self.writing):
            os.set_blocking(fd, False)
            self.addCleanup(self.close, fd)
        self.waits: list[float] = []
        self.onWait: Any = lambda: False
        self.patch(Reporter, "_hasRoom", self.hasRoom)
        self.reporter = Reporter(self)

    def close(self, fd):
        with contextlib.suppress(OSError):
            os.close(fd)

    def fileno(self):
        return self.writing

    def hasRoom(self, seconds):
        self.waits.append(seconds)
        return self.onWait()

    def read(self, data=b""):
        """
        @param data: What was read before.
        @return: The messages of the records that are in it, and in the pipe.
        """
        while True:
            try:
                data += os.read(self.reading, 65536)
            except BlockingIOError:
                break
        parts, records = b"", []
        for piece in unframed(data)[0]:
            parts += piece[HEAD.size :]
            if HEAD.unpack_from(piece)[2]:
                records.append(plain(parts)["msg"])
                parts = b""
        return records

    def fill(self):
        """
        @return: How many records there are when the pipe is full.
        """
        n = 0
        while not self.waits:
            self.reporter.handle(makeRecord("%d", n))
            n += 1
        return n - 1

    def test_told(self):
        """A record is in the pipe when it was handled, however long it is."""
        for text in ("short", "x" * 20000):
            self.reporter.handle(makeRecord(text))
            self.assertEqual(self.read(), [text])
        self.assertEqual(self.waits, [])

    def test_waits(self):
        """A record waits for room, and comes when there is some."""
        n = self.fill()
        del self.waits[:]
        got = []

        def onWait():
            got.extend(self.read())
            return True

        # One was dropped. The next finds room, and so the first that waits is told.
        got += self.read()
        self.onWait = onWait
        for i in range(n + 5):
            self.reporter.handle(makeRecord("again %d", i))
        got += self.read()
        self.assertGreaterEqual(len(self.waits), 1)
        self.assertEqual(got[:n], [str(i) for i in range(n)])
        self.assertIn("1 log records were dropped", got[n])
        self.assertEqual(got[n + 1 :], [f"again {i}" for i in range(n + 5)])

    def test_drops(self):
        """What has waited in vain is dropped, and what follows does not even wait."""
        n = self.fill()
        (waited,) = self.waits
        self.assertLessEqual(waited, reporting.PATIENCE)
        self.assertGreater(waited, reporting.PATIENCE / 2)
        for _ in range(9):
            self.reporter.handle(makeRecord("lost"))
        self.assertEqual(len(self.waits), 1)
        self.assertEqual(self.read(), [str(i) for i in range(n)])
        self.reporter.flush()
        (notice,) = self.read()
        self.assertIn("10 log records were dropped", notice)
        self.reporter.handle(makeRecord("there"))
        self.assertEqual(self.read(), ["there"])

    def test_notHalf(self):
        """A long record that is cut off leaves nothing that disturbs the next."""
        n = self.fill()
        before = os.read(self.reading, 8192)
        self.reporter.handle(makeRecord("x" * 30000))
        self.assertEqual(self.read(before)[:n], [str(i) for i in range(n)])
        self.reporter.handle(makeRecord("there"))
        self.assertEqual(self.read()[-1], "there")
        self.assertGreater(n, 2)

    def test_takenAway(self):
        """If there is no room after all, it is waited for again, but not for ever."""
        self.onWait = lambda: True
        self.patch(reporting, "PATIENCE", 0.02)
        self.fill()
        self.assertGreater(len(self.waits), 1)

    def test_nobodyReads(self):
        """Without anybody who reads, records are nobody's trouble."""
        os.close(self.reading)
        for _ in range(3):
            self.reporter.handle(makeRecord("lost"))
        self.assertEqual(self.waits, [])

    def test_closed(self):
        """Nor are they if the pipe was closed, or is another file by now."""
        os.close(self.writing)
        self.reporter.handle(makeRecord("lost"))
        with open(self.mktemp(), "w+b") as file:
            os.dup2(file.fileno(), self.writing)
            self.reporter.handle(makeRecord("lost"))
            self.assertEqual(os.fstat(file.fileno()).st_size, 0)

    def test_nonsense(self):
        """A record that is not to be made is told of on stderr, and raises nothing."""
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        self.reporter.handle(makeRecord("%d", "no number"))
        self.assertIn("Logging error", stderr.getvalue())
        self.assertEqual(self.read(), [])
