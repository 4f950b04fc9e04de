"""
Both sides of what is shared, without processes.
"""

import gc
import math
import mmap
import os
from multiprocessing import Pipe
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from asynqueue import arrivals
from asynqueue.contents import OUT_OF_BAND, TooLong
from asynqueue.memoryfiles import mapped
from asynqueue.messages import Answer, Hello, Status, pack, unpack
from asynqueue.packets import isShort
from asynqueue.sharing import LONG, Sharing
from asynqueue.slots import MOST, Part

from .support import QuickCollecting, descriptors
from .test_contents import Blob

PAGE = mmap.PAGESIZE


class Ends:
    """
    @ivar near: One side.
    @ivar far: The other.
    """

    def __init__(self, least=10):
        self.near, self.far = Sharing(least), Sharing(least)
        for side, connection in zip((self.near, self.far), Pipe(), strict=True):
            side.open(connection)

    def close(self):
        self.near.close()
        self.far.close()

    def cross(self, *parts, back=False):
        """
        @return: What arrives of some buffers, and how many parts went by the pipe.
        """
        sender, receiver = (self.far, self.near) if back else (self.near, self.far)
        packet: list[Any] = [b"head", b"contents", *sender.share(list(parts))]
        sender.send(packet)
        n = len(packet) - 2
        receiver.receive(packet)
        if packet[:2] != [b"head", b"contents"]:
            raise AssertionError(f"{packet[:2]} has arrived")
        return packet[2:], n

    def tell(self):
        """
        Has each side send something, so that it tells what has become free.
        """
        self.cross()
        self.cross(back=True)


def buffer(*sizes):
    """
    @return: A buffer of random bytes, or a list of some.
    """
    buffers = [memoryview(bytearray(os.urandom(size))) for size in sizes]
    return buffers[0] if len(buffers) == 1 else buffers


