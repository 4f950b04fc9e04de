"""
Places that something long is read right into.
"""

import sys
import tracemalloc

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.rooms import LARGE, BytesRoom, NoRoom, Room, roomFor

PIECE = bytes(range(251)) * 300
"""
What rooms are filled with, over and over.
"""


def fill(room, piece):
    """
    Writes something into a room until it is full.
    """
    while room.left:
        with room.next(len(piece)) as view:
            view[:] = piece[: len(view)]
            n = len(view)
        room.left -= n


class RoomTests(SynchronousTestCase):
    def test_filled(self):
        """What was written into a room is there, of each kind and size."""
        for size in (0, 1, 2, 10, LARGE, LARGE + 1):
            for isBytes in (False, True):
                room = roomFor(size, isBytes)
                fill(room, PIECE)
                whole = room.take()
                self.assertIs(type(whole), bytes if isBytes else memoryview)
                expected = (PIECE * (size // len(PIECE) + 1))[:size]
                self.assertEqual(whole, expected)

    def test_writable(self):
        """What is not bytes can be changed."""
        for size in (1, LARGE):
            whole = roomFor(size, False).take()
            whole[-1] = 1

    def test_bytesAreNotCopied(self):
        """Bytes take the room that they were written to, and no more."""
        size = 10 << 20
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        room = BytesRoom(size)
        fill(room, bytes(1 << 20))
        whole = room.take()
        _, most = tracemalloc.get_traced_memory()
        self.assertEqual(len(whole), size)
        self.assertLess(most, size * 1.5)

    def test_tooLarge(self):
        """What no memory could hold is found to be so at once."""
        for size in (1 << 62, (1 << 63) - 1, (1 << 64) - 1):
            self.assertRaises(MemoryError, Room, size)
        for size in (1 << 62, sys.maxsize, (1 << 64) - 1):
            self.assertRaises(MemoryError, BytesRoom, size)

    def test_lost(self):
        """In its place is a room that loses what is written into it."""
        for isBytes in (False, True):
            room = roomFor(1 << 62, isBytes)
            self.assertIs(type(room), NoRoom)
            for _ in range(3):
                with room.next(1 << 20) as view:
                    room.left -= len(view)
        lost: Room = NoRoom(10_000)
        fill(lost, bytes(1 << 20))
        self.assertIsNone(lost.take())
