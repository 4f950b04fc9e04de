"""
Lines that come in and go out.
"""

import os
import select
import sys
from io import StringIO
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import lines
from asynqueue.lines import (
    ERR,
    OUT,
    AsTheyCome,
    InOrder,
    LineSplitter,
    Output,
    decode,
    encode,
    fromList,
    makeBar,
    readLines,
    writeAll,
)

DATA = st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"bc", b"\xc3", b"\xff"]))


async def listOf(texts):
    return [text async for text in texts]


class SplittingTests(SynchronousTestCase):
    @given(DATA, st.data())
    def test_anywhere(self, pieces, data):
        """Data cut anywhere gives the lines that it gives uncut."""
        whole = b"".join(pieces)
        cuts = data.draw(st.lists(st.integers(0, len(whole))))
        ends = [0, *sorted(cuts), len(whole)]
        splitter, found = LineSplitter(), []
        for start, end in pairwise(ends):
            found += splitter.feed(whole[start:end])
        found += splitter.end()
        wanted = whole.split(b"\n")
        self.assertEqual(found, wanted if wanted[-1] else wanted[:-1])

    def test_end(self):
        """A last line without a newline is a line; a newline at the end begins none."""
        splitter = LineSplitter()
        self.assertEqual(splitter.feed(b"a\n\nb"), [b"a", b""])
        self.assertEqual(splitter.end(), [b"b"])
        self.assertEqual(splitter.end(), [])


class EncodingTests(SynchronousTestCase):
    @given(st.binary())
    def test_anyBytes(self, data):
        """Whatever bytes a line has, a file name of any encoding, go out again."""
        self.assertEqual(encode(decode(data)), data)

    @given(st.text(st.characters()))
    def test_anyText(self, text):
        """A text that is no UTF-8, such as a result may be, goes out somehow."""
        self.assertIsInstance(encode(text), bytes)


class ReadingTests(SynchronousTestCase):
    def pipe(self, data):
        near, far = os.pipe()
        self.addCleanup(os.close, near)
        os.write(far, data)
        os.close(far)
        return near

    def read(self, texts):
        return self.successResultOf(Deferred.fromCoroutine(listOf(texts)))

    def test_lines(self):
        """A descriptor gives its lines, chunk by chunk, up to its end."""
        self.patch(lines, "CHUNK", 3)
        texts = readLines(maybeDeferred, self.pipe(b"one\ntwo\n\nf\xf6ur"))
        self.assertEqual(self.read(texts), ["one", "two", "", "f\udcf6ur"])

    def test_nothing(self):
        """An end at once gives nothing."""
        self.assertEqual(self.read(readLines(maybeDeferred, self.pipe(b""))), [])

    def test_asNeeded(self):
        """Nothing is read before the lines read already have been taken."""
        self.patch(lines, "CHUNK", 4)
        asked = []

        def defer(f, *args):
            asked.append(args)
            return maybeDeferred(f, *args)

        async def take(n):
            return [await anext(texts) for _ in range(n)]

        texts = readLines(defer, self.pipe(b"a\nb\nc\nd\n"))
        d = Deferred.fromCoroutine(take(2))
        self.assertEqual(self.successResultOf(d), ["a", "b"])
        self.assertEqual(len(asked), 1)
        d = Deferred.fromCoroutine(take(1))
        self.assertEqual(self.successResultOf(d), ["c"])
        self.assertEqual(len(asked), 2)

    def test_nonBlocking(self):
        """A descriptor that another program made non-blocking is waited for."""
        near, far = os.pipe()
        self.addCleanup(os.close, near)
        os.set_blocking(near, False)
        waited = []

        def wait(*fds):
            waited.append(fds)
            os.write(far, b"late\n")
            os.close(far)

        self.patch(select, "select", wait)
        self.assertEqual(self.read(readLines(maybeDeferred, near)), ["late"])
        self.assertEqual(len(waited), 1)

    def test_fromList(self):
        """A list gives its texts."""
        self.assertEqual(self.read(fromList(["a", "b"])), ["a", "b"])


class OrderTests(SynchronousTestCase):
    @given(st.permutations(range(8)))
    def test_inOrder(self, indices):
        """Lines that come in any order go out in theirs, as soon as can be."""
        order, gone = InOrder(), []
        for n, index in enumerate(indices, 1):
            gone += order.put(index, b"%d." % index)
            self.assertEqual(gone, [b"%d." % i for i in range(len(gone))])
            self.assertNotIn(len(gone), indices[:n])
            self.assertEqual(len(order), n - len(gone))
            self.assertEqual(order.size, 2 * len(order))

    def test_asTheyCome(self):
        """Without an order nothing is held back."""
        order = AsTheyCome()
        self.assertEqual(order.put(5, b"five"), [b"five"])
        self.assertEqual((len(order), order.size), (0, 0))


class Bar:
    """
    What C{tqdm} is to L{Output}. It tells what it was asked for.
    """

    def __init__(self, told):
        self.told = told
        self.total = None

    def __getattr__(self, name):
        return lambda *args: self.told.append((name, *args))