class SharingTests(QuickCollecting, SynchronousTestCase):
    def setUp(self):
        gc.collect()
        self.before = descriptors()
        self.ends = Ends()

    def tearDown(self):
        self.ends.close()
        gc.collect()
        self.assertEqual(descriptors(), self.before)

    def numbers(self, side):
        """
        @return: How many files of a side are in use, and how many are free.
        """
        side._slots.settle()
        return len(side._slots._used), len(side._slots._free)

    def test_crosses(self):
        """What is shared arrives as it was, is the receiver's own, not in the pipe."""
        for back in (False, True):
            sent = buffer(100)
            (arrived,), n = self.ends.cross(sent, back=back)
            self.assertEqual((arrived, n), (sent, 0))
            before = arrived[0], sent[1]
            arrived[0] ^= 1
            sent[1] ^= 1
            self.assertNotEqual((arrived[0], sent[1]), before)
            self.assertEqual((sent[0], arrived[1]), before)

    def test_notShared(self):
        """Bytes and short buffers stay in the packet, those to be shared in order."""
        sent = [b"x" * 20, buffer(20), memoryview(b"y" * 9), buffer(10), b""]
        arrived, n = self.ends.cross(*sent)
        self.assertEqual((arrived, n), (sent, 3))

    def test_most(self):
        """If all files are in use, the rest goes by the pipe, until some are not."""
        sent = [buffer(20) for _ in range(MOST + 3)]
        arrived, n = self.ends.cross(*sent)
        self.assertEqual((arrived, n), (sent, 3))
        again, n = self.ends.cross(*sent[:2])
        self.assertEqual((again, n), (sent[:2], 2))
        del arrived
        self.ends.tell()
        self.assertEqual(self.ends.cross(*sent)[1], 3)

    def test_short(self):
        """A packet with as much shared as can be still crosses as one message."""
        parts = self.ends.near.share([buffer(20)] * MOST)
        packet = [*pack(Answer(1 << 62, Status.RESULT, 1.5)), *parts]
        self.ends.near.send(packet)
        self.assertTrue(isShort(packet))
        self.ends.far.receive(packet)
        self.assertEqual(len(packet), 2 + MOST)
        self.assertEqual(unpack(packet)[0], Answer(1 << 62, Status.RESULT, 1.5))

    def test_again(self):
        """What is dropped is filled again; what is held stays as it is."""
        first, second = buffer(100), buffer(100)
        (kept, dropped), _ = self.ends.cross(first, second)
        mappings = dict(self.ends.far._arrivals._mappings)
        del dropped
        self.ends.tell()
        self.assertEqual(self.numbers(self.ends.near), (1, 1))
        third = buffer(99)
        (arrived,), _ = self.ends.cross(third)
        self.assertEqual((arrived, kept), (third, first))
        # Their files were not sent again.
        self.assertEqual(self.ends.far._arrivals._mappings, mappings)
        self.assertEqual(self.numbers(self.ends.near), (2, 0))

    def test_descriptors(self):
        """However much crosses, if it is dropped there are no more of them."""
        counts = set()
        for size in range(200, 100, -1):
            self.ends.cross(buffer(size))
            self.ends.cross(buffer(size), back=True)
            counts.add(len(descriptors()))
        # One file of each side, and what has mapped it here and there.
        self.assertLessEqual(max(counts), len(self.before) + 2 + 2 * 3)

    def test_kept(self):
        """When much was dropped, most of its memory is given back, mapped or not."""
        with patch("asynqueue.slots.KEPT", 2 * PAGE):
            arrived, _ = self.ends.cross(*[buffer(PAGE) for _ in range(8)])
            files = [slot.file for slot in self.ends.near._slots._used.values()]
            self.assertEqual(sum(len(file.pages()) for file in files), 8 * PAGE)
            del arrived
            self.ends.tell()
        self.assertEqual(sum(os.fstat(file.fd).st_size for file in files), 3 * PAGE)

    def test_unsent(self):
        """What is dropped unsent is free; its file is not known to the other side."""
        parts = self.ends.near.share([buffer(20)])
        self.assertEqual(self.numbers(self.ends.near), (1, 0))
        del parts
        self.assertEqual(self.numbers(self.ends.near), (0, 1))
        sent = buffer(20)
        self.assertEqual(self.ends.cross(sent)[0], [sent])

    def test_takenBack(self):
        """What was taken back can be sent again, and is in use until both are gone."""
        sent = buffer(20)
        parts = self.ends.near.share([sent])
        arrived = []
        for _ in range(2):
            packet: list[Any] = [b"", b"", *parts]
            self.ends.near.send(packet)
            self.ends.far.receive(packet)
            arrived.append(packet.pop())
        self.assertEqual(arrived, [sent, sent])
        for things in (parts, arrived, arrived):
            self.ends.tell()
            self.assertEqual(self.numbers(self.ends.near), (1, 0))
            del things[0]
        self.ends.tell()
        self.assertEqual(self.numbers(self.ends.near), (0, 1))

    def test_forked(self):
        """What a forked process may still have is never filled again."""
        sent = buffer(20)
        (arrived,), _ = self.ends.cross(sent)
        (slot,) = self.ends.near._slots._used.values()
        copy = mapped(slot.file.fd)
        del slot
        arrivals._forking()
        del arrived
        self.ends.tell()
        self.assertEqual(self.numbers(self.ends.near), (0, 0))
        for _ in range(MOST + 1):
            self.ends.cross(buffer(20))
        self.assertEqual(copy[:20], sent)

    def test_notMapped(self):
        """What cannot be mapped is none; what comes after it arrives."""
        with patch("mmap.mmap", side_effect=OSError):
            self.assertEqual(self.ends.cross(buffer(20))[0], [None])
        self.ends.tell()
        sent = buffer(20)
        self.assertEqual(self.ends.cross(sent)[0], [sent])

    def test_noMemory(self):
        """If there is no memory for a file, the pipe is used, until there is."""
        sent = buffer(20)
        for broken in ("os.pwrite", "os.ftruncate"):
            with patch(broken, side_effect=OSError):
                self.assertEqual(self.ends.cross(sent), ([sent], 1))
            self.assertEqual(self.numbers(self.ends.near), (0, 0))
        self.assertEqual(self.ends.cross(sent), ([sent], 0))

    def test_doorFull(self):
        """
        If descriptors cannot be sent, what is shared goes through the pipe, and the
        files of those are not filled again meanwhile.
        """
        sent = [buffer(20), buffer(30)]
        with patch("socket.send_fds", side_effect=BlockingIOError):
            arrived, n = self.ends.cross(*sent)
        self.assertEqual((arrived, n), (sent, 2))
        others = [buffer(20) for _ in range(MOST)]
        self.assertEqual(self.ends.cross(*others)[1], 2)
        self.assertEqual(arrived, sent)

    def test_notesFull(self):
        """If notes cannot be sent, files are in use for good, and that is all."""
        self.ends.cross(buffer(20))
        door = self.ends.far._door
        with patch.object(self.ends.far, "_door") as full:
            full.send.side_effect = BlockingIOError
            self.ends.tell()
        self.assertIs(self.ends.far._door, door)
        self.ends.tell()
        self.assertEqual(self.numbers(self.ends.near), (1, 0))

    def test_neverFull(self):
        """The door takes all that can be on its way, though it was sent ten times."""
        parts = self.ends.near.share([buffer(20)] * MOST)
        packets: list[Any] = [[b"", b"", *parts] for _ in range(10)]
        for packet in packets:
            self.ends.near.send(packet)
            self.assertEqual(len(packet), 2)
        del parts
        for packet in packets:
            self.ends.far.receive(packet)
        arrived, n = self.ends.cross(*[buffer(20)] * MOST, back=True)
        self.assertEqual(n, 0)
        del arrived, packets, packet
        self.ends.tell()
        self.assertEqual(self.numbers(self.ends.near)[0], 0)

    def test_gone(self):
        """
        If the other side is gone, what is shared goes where the pipe tells it; what
        had arrived stays.
        """
        sent = [buffer(20), buffer(20)]
        arrived, _ = self.ends.cross(*sent)
        self.ends.cross(buffer(20), back=True)
        packet: list[Any] = [b"", b"", *self.ends.near.share([buffer(20)])]
        self.ends.near.close()
        self.assertEqual(arrived, sent)
        self.assertEqual(self.ends.near.share(sent), sent)
        self.assertIsInstance(packet[2], Part)
        answer = [b"", b"", *self.ends.far.share(sent)]
        self.ends.far.send(answer)
        self.assertEqual(answer[2:], sent)
        self.ends.far.receive([b"\0", b""])

    def test_neverOpened(self):
        """What is shared before there is a door is sent when there is one."""
        ends = [Sharing(10), Sharing(10)]
        sent = buffer(20)
        packet: list[Any] = [b"", b"", *ends[0].share([sent])]
        for side, connection in zip(ends, Pipe(), strict=True):
            side.open(connection)
        ends[0].send(packet)
        ends[1].receive(packet)
        self.assertEqual(packet[2], sent)
        for side in [*ends, Sharing(10)]:
            side.close()

    def test_takesLong(self):
        """It tells which buffers take long, not counting those that are not shared."""
        long = memoryview(bytearray(LONG))
        near = self.ends.near
        self.assertFalse(near.takesLong([long, b"x" * LONG, memoryview(b"x" * 9)]))
        self.assertTrue(near.takesLong([long, buffer(10)]))

    def test_pack(self):
        """A packet is made with it, unless that takes long and must not."""
        near, far = self.ends.near, self.ends.far
        for size, isLong in ((OUT_OF_BAND, False), (LONG + 1, True)):
            blob = Blob(bytearray(size))
            if isLong:
                self.assertRaises(
                    TooLong, pack, Hello(7), blob, most=1000, sharing=near
                )
            most = math.inf if isLong else 1000
            packet = pack(Hello(7), blob, most=most, sharing=near)
            near.send(packet)
            self.assertEqual(len(packet), 2)
            far.receive(packet)
            packet[1] = b"".join(packet[1])
            envelope, load = unpack(packet)
            self.assertEqual((envelope, load().buffer), (Hello(7), blob.buffer))

    def test_inherited(self):
        """No program that is started has the descriptors."""
        self.ends.cross(buffer(20), buffer(20))
        self.ends.cross(buffer(20), buffer(20))
        for fd in descriptors().keys() - self.before.keys():
            self.assertFalse(os.get_inheritable(fd))
