"""
A file for one side, an iterator for the other.
"""

import csv
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred

from asynqueue.bridges import Filerator
from asynqueue.threadpool import PoolUser
from tests.bridged import Helper, PoolCase, PoolReactor, Spy
from tests.support import BOUND


class FileratorCase(PoolCase):
    def setUp(self):
        super().setUp()
        self.f = Filerator(maxItems=3, reactor=self.reactor)
        self.addCleanup(self.f.leave)
        self.spy = Spy(self.f)
        self.writer = self.helper()
        self.reader = self.helper()

    def read(self, n):
        return [self.reader.do(next, self.f) for _ in range(n)]

    def readAll(self):
        return self.reader.do(list, self.f)


class ThreadTests(FileratorCase):
    """
    The writer is in a thread.
    """

    def test_blocks(self):
        """To write blocks while there is no room, and goes on as there is."""
        written = self.writer.begin(self.f.writelines, range(10))
        self.spy.untilWriterWaits()
        self.assertEqual(self.f.itemBuffer, [0, 1, 2])
        self.assertFalse(written.done())
        self.assertEqual(self.read(1), [0])
        self.spy.untilWriterWaits()
        self.assertEqual(self.f.itemBuffer, [1, 2, 3])
        self.assertEqual(self.read(9), list(range(1, 10)))
        self.successResultOf(written.result(BOUND))
        self.assertEqual(self.spy.most, 3)

    def test_flood(self):
        """A flood of items comes in order, a few at a time."""

        def write():
            with closing(self.f):
                for k in range(5000):
                    self.f.write(k)

        self.writer.begin(write)
        self.assertEqual(self.readAll(), list(range(5000)))
        self.assertEqual(self.spy.most, 3)

    def test_readerLeaves(self):
        """A writer who waits is told that the reader has left."""
        written = self.writer.begin(self.f.writelines, range(10))
        self.spy.untilWriterWaits()
        self.reader.do(self.f.leave)
        e = self.assertRaises(ValueError, written.result, BOUND)
        self.assertIn("reader has left", str(e))
        self.assertTrue(self.f.closed)

    def test_shutdown(self):
        """So is one who waits when the pool is shut down; the reader gets an error."""
        written = self.writer.begin(self.f.writelines, range(10))
        self.spy.untilWriterWaits()
        self.reactor.until(PoolUser.shutdown(self.reactor))
        self.assertRaises(ValueError, written.result, BOUND)
        self.assertEqual(self.read(3), [0, 1, 2])
        self.assertRaises(CancelledError, self.read, 1)

    def test_with(self):
        """An error in a with statement comes after what was written."""

        def write():
            with self.f as f:
                f.write(0)
                raise ZeroDivisionError("enough")

        self.assertRaises(ZeroDivisionError, self.writer.do, write)
        self.assertEqual(self.read(1), [0])
        self.assertRaises(ZeroDivisionError, self.read, 1)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 4), st.lists(st.sampled_from("wrR"), max_size=40))
    def test_order(self, maxItems, steps):
        """
        Whichever side goes on first, items come in order, none is lost, and no more
        are there than may be.
        """
        reactor, writer, reader = PoolReactor(), Helper(), Helper()
        f = Filerator(maxItems=maxItems, reactor=reactor)
        spy = Spy(f)
        writes, reads = 0, []
        for step in steps:
            if step == "w":
                writer.begin(f.write, writes)
                writes += 1
            elif len(reads) < writes:
                reads.append(reader.begin(next, f))
                if step == "R":
                    reads[-1].result(BOUND)
        reads.extend(reader.begin(next, f) for _ in range(writes - len(reads)))
        self.assertEqual([read.result(BOUND) for read in reads], list(range(writes)))
        writer.do(f.close)
        self.assertEqual(reader.do(list, f), [])
        self.assertLessEqual(spy.most, maxItems)
        reactor.until(PoolUser.shutdown(reactor))
        writer.end()
        reader.end()


class ReactorTests(FileratorCase):
    """
    The writer is in the reactor's thread.
    """

    def test_takesAll(self):
        """To write does not block; when there is no more room, a Deferred says so."""
        for k in range(2):
            self.successResultOf(self.f.write(k))
        last = [self.f.write(k) for k in range(2, 5)]
        for d in last:
            self.assertNoResult(d)
        self.assertEqual(self.read(3), [0, 1, 2])
        self.reactor.settle()
        for d in last:
            self.assertNoResult(d)
        self.assertEqual(self.read(1), [3])
        self.reactor.settle()
        for d in last:
            self.successResultOf(d)

    def test_await(self):
        """Who waits for each Deferred never has more there than may be."""

        async def write():
            for k in range(100):
                await self.f.write(k)
            self.f.close()

        d = Deferred.fromCoroutine(write())
        items = self.reader.begin(list, self.f)
        self.reactor.until(d)
        self.assertEqual(items.result(BOUND), list(range(100)))
        self.assertEqual(self.spy.most, 3)

    def test_readerLeaves(self):
        """One who waits is told, and what he writes then is refused."""
        d = self.f.writelines(range(5))
        self.reader.do(self.f.leave)
        self.reactor.settle()
        self.successResultOf(d)
        self.assertRaises(ValueError, self.f.write, 5)
        self.assertEqual(self.f.itemBuffer, [])

    def test_done(self):
        """It is over when the reader has asked for more than there is."""
        done = self.f.deferUntilDone()
        self.f.write("a")
        self.f.close()
        self.assertEqual(self.read(1), ["a"])
        self.reactor.settle()
        self.assertNoResult(done)
        self.assertEqual(self.readAll(), [])
        self.reactor.until(done)


class FileTests(FileratorCase):
    def test_closed(self):
        """One that is closed refuses writes, and says why; what is there is read."""
        self.assertFalse(self.f.closed)
        self.f.write("a")
        self.f.close()
        self.assertTrue(self.f.closed)
        for write in (lambda: self.f.write("b"), lambda: self.f.writelines(["b"])):
            self.assertIn("has closed", str(self.assertRaises(ValueError, write)))
        self.assertEqual(self.readAll(), ["a"])
        self.assertTrue(self.f.closed)

    def test_closeTwice(self):
        """To close it again does nothing."""
        self.f.close()
        self.f.close()
        self.assertEqual(self.readAll(), [])
        self.f.close()

    def test_chunks(self):
        """What is written at a time is one item, whatever it is."""
        chunks = ["a line\n", b"bytes", 5, None, ""]
        for chunk in chunks:
            self.f.write(chunk)
        self.f.close()
        self.assertEqual(self.readAll(), chunks)

    def test_with(self):
        """The end of a with statement closes it."""
        with self.f as f:
            f.write("a")
        self.assertTrue(self.f.closed)
        self.assertEqual(self.readAll(), ["a"])

    def test_asFile(self):
        """It does for what writes to files."""
        writer = csv.writer(self.f)
        writer.writerow(["a", "b"])
        print("c", "d", file=self.f, end="\n", flush=True)
        self.f.flush()
        self.f.close()
        self.assertEqual("".join(self.readAll()), "a,b\r\nc d\n")
