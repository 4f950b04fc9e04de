"""
Packets that cross a pipe.
"""

import os
import struct
import threading
from contextlib import contextmanager
from multiprocessing import Pipe
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import rooms
from asynqueue.packets import AT_ONCE, Packet
from asynqueue.rooms import LARGE
from asynqueue.streams import Receiver, send
from tests.support import BOUND, Messages
from tests.test_packets import cuts, few, somePackets, stream


@contextmanager
def cutting(reads=(1 << 30,), writes=(1 << 30,)):
    """
    Has the system read and write no more than so many bytes by one call.
    """
    ends = {"reads": 0, "writes": 0}

    def most(which, amounts):
        ends[which] += 1
        return amounts[ends[which] % len(amounts)]

    read, readv, writev = os.read, os.readv, os.writev

    def cutRead(fd, n):
        return read(fd, min(n, most("reads", reads)))

    def cutReadv(fd, views):
        return readv(fd, [views[0][: most("reads", reads)]])

    def cutWritev(fd, pieces):
        return writev(fd, [b"".join(pieces)[: most("writes", writes)]])

    with (
        mock.patch.object(os, "read", cutRead),
        mock.patch.object(os, "readv", cutReadv),
        mock.patch.object(os, "writev", cutWritev),
    ):
        yield


@contextmanager
def pipe():
    """
    Gives the ends of a pipe, and closes them.
    """
    near, far = Pipe()
    with near, far:
        yield near, far


@contextmanager
def meanwhile(f, *args):
    """
    Runs a call in a thread, as the other side of a pipe.
    """
    thread = threading.Thread(target=f, args=args, daemon=True)
    thread.start()
    yield
    thread.join(BOUND)


class CrossingTests(SynchronousTestCase):
    """
    Packets on a real pipe.
    """

    def cross(self, packet) -> Packet:
        """
        @return: A packet of any length, as it is received.
        """
        with pipe() as (near, far), meanwhile(send, near, packet):
            return Receiver(far).receive()

    @few
    @given(st.lists(somePackets(), min_size=1, max_size=4), cuts, cuts)
    def test_cutAnywhere(self, sent, reads, writes):
        """
        Packets arrive as they were sent, one after another, wherever the system
        cuts them.
        """

        def sendAll(near):
            for packet in sent:
                send(near, list(packet))
            near.close()

        with (
            cutting(reads, writes),
            pipe() as (near, far),
            meanwhile(sendAll, near),
        ):
            receiver = Receiver(far)
            self.assertEqual([receiver.receive() for _ in sent], sent)
            self.assertRaises(EOFError, receiver.receive)

    @few
    @given(somePackets(), cuts)
    def test_slices(self, packet, amounts):
        """A packet arrives whatever the slices in which it comes."""
        data = stream(packet)

        def feed(fd):
            rest, n = data, 0
            while rest:
                amount = amounts[n % len(amounts)]
                os.write(fd, rest[:amount])
                rest, n = rest[amount:], n + 1

        with pipe() as (near, far), meanwhile(feed, near.fileno()):
            self.assertEqual(Receiver(far).receive(), packet)

    @settings(deadline=None, max_examples=20)
    @given(somePackets(st.integers(0, 20), st.integers(0, 4)))
    def test_endAnywhere(self, packet):
        """Wherever the pipe ends within a packet, that is told."""
        data = stream(packet)
        for n in range(len(data)):
            with pipe() as (near, far):
                os.write(near.fileno(), data[:n])
                near.close()
                self.assertRaises(EOFError, Receiver(far).receive)

    def test_unread(self):
        """That the far end is gone with something unread is an OSError."""
        with pipe() as (near, far):
            far.send_bytes(b"unread")
            near.close()
            self.assertRaises(ConnectionResetError, Receiver(far).receive)

    def test_farEndGone(self):
        """To send when the far end is gone fails, whatever the length."""
        for packet in ([b"", b""], [b"x", b"y", b"z"], [b"", bytes(1 << 20)]):
            with pipe() as (near, far):
                far.close()
                self.assertRaises(BrokenPipeError, send, near, packet)

    def test_farEndGoes(self):
        """To send fails when the far end goes in the middle."""

        def go(far):
            far.recv_bytes()
            os.read(far.fileno(), 1000)
            far.close()

        for packet in ([b"", bytes(1 << 22)], [b"", bytes(1 << 22), b""]):
            with pipe() as (near, far), meanwhile(go, far):
                error = self.assertRaises(OSError, send, near, packet)
                self.assertIn(type(error), (BrokenPipeError, ConnectionResetError))

    def test_long(self):
        """Parts longer than the pipe cross, with others before and after."""
        packet = [b"", b"a" * (LARGE - 1), b"b" * LARGE, b"", b"c" * (LARGE + 1)]
        self.assertEqual(self.cross(list(packet)), packet)

    def test_kinds(self):
        """Bytes arrive as bytes, and what is not, as what can be written to."""
        for size in (1, LARGE - 1, LARGE):
            (part,) = self.cross([bytes(size)])
            self.assertIs(type(part), bytes)
            for kind in (bytes, bytearray):
                (part,) = self.cross([memoryview(kind(size))])
                part[-1] = 1

    def test_ahead(self):
        """What has come with a packet is kept for the next; one read is enough."""
        sent = [[b"%d" % n, b""] for n in range(100)]
        with pipe() as (near, far):
            os.write(near.fileno(), stream(*sent))
            receiver = Receiver(far)
            with mock.patch.object(os, "read", side_effect=os.read) as reads:
                self.assertEqual([receiver.receive() for _ in sent], sent)
                self.assertEqual(reads.call_count, 1)

    @few
    @given(st.lists(somePackets(), min_size=1, max_size=4))
    def test_messagesOnly(self, sent):
        """Packets cross a pipe, too, that knows messages only, as on Windows."""
        receiver = Receiver(Messages(*map(list, sent)))
        self.assertEqual([receiver.receive() for _ in sent], sent)


class MemoryTests(SynchronousTestCase):
    """
    A part that finds no memory.
    """

    def test_lost(self):
        """It is lost; the parts around it and the next packet are not."""

        class Little(rooms.Room):
            def _make(self, size):
                if size > 2 * AT_ONCE:
                    raise MemoryError
                return super()._make(size)

        class LittleBytes(Little, rooms.BytesRoom):
            pass

        self.patch(rooms, "Room", Little)
        self.patch(rooms, "BytesRoom", LittleBytes)
        for kind in (bytes, bytearray):
            with pipe() as (near, far):
                send(near, [b"first", kind(3 * AT_ONCE + 1), b"third"])
                send(near, [b"next", b""])
                receiver = Receiver(far)
                self.assertEqual(receiver.receive(), [b"first", None, b"third"])
                self.assertEqual(receiver.receive(), [b"next", b""])

    def test_endOfLost(self):
        """The end of the pipe within what is lost is told."""
        for size in (1 << 62, 3 << 62):
            with pipe() as (near, far):
                os.write(near.fileno(), struct.pack("!iBQ", 9, 255, size))
                near.close()
                self.assertRaises(EOFError, Receiver(far).receive)
