"""
Packets as a stream of bytes.
"""

import os
import struct
from multiprocessing import Pipe

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import packets
from asynqueue.framing import header
from asynqueue.packets import (
    AT_ONCE,
    MOST_PARTS,
    STRETCH,
    Incoming,
    Outgoing,
    Pieces,
    announcement,
    isShort,
    message,
)
from asynqueue.rooms import LARGE
from tests.support import crossed

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


cuts = st.lists(st.integers(1, 200), min_size=1, max_size=20)
"""
How many bytes cross at a time, over and over.
"""


def stream(*sent):
    """
    @return: The bytes that packets are sent as.
    """
    outgoing = Outgoing()
    for packet in sent:
        outgoing.add(list(packet))
    return b"".join(piece for packet in outgoing.packets for piece in packet)


class MessageTests(SynchronousTestCase):
    @few
    @given(somePackets())
    def test_shortOrAnnounced(self, packet):
        """A packet is a message of its own, or announced by one, and either fits."""
        ahead = announcement(packet)
        short = message(packet) if isShort(packet) else None
        for one in (ahead, short or ahead):
            self.assertLessEqual(len(one), 4 + AT_ONCE)
            self.assertTrue(one.startswith(header(len(one) - 4)))
        self.assertEqual(ahead[4], 255)
        if short is not None:
            self.assertLess(short[4], 255)
            self.assertEqual(stream(packet), short)
        else:
            self.assertEqual(stream(packet), ahead + b"".join(packet))

    def test_borders(self):
        """The longest that is short is as long as a message may be."""
        for first in (0, LONGEST_FIRST):
            second = AT_ONCE - 1 - first
            packet = [b"x" * first, b"y" * second]
            self.assertTrue(isShort(packet))
            self.assertEqual(len(message(packet)), 4 + AT_ONCE)
            self.assertFalse(isShort([b"x" * first, b"y" * (second + 1)]))
        self.assertFalse(isShort([b"x" * (LONGEST_FIRST + 1), b""]))

    def test_mostParts(self):
        """As many parts as there may be are announced at once; more are refused."""
        self.assertLessEqual(len(announcement([b""] * MOST_PARTS)), 4 + AT_ONCE)
        outgoing, packet = Outgoing(), [b""] * (MOST_PARTS + 1)
        error = self.assertRaises(ValueError, outgoing.add, packet)
        self.assertIn(str(MOST_PARTS), str(error))
        self.assertEqual((len(packet), len(outgoing.packets)), (MOST_PARTS + 1, 0))


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
        self.assertIs(part[0], piece)
        self.assertRaises(BufferError, changing.append, 1)
        changing[:] = b"two"
        self.assertEqual(crossed([b"", part]), [b"", b"piecetwo"])
        part.clear()
        changing.append(1)


class OutgoingTests(SynchronousTestCase):
    @few
    @given(st.lists(somePackets(), min_size=1, max_size=4), cuts)
    def test_writtenAnyhow(self, sent, amounts):
        """Whatever is taken at a time, all is, in order, and each packet ends."""
        outgoing = Outgoing()
        for packet in sent:
            outgoing.add(list(packet))
        ends = [len(stream(*sent[:k])) for k in range(len(sent) + 1)]
        written, n = b"", 0
        while outgoing.packets:
            some = b"".join(outgoing.next())[: amounts[n % len(amounts)]]
            outgoing.written(len(some))
            written, n = written + some, n + 1
            gone = len(sent) - len(outgoing.packets)
            self.assertGreaterEqual(len(written), ends[gone])
            if outgoing.packets:
                self.assertLess(len(written), ends[gone + 1])
        self.assertEqual(written, stream(*sent))

    def test_bounded(self):
        """No more is to be written at a time than L{STRETCH}, nor too many pieces."""
        outgoing = Outgoing()
        outgoing.add([b"", bytes(STRETCH - 1), bytes(STRETCH + 1)])
        while outgoing.packets:
            n = sum(map(len, outgoing.next()))
            self.assertLessEqual(n, STRETCH)
            outgoing.written(n)
        for _ in range(packets._MOST_PIECES + 1):
            outgoing.add([b"", b""])
        self.assertEqual(len(outgoing.next()), packets._MOST_PIECES)

    def test_noCopies(self):
        """What is long is written from where it is."""
        outgoing, long = Outgoing(), bytes(2 * STRETCH)
        outgoing.add([b"", b"", long])
        for _ in range(2):
            outgoing.written(sum(map(len, outgoing.next())))
            self.assertIs(memoryview(outgoing.next()[0]).obj, long)

    def test_usedUp(self):
        """A packet that was added is not held by whoever added it."""
        outgoing = Outgoing()
        for packet in ([b"", b""], [b"", b"", b""]):
            outgoing.add(packet)
            self.assertEqual(packet, [])

    def test_addedMeanwhile(self):
        """More may be added by another thread while something is chosen."""
        outgoing = Outgoing()

        class Adding(bytes):
            def __len__(self):
                outgoing.add([b"", b""])
                return super().__len__()

        outgoing.add([b"", b"", Adding(b"some")])
        self.assertIn(b"some", outgoing.next())


