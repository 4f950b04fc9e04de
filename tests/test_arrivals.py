"""
Memory files that have arrived.
"""

import gc
import mmap
import os
from array import array
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from asynqueue import arrivals
from asynqueue.arrivals import Arrivals
from asynqueue.memoryfiles import MemoryFile

SIZE = 2 * mmap.PAGESIZE


class ArrivalsTests(SynchronousTestCase):
    def setUp(self):
        self.arrivals: Any = Arrivals()
        self.file = MemoryFile(SIZE)
        self.arrivals.add(3, [os.dup(self.file.fd)])

    def gone(self):
        """
        @return: What there is to tell, which is told.
        """
        gone = list(self.arrivals.gone)
        self.arrivals.gone.clear()
        return gone

    def test_view(self):
        """A view is the beginning of the file, and can be written to."""
        self.file.fill(memoryview(b"abcdef"))
        view = self.arrivals.view(3, 5)
        self.assertEqual((bytes(view), view.format), (b"abcde", "B"))
        view[0] = ord("x")
        self.assertEqual(self.file.pages()[:6], b"xbcdef")

    def test_parts(self):
        """It is gone when nothing is left that was made of it, however deep."""
        view = self.arrivals.view(3, SIZE)
        last = memoryview(view[8:24].cast("d"))[1:].toreadonly()
        del view
        self.assertEqual(self.gone(), [])
        self.assertEqual(last.tolist(), array("d", [0]).tolist())
        del last
        self.assertEqual(self.gone(), [(3, False)])

    def test_cycle(self):
        """It is gone, too, when it is found in a cycle."""
        cycle = [self.arrivals.view(3, SIZE)]
        cycle.append(cycle)
        del cycle
        self.assertEqual(self.gone(), [])
        gc.collect()
        self.assertEqual(self.gone(), [(3, False)])

    def test_twice(self):
        """Each view of a file is told of by itself."""
        views = [self.arrivals.view(3, SIZE) for _ in range(2)]
        views.pop()
        self.assertEqual(self.gone(), [(3, False)])
        views.pop()
        self.assertEqual(self.gone(), [(3, False)])

    def test_forked(self):
        """A view that was there when the process forked is lost, later ones not."""
        view = self.arrivals.view(3, SIZE)
        arrivals._forking()
        del view
        self.assertEqual(self.gone(), [(3, True)])
        self.arrivals.view(3, SIZE)
        self.assertEqual(self.gone(), [(3, False)])

    def test_replaced(self):
        """A new file takes the place of the old one, whose views stay."""
        self.file.fill(memoryview(b"old"))
        old = self.arrivals.view(3, 3)
        other = MemoryFile(9 * SIZE)
        other.fill(memoryview(b"new"))
        self.arrivals.add(3, [os.dup(other.fd)])
        self.assertEqual(bytes(self.arrivals.view(3, 3)), b"new")
        self.assertEqual(bytes(old), b"old")

    def test_notMapped(self):
        """A file that cannot be mapped is lost, and so is one that did not come."""
        fd = os.dup(self.file.fd)
        with patch("mmap.mmap", side_effect=OSError):
            self.arrivals.add(3, [fd])
        self.assertRaises(OSError, os.fstat, fd)
        self.arrivals.add(4, [])
        for number in (3, 4, 5):
            self.assertIsNone(self.arrivals.view(number, SIZE))
            self.assertEqual(self.gone(), [(number, True)])

    def test_dropped(self):
        """Who is dropped leaves the views that there are."""
        self.file.fill(memoryview(b"abc"))
        view = self.arrivals.view(3, 3)
        self.arrivals = None
        del self.file
        self.assertEqual(bytes(view), b"abc")
