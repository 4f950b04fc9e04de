"""
Memory files that are used again and again.
"""

import mmap
import os
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.slots import MOST, Slots

PAGE = mmap.PAGESIZE


class SlotsTests(SynchronousTestCase):
    def setUp(self):
        self.slots = Slots()

    def take(self, *pages):
        """
        @return: Parts of so many pages.
        """
        return [self.slots.take(n * PAGE) for n in pages]

    def use(self, *pages):
        """
        Has files of so many pages in use all at once, and then free, in order.

        @return: Their descriptors.
        """
        parts = self.take(*pages)
        fds = [part.slot.file.fd for part in parts]
        while parts:
            del parts[0]
        return fds

    def sizes(self):
        """
        @return: How many pages the free files have, each.
        """
        self.slots.settle()
        return [os.fstat(s.file.fd).st_size // PAGE for s in self.slots._free]

    def test_again(self):
        """A file whose part was dropped is taken again."""
        self.assertEqual(self.use(1), self.use(1))

    def test_inUse(self):
        """It is not as long as a part of it is there, or it is known to be used."""
        (part,) = self.take(1)
        slot = part.slot
        slot.sent += 2
        del part
        for _ in range(2):
            self.slots.settle()
            self.assertTrue(self.slots.areUsed)
            self.assertEqual(self.sizes(), [])
            self.slots.ended.append((slot.number, False))
            self.slots.settle()
        self.assertFalse(self.slots.areUsed)
        (part,) = self.take(1)
        self.assertIs(part.slot, slot)
        self.assertEqual((slot.sent, slot.ended), (0, 0))

    def test_lost(self):
        """One that may be used elsewhere is let go of, and keeps what it has."""
        (part,) = self.take(1)
        slot = part.slot
        slot.sent += 1
        self.slots.ended.append((slot.number, True))
        del part
        self.assertEqual(self.sizes(), [])
        self.assertEqual(os.fstat(slot.file.fd).st_size, PAGE)
        (part,) = self.take(1)
        self.assertIsNot(part.slot, slot)
        self.assertEqual(part.slot.number, slot.number)
        self.assertFalse(part.slot.isKnown)

    def test_best(self):
        """The smallest that there is room in is taken, of these the last one used."""
        three, six, last = self.use(3, 6, 3)
        (part,) = self.take(2)
        self.assertEqual(part.slot.file.fd, last)
        (other,) = self.take(4)
        self.assertEqual(other.slot.file.fd, six)
        (another,) = self.take(3)
        self.assertEqual(another.slot.file.fd, three)

    def test_most(self):
        """There are no more than the most, and each has a number of its own."""
        parts = self.take(*[1] * (MOST + 2))
        self.assertEqual(parts[MOST:], [None, None])
        numbers = {part.slot.number for part in parts[:MOST]}
        self.assertEqual(numbers, set(range(MOST)))
        del parts[1:]
        self.assertIsNotNone(self.slots.take(1))

    def test_otherSize(self):
        """If none is left that fits, the one not used for longest gives way."""
        self.use(*[1] * MOST)
        self.slots.settle()
        first = self.slots._free[0]
        (part,) = self.take(9)
        self.assertEqual(part.slot.number, first.number)
        self.assertEqual(os.fstat(first.file.fd).st_size, 0)
        self.assertEqual(len(self.sizes()), MOST - 1)

    def test_kept(self):
        """Of the free ones no more is kept than so much, and always the last."""
        with patch("asynqueue.slots.KEPT", 5 * PAGE):
            self.use(2, 3, 4, 1)
            self.assertEqual(self.sizes(), [4, 1])
            self.use(7)
            self.assertEqual(self.sizes(), [4, 1, 7])
            self.use(9)
            self.assertEqual(self.sizes(), [9])

    def test_noMemory(self):
        """If there can be no file, there is no part, and there may be one later."""
        with patch("asynqueue.memoryfiles._memfdCreate", side_effect=OSError):
            self.assertEqual(self.take(*[1] * (MOST + 1)), [None] * (MOST + 1))
        self.assertNotIn(None, self.take(*[1] * MOST))

    def test_none(self):
        """There can be none at all."""
        self.assertIsNone(Slots(0).take(1))

    def test_atOnce(self):
        """Who asks while another is at it, or in the middle of that, gets none."""
        self.use(*[1] * 3)
        inside = []

        def collect(size):
            self.slots.settle()
            inside.append(self.slots.take(size))
            return True

        with patch("asynqueue.memoryfiles.MemoryFile.fits", side_effect=collect):
            self.assertIsNotNone(self.slots.take(PAGE))
        self.assertEqual(inside, [None] * 3)
        self.assertEqual(self.sizes(), [1, 1, 1])