class IncomingTests(SynchronousTestCase):
    @few
    @given(st.lists(somePackets(), min_size=1, max_size=4), cuts, st.booleans())
    def test_cutAnywhere(self, sent, amounts, isCopied):
        """Packets come out as they were, wherever the stream was cut."""
        incoming, rest, n = Incoming(), stream(*sent), 0
        while rest:
            amount = amounts[n % len(amounts)]
            if incoming.isInPart and not isCopied:
                with incoming.room() as room:
                    amount = min(amount, len(room))
                    room[:amount] = rest[:amount]
                incoming.filled(amount)
            else:
                incoming.feed(rest[:amount])
            rest, n = rest[amount:], n + 1
        self.assertEqual(list(incoming.packets), sent)
        self.assertFalse(incoming.isInPart)

    @few
    @given(st.lists(somePackets(), max_size=4), somePackets(), st.data())
    def test_tail(self, sent, last, data):
        """A packet that is not whole is none."""
        whole = stream(last)
        part = whole[: data.draw(st.integers(0, len(whole) - 1))]
        incoming = Incoming()
        incoming.feed(stream(*sent) + part)
        self.assertEqual(list(incoming.packets), sent)

    def test_manyAtOnce(self):
        """However many packets come by one read, all come out."""
        sent = [[b"one", b"two"], [b"1", b"2", b"3"], []] * 2000
        incoming = Incoming()
        incoming.feed(stream(*sent))
        self.assertEqual(list(incoming.packets), sent)

    def test_inPlace(self):
        """A long part is given as the place that it was read into."""
        for size in (1000, LARGE):
            incoming = Incoming()
            incoming.feed(announcement([memoryview(bytes(size))]))
            with incoming.room() as room:
                place = room.obj
            left = size
            while left:
                with incoming.room() as room:
                    self.assertLessEqual(len(room), STRETCH)
                    n = len(room)
                incoming.filled(n)
                left -= n
            ((part,),) = incoming.packets
            self.assertIs(part.obj, place)
            self.assertEqual(len(part), size)

    def test_notHeld(self):
        """A packet that was taken is not held any more."""
        incoming = Incoming()
        incoming.feed(stream([memoryview(b"one")]))
        ((part,),) = incoming.packets
        incoming.packets.clear()
        place = part.obj
        part.release()
        # It would be refused while there is another view of it.
        place.append(1)

    def test_bad(self):
        """What no message can be is refused at once."""
        for length in (0, AT_ONCE + 1, -1, -(2**31)):
            incoming = Incoming()
            incoming.feed(stream([b"one", b"two"]))
            self.assertRaises(OSError, incoming.feed, struct.pack("!i", length))
            self.assertEqual(list(incoming.packets), [[b"one", b"two"]])

    def test_connection(self):
        """Messages are framed as multiprocessing frames what it sends."""
        short = message([b"one", b"two"])
        near, far = Pipe()
        with near, far:
            near.send_bytes(b"\x03onetwo")
            self.assertEqual(os.read(far.fileno(), 100), short)
            os.write(near.fileno(), short)
            self.assertEqual(far.recv_bytes(), b"\x03onetwo")