class Defer:
    """
    Runs a call when a test has it do so.
    """

    def __init__(self):
        self.jobs = []

    def __call__(self, f, *args):
        d = Deferred()
        self.jobs.append((d, f, args))
        return d

    def step(self):
        d, f, args = self.jobs.pop(0)
        maybeDeferred(f, *args).chainDeferred(d)


class OutputTests(SynchronousTestCase):
    def setUp(self):
        self.told = []
        self.defer = Defer()

    def write(self, fd, data):
        self.told.append((fd, data))

    def output(self, **kw):
        return Output(self.defer, self.write, **kw)

    def test_together(self):
        """What comes during a writing is written next, together, in its order."""
        output = self.output()
        for fd, text in [
            (OUT, b"1"),
            (OUT, b"2"),
            (OUT, b"3"),
            (ERR, b"!"),
            (OUT, b"4"),
        ]:
            output.put(fd, text)
        self.assertEqual((output.count, output.size), (5, 5))
        self.assertEqual(self.told, [])
        self.defer.step()
        self.assertEqual(self.told, [(OUT, b"1")])
        self.assertEqual((output.count, output.size), (4, 4))
        self.defer.step()
        self.assertEqual(self.told[1:], [(OUT, b"23"), (ERR, b"!"), (OUT, b"4")])
        self.assertEqual((output.count, output.size), (0, 0))
        self.assertTrue(output.isIdle())
        self.assertEqual(self.defer.jobs, [])

    def test_nothing(self):
        """Empty texts, and progress that nobody sees, are no work."""
        output = self.output()
        output.put(OUT, b"")
        output.advance()
        output.setTotal(3)
        output.closeBar()
        self.assertEqual(self.defer.jobs, [])
        self.assertTrue(output.isIdle())

    def test_toldWhenWritten(self):
        """Who waits for the writing is told of each."""
        output = self.output()
        counts = []
        output.whenWritten = lambda: counts.append(output.count)
        output.put(OUT, b"1")
        output.put(OUT, b"2")
        self.defer.step()
        self.assertEqual(counts, [1])
        self.assertFalse(output.isIdle())
        self.defer.step()
        self.assertEqual(counts, [1, 0])

    def test_outFails(self):
        """If standard output fails, that is told, and what waits is dropped."""
        output = self.output()
        failures = []
        output.whenFailed = failures.append

        def write(fd, data):
            raise BrokenPipeError

        self.patch(output, "_write", write)
        output.put(OUT, b"1")
        output.put(OUT, b"2")
        self.defer.step()
        self.assertTrue(failures[0].check(BrokenPipeError))
        self.assertEqual(self.defer.jobs, [])

    def test_errFails(self):
        """If standard error fails, the results are written all the same."""
        output = self.output()

        def write(fd, data):
            if fd == ERR:
                raise OSError("no")
            self.write(fd, data)

        self.patch(output, "_write", write)
        output.put(ERR, b"!")
        output.put(OUT, b"1")
        self.defer.step()
        self.defer.step()
        self.assertEqual(self.told, [(OUT, b"1")])

    def test_errClosed(self):
        """Nothing is written to the number of a standard error that is closed."""
        self.patch(sys, "stderr", None)
        self.output().put(ERR, b"!")
        self.assertEqual(self.defer.jobs, [])

    def test_bar(self):
        """The bar gets out of the way of what is written to its terminal only."""
        self.patch(os, "isatty", lambda fd: fd == ERR)
        output = self.output(bar=Bar(self.told))
        output.advance()
        output.put(OUT, b"1")
        output.advance()
        self.defer.step()
        self.assertEqual(self.told, [("update", 1)])
        self.defer.step()
        self.assertEqual(self.told[1:], [(OUT, b"1"), ("update", 1)])
        output.put(ERR, b"!")
        self.defer.step()
        self.assertEqual(self.told[3:], [("clear",), (ERR, b"!"), ("refresh",)])

    def test_closeBar(self):
        """The bar is closed, but not while a thread that may be stuck uses it."""
        output = self.output(bar=Bar(self.told))
        output.advance()
        output.closeBar()
        self.assertEqual(self.told, [])
        self.defer.step()
        output.closeBar()
        self.assertEqual(self.told, [("update", 1), ("close",)])


class Terminal:
    def isatty(self):
        return True


class MakeBarTests(SynchronousTestCase):
    def test_noTerminal(self):
        """There is no bar where nobody would see it."""
        for stderr in (None, StringIO()):
            self.patch(sys, "stderr", stderr)
            self.assertIsNone(makeBar(3))

    def test_noTqdm(self):
        """There is no bar, and no error, without tqdm."""
        self.patch(sys, "stderr", Terminal())
        self.patch(sys, "modules", {**sys.modules, "tqdm": None})
        self.assertIsNone(makeBar(3))


class WriteAllTests(SynchronousTestCase):
    def test_partly(self):
        """What a descriptor does not take at once it is given again."""
        taken = []

        def write(fd, data):
            if len(taken) == 1:
                taken.append(b"")
                raise BlockingIOError
            taken.append(bytes(data[:2]))
            return len(taken[-1])

        waits = []
        self.patch(os, "write", write)
        self.patch(select, "select", lambda *fds: waits.append(fds))
        writeAll(7, b"abcde")
        self.assertEqual(taken, [b"ab", b"", b"cd", b"e"])
        self.assertEqual(waits, [([], [7], [])])
