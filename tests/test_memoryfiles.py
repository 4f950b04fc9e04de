"""
Memory that is a file without a name.
"""

import gc
import mmap
import os
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.memoryfiles import MemoryFile, capacityFor, mapped

from .support import QuickCollecting, descriptors

SIZE = 3 * mmap.PAGESIZE


def filled(*buffers):
    """
    @return: A file that was filled with one buffer after another.
    """
    file = MemoryFile(SIZE)
    for buffer in buffers:
        file.fill(memoryview(buffer))
    return file


class MemoryFileTests(QuickCollecting, SynchronousTestCase):
    def setUp(self):
        gc.collect()
        self.before = descriptors()

    def tearDown(self):
        # What was raised refers to what it was raised in.
        gc.collect()
        self.assertEqual(descriptors(), self.before)

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(1, SIZE), st.sampled_from([bytes, bytearray])),
            min_size=1,
            max_size=6,
        )
    )
    def test_fill(self, kinds):
        """
        Whatever it is filled with in turn, shorter, longer, to be written to or not,
        whoever has mapped it finds that.
        """
        file = MemoryFile(SIZE)
        pages = mapped(file.fd)
        for k, (size, kind) in enumerate(kinds):
            buffer = kind(os.urandom(size - 1) + bytes((k,)))
            file.fill(memoryview(buffer))
            self.assertEqual(pages[:size], buffer)

    def test_mapped(self):
        """What is changed in a mapping is changed in the others, until it is filled."""
        file = filled(bytearray(b"abc"), bytearray(b"def"))
        one, other = mapped(file.fd), file.pages()
        one[:1] = b"x"
        self.assertEqual(other[:3], b"xef")
        file.fill(memoryview(bytearray(b"ghi")))
        self.assertEqual(one[:3], b"ghi")

    def test_stays(self):
        """A mapping stays when the file is gone."""
        file = filled(b"abc")
        pages = mapped(file.fd)
        del file
        self.assertEqual(pages[:3], b"abc")

    def test_empty(self):
        """An empty file has no memory, though it is mapped."""
        file = filled(bytearray(SIZE), bytearray(SIZE))
        pages = mapped(file.fd)
        self.assertEqual(os.fstat(file.fd).st_blocks * 512, SIZE)
        file.empty()
        self.assertEqual(os.fstat(file.fd).st_blocks, 0)
        del pages

    def test_noMemory(self):
        """If there is none to be had, it says so, and nothing is left open."""
        file = filled(b"x")
        with patch("os.pwrite", side_effect=OSError):
            self.assertRaises(OSError, filled, b"x")
            # Beyond what was there before, too.
            self.assertRaises(OSError, file.fill, memoryview(bytearray(2)))
        for broken in ("os.ftruncate", "asynqueue.memoryfiles._memfdCreate"):
            with patch(broken, side_effect=OSError):
                self.assertRaises(OSError, MemoryFile, SIZE)

    def test_temporaryFile(self):
        """Where there is no such memory, it is a file without a name."""
        with patch("asynqueue.memoryfiles._memfdCreate", None):
            file = filled(bytearray(b"abc"), bytearray(b"def"))
        self.assertEqual(os.fstat(file.fd).st_nlink, 0)
        self.assertEqual(mapped(file.fd)[:3], b"def")


class CapacityTests(SynchronousTestCase):
    @given(st.integers(1, 1 << 50))
    def test_room(self, size):
        """There is room, and little of it is wasted."""
        capacity = capacityFor(size)
        self.assertGreaterEqual(capacity, size)
        self.assertLess(capacity - size, max(mmap.PAGESIZE, size / 8))
        self.assertEqual(capacity % mmap.PAGESIZE, 0)

    def test_few(self):
        """Sizes of the same order of magnitude have but eight capacities."""
        sizes = range((1 << 19) + 1, 1 << 20, 99)
        self.assertEqual(len(set(map(capacityFor, sizes))), 8)

    def test_fits(self):
        """A file is for what fills nearly half of it, or more, and has room."""
        file = MemoryFile(8 * mmap.PAGESIZE)
        sizes = [pages * mmap.PAGESIZE for pages in range(1, 10)]
        self.assertEqual(
            [size // mmap.PAGESIZE for size in sizes if file.fits(size)],
            [4, 5, 6, 7, 8],
        )
