"""
Arrays in shared memory.
"""

import gc
import os
from multiprocessing import Pipe
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.sharing import MOST, Door, MemoryFile, share


def descriptors():
    """
    @return: How many descriptors this process has open.
    """
    gc.collect()
    return len(os.listdir("/dev/fd"))


class DoorTests(SynchronousTestCase):
    def setUp(self):
        self.before = descriptors()
        self.near, self.far = map(Door, Pipe())

    def tearDown(self):
        self.near.close()
        self.far.close()
        self.assertEqual(descriptors(), self.before)

    def cross(self, *parts, least=10):
        packet: list[Any] = [b"head", b"contents", *share(list(parts), least)]
        self.near.send(packet)
        packet = [part if part is None else bytes(part) for part in packet]
        self.far.receive(packet)
        return packet[2:]

    def test_crosses(self):
        """What is shared arrives as it was, and can be written to."""
        buffer = bytearray(range(100))
        (arrived,) = self.cross(memoryview(buffer))
        self.assertEqual(arrived, buffer)
        arrived[0] = 7
        buffer[1] = 8
        self.assertEqual((buffer[0], arrived[1]), (0, 1))

    def test_notShared(self):
        """Bytes, short buffers and those above the most stay in the packet."""
        parts = [b"x" * 20, memoryview(b"x" * 9)]
        self.assertEqual(share(parts, 10), parts)
        many = share([memoryview(b"x" * 20)] * (MOST + 3), 10)
        self.assertEqual(sum(isinstance(part, MemoryFile) for part in many), MOST)
        self.assertEqual(len(self.cross(*[memoryview(b"x" * 20)] * MOST)), MOST)
        del many

    def test_twice(self):
        """What was taken back can be sent again."""
        parts = share([memoryview(b"x" * 20)], 10)
        for _ in range(2):
            packet: list[Any] = [b"", b"", *parts]
            self.near.send(packet)
            self.far.receive(packet)
            self.assertEqual(packet[2], b"x" * 20)
        del parts

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.lists(st.binary(min_size=9, max_size=50), max_size=5)))
    def test_order(self, packets):
        """Whatever is shared of which packet, each part gets its own."""
        for packet in packets:
            arrived = self.cross(*[memoryview(part) for part in packet], least=20)
            self.assertEqual([bytes(part) for part in arrived], packet)

    def test_neverReceived(self):
        """What is on its way when an end closes is gone with it."""
        self.near.send([b"", b"", *share([memoryview(b"x" * 20)] * 3, 10)])
        self.far.close()
        self.assertRaises(OSError, self.cross, memoryview(b"x" * 20))

    def test_lost(self):
        """What cannot be mapped is none, and the others arrive."""
        with patch("mmap.mmap", side_effect=OSError):
            self.assertEqual(self.cross(memoryview(b"x" * 20)), [None])
        self.assertEqual(self.cross(memoryview(b"y" * 20)), [b"y" * 20])

    def test_noMemory(self):
        """If there is no memory for it, nothing is left open."""
        for broken in ("os.write", "asynqueue.sharing._memfdCreate"):
            with patch(broken, side_effect=OSError):
                self.assertRaises(OSError, share, [memoryview(b"x" * 20)], 10)

    def test_temporaryFile(self):
        """Where there is no such memory, it is a file without a name."""
        with patch("asynqueue.sharing._memfdCreate", None):
            self.assertEqual(self.cross(memoryview(b"x" * 20)), [b"x" * 20])
