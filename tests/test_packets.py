"""
How packets cross a pipe.
"""

import os
import struct
import threading
from contextlib import contextmanager
from multiprocessing import Pipe, connection
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import packets
from asynqueue.packets import (
    AT_ONCE,
    LARGE,
    MOST_PARTS,
    Packet,
    Pieces,
    announcement,
    message,
    parts,
    receive,
    receiveParts,
    send,
)
from tests.support import BOUND, Messages, crossed

LONGEST_FIRST = 254

few = settings(deadline=None, max_examples=50)

lengths = st.integers(0, 300) | st.integers(AT_ONCE - 3, AT_ONCE + 3)
"""
Those about the borders, and short ones.
"""


counts = st.integers(0, 5)


@st.composite
def somePackets(draw, lengths=lengths, count=counts):
    """
    Packets whose parts all look different.
    """
    return [
        bytes(((i + 1) * n) % 256 for n in range(draw(lengths)))
        for i in range(draw(count))
    ]


cuts = st.lists(st.integers(1, 50), min_size=1, max_size=20)
"""
How many bytes cross by one call each, over and over.
"""


@contextmanager
def cutting(reads=(1 << 30,), writes=(1 << 30,)):
    """
    Has the system read and write no more than so many bytes by one call.
    """
    ends = {"reads": 0, "writes": 0}

    def most(which, amounts):
        ends[which] += 1
        return amounts[ends[which] % len(amounts)]

    read, readv, write = os.read, os.readv, os.write

    def cutRead(fd, n):
        return read(fd, min(n, most("reads", reads)))

    def cutReadv(fd, views):
        return readv(fd, [views[0][: most("reads", reads)]])

    def cutWrite(fd, data):
        return write(fd, data[: most("writes", writes)])

    with (
        mock.patch.object(os, "readv", cutReadv),
        mock.patch.object(os, "write", cutWrite),
        mock.patch.object(connection.Connection, "_read", staticmethod(cutRead)),
        mock.patch.object(connection.Connection, "_write", staticmethod(cutWrite)),
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


def written(packet):
    """
    @return: All the bytes that sending a packet writes into a pipe.
    """
    with pipe() as (near, far):
        send(near, packet)
        near.close()
        with open(os.dup(far.fileno()), "rb") as end:
            return end.read()


class MessageTests(SynchronousTestCase):
    @few
    @given(somePackets())
    def test_shortOrAnnounced(self, packet):
        """A packet is a message of its own, or announced by one, and either fits."""
        short = message(packet)
        ahead = announcement(packet)
        if short is not None:
            self.assertLessEqual(len(short), AT_ONCE)
            self.assertEqual(parts(short), packet)
        self.assertLessEqual(len(ahead), AT_ONCE)
        self.assertIsNone(parts(ahead))

    def test_borders(self):
        """The longest that is short is as long as a message may be."""
        for first in (0, LONGEST_FIRST):
            second = AT_ONCE - 1 - first
            packet = [b"x" * first, b"y" * second]
            self.assertEqual(len(message(packet) or b""), AT_ONCE)
            self.assertIsNone(message([b"x" * first, b"y" * (second + 1)]))
        self.assertIsNone(message([b"x" * (LONGEST_FIRST + 1), b""]))

    def test_mostParts(self):
        """As many parts as there may be are announced at once; more are refused."""
        self.assertLessEqual(len(announcement([b""] * MOST_PARTS)), AT_ONCE)
        pipe = Messages()
        error = self.assertRaises(ValueError, send, pipe, [b""] * (MOST_PARTS + 1))
        self.assertIn(str(MOST_PARTS), str(error))
        self.assertFalse(pipe.waiting)

    def test_empty(self):
        """An empty message is nothing that was sent here."""
        self.assertRaises(IndexError, parts, b"")


class PiecesTests(SynchronousTestCase):
    @few
    @given(st.lists(st.binary(max_size=AT_ONCE), max_size=5))
    def test_onePart(self, pieces):
        """A part in pieces arrives as one."""
        part = Pieces()
        for piece in pieces:
            part.write(piece)
        self.assertEqual(crossed([b"", part]), [b"", b"".join(pieces)])

    def test_noCopies(self):
        """Pieces are kept as they are; so their lengths cannot change."""
        part, piece, changing = Pieces(), b"piece", bytearray(b"one")
        part.write(piece)
        part.write(changing)
        self.assertIs(part[0].obj, piece)
        self.assertRaises(BufferError, changing.append, 1)
        changing[:] = b"two"
        self.assertEqual(crossed([b"", part]), [b"", b"piecetwo"])
        part.clear()
        changing.append(1)


class CrossingTests(SynchronousTestCase):
    """
    Packets on a real pipe.
    """

    def cross(self, packet) -> Packet:
        """
        @return: A packet of any length, as it is received.
        """
        with pipe() as (near, far), meanwhile(send, near, packet):
            return receive(far)

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
            self.assertEqual([receive(far) for _ in sent], sent)
            self.assertRaises(EOFError, receive, far)

    @few
    @given(somePackets(), cuts)
    def test_slices(self, packet, amounts):
        """A packet arrives whatever the slices in which it comes."""
        data = written(list(packet))

        def feed(fd):
            rest, n = data, 0
            while rest:
                amount = amounts[n % len(amounts)]
                os.write(fd, rest[:amount])
                rest, n = rest[amount:], n + 1

        with pipe() as (near, far), meanwhile(feed, near.fileno()):
            self.assertEqual(receive(far), packet)

    @settings(deadline=None, max_examples=20)
    @given(somePackets(st.integers(0, 20), st.integers(0, 4)))
    def test_endAnywhere(self, packet):
        """Wherever the pipe ends within a packet, that is told."""
        data = written(packet)
        for n in range(len(data)):
            with pipe() as (near, far):
                os.write(near.fileno(), data[:n])
                near.close()
                # Within a message, multiprocessing raises an OSError.
                self.assertRaises((EOFError, OSError), receive, far)

    def test_end(self):
        """The end of the pipe between packets, and between parts, is an EOFError."""
        ahead = announcement([b"one", b"two", b"three"])
        for data in (b"", b"one", b"onetw", b"onetwo"):
            with pipe() as (near, far):
                if data:
                    near.send_bytes(ahead)
                    os.write(near.fileno(), data)
                near.close()
                self.assertRaises(EOFError, receive, far)

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

    def test_usedUp(self):
        """A packet that was sent is not held any more."""
        for packet in ([b"", b""], [b"", b"", b""]):
            send(Messages(), packet)
            self.assertEqual(packet, [])

    def test_tooLongMessage(self):
        """A message that is longer than any is refused before it is read."""
        with pipe() as (near, far):
            os.write(near.fileno(), struct.pack("!i", AT_ONCE + 1))
            self.assertRaises(OSError, receive, far)

    @few
    @given(st.lists(somePackets(), min_size=1, max_size=4))
    def test_messagesOnly(self, sent):
        """Packets cross a pipe, too, that knows messages only, as on Windows."""
        relay = Messages(*map(list, sent))
        self.assertEqual([receive(relay) for _ in sent], sent)


class MemoryTests(SynchronousTestCase):
    """
    A part that finds no memory.
    """

    def test_lost(self):
        """It is lost; the parts around it and the next packet are not."""

        def little(of):
            def room(*args):
                if args[-1] > 2 * AT_ONCE:
                    raise MemoryError
                return of(*args)

            return room

        for name in ("_room", "_readBytes"):
            self.patch(packets, name, little(getattr(packets, name)))
        for kind in (bytes, bytearray):
            with pipe() as (near, far):
                send(near, [b"first", kind(3 * AT_ONCE + 1), b"third"])
                send(near, [b"next", b""])
                self.assertEqual(receive(far), [b"first", None, b"third"])
                self.assertEqual(receive(far), [b"next", b""])

    def test_tooLarge(self):
        """A part that no memory could hold is found to be so at once."""
        for size in (1 << 62, (1 << 64) - 1):
            self.assertRaises(MemoryError, packets._room, size)

    def test_endOfLost(self):
        """The end of the pipe within what is lost is told."""
        with pipe() as (near, far):
            near.close()
            for size in (1 << 62, 3 << 62):
                ahead = struct.pack("!BQ", 255, size)
                self.assertRaises(EOFError, receiveParts, far, ahead)
