"""
A pickle, and the large buffers that stay beside it.
"""

import pickle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.contents import OUT_OF_BAND, Contents
from asynqueue.messages import Hello, pack, unpack
from asynqueue.packets import MOST_PARTS
from tests.support import crossed

sizes = st.sampled_from([0, 1, 5, 9, 255, 256, 65535, 65536, 65537, 70000])
ends = st.sampled_from(
    [
        b"",
        b"\x94.",
        # What looks like what comes before bytes, a frame, or what ends one.
        b"B" + (65536).to_bytes(4, "little"),
        b"\x8e" + (65536).to_bytes(8, "little"),
        b"\x95" + (65541).to_bytes(8, "little"),
        b"\x95\x00\x00\x00\x00\x00\x00\x00\x00",
        b"B\x70\x11\x01\x00",
        b"\x97",
    ]
)


@st.composite
def data(draw):
    """
    Bytes that might be taken for something else, if the borders were missed.
    """
    begins, size, end = draw(ends), draw(sizes), draw(ends)
    return begins + b"x" * (size - len(begins) - len(end)) + end


binaries = data() | data().map(bytearray) | data().map(lambda b: b.decode("latin-1"))
runs = st.integers(1, 30_000).map(lambda n: list(range(n)))
"""
What fills frames.
"""
values = st.recursive(
    binaries | runs | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


class Blob:
    """
    Has a buffer that it offers, as C{numpy} arrays do.
    """

    def __init__(self, buffer):
        self.buffer = buffer

    def __reduce_ex__(self, protocol):
        return Blob, (pickle.PickleBuffer(self.buffer),)


def contents(obj):
    """
    @return: The L{Contents} of an object.
    """
    made = Contents()
    pickle.Pickler(made, 5, buffer_callback=made.staysInBand).dump(obj)
    return made


def load(made):
    """
    @return: The object again.
    """
    return pickle.loads(b"".join(made), buffers=made.buffers)


def cross(obj):
    """
    @return: An object as it arrives.
    """
    return unpack(crossed(pack(Hello(1), obj)))[1]()


def largest(obj):
    """
    @return: All large C{bytes} in an object, each once, in order.
    """
    found: dict[int, bytes] = {}
    waiting = [obj]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict):
            waiting[:0] = one.values()
        elif isinstance(one, (list, tuple)):
            waiting[:0] = one
        elif isinstance(one, bytes) and len(one) >= OUT_OF_BAND:
            found[id(one)] = one
    return list(found.values())


class BytesTests(SynchronousTestCase):
    """
    Large C{bytes}.
    """

    def test_outOfBand(self):
        """They are not in the pickle, but beside it, wherever they stand."""
        one, other = bytes(OUT_OF_BAND), b"x" * (1 << 20)
        for obj, found in (
            (one, [one]),
            ([one], [one]),
            ({"a": one, "b": [list(range(100_000)), other]}, [one, other]),
            ((other, bytearray(OUT_OF_BAND), "s" * OUT_OF_BAND, one), [other, one]),
        ):
            made = contents(obj)
            self.assertEqual(len(made.buffers), len(found))
            for buffer, source in zip(made.buffers, found, strict=True):
                self.assertIs(buffer, source)
            self.assertEqual(load(made), obj)
            self.assertEqual(cross(obj), obj)

    def test_inBand(self):
        """Those that are not large are in the pickle."""
        for size in (0, 1, OUT_OF_BAND - 1):
            made = contents([bytes(size)])
            self.assertEqual(made.buffers, [])
            self.assertEqual(load(made), [bytes(size)])

    def test_same(self):
        """The same bytes twice cross once, and are the same there."""
        one = bytes(OUT_OF_BAND)
        made = contents([one, one])
        self.assertEqual(len(made.buffers), 1)
        first, second = cross([one, one])
        self.assertIs(first, second)
        self.assertIs(type(first), bytes)

    @settings(deadline=None, max_examples=200)
    @given(values)
    def test_any(self, obj):
        """
        Whatever is in an object, and however its parts look, it is the same again,
        with exactly its large bytes beside the pickle.
        """
        made = contents(obj)
        self.assertEqual([id(b) for b in made.buffers], list(map(id, largest(obj))))
        again = load(made)
        # Its text tells the types, too.
        self.assertEqual(repr(again), repr(obj))

    @settings(deadline=None, max_examples=50)
    @given(values)
    def test_anyCrosses(self, obj):
        """So it is when it has crossed."""
        self.assertEqual(cross(obj), obj)

    def test_bytearray(self):
        """A large C{bytearray} is not copied either when it is pickled."""
        source = bytearray(1 << 20)
        made = contents(source)
        views = [piece for piece in made if isinstance(piece, memoryview)]
        self.assertEqual([view.obj is source for view in views], [True])
        arrived = load(made)
        self.assertEqual((arrived, type(arrived)), (source, bytearray))


class OfferedTests(SynchronousTestCase):
    """
    Buffers that objects offer.
    """

    def test_outOfBand(self):
        """A large buffer is a part as it is, and arrives as the part received."""
        source = bytearray(OUT_OF_BAND)
        packet = pack(Hello(1), Blob(source))
        source[-1] = 7
        self.assertEqual(packet[2][-1], 7)
        self.assertLess(len(b"".join(packet[1])), 100)
        packet = crossed(packet)
        part = packet[2]
        arrived = unpack(packet)[1]().buffer
        self.assertEqual(arrived, source)
        arrived[0] = 3
        self.assertEqual((part[0], source[0]), (3, 0))

    def test_inBand(self):
        """A buffer that is not large is a part of the contents."""
        for size in (0, 1, OUT_OF_BAND - 1):
            self.assertEqual(len(pack(Hello(1), Blob(bytearray(size)))), 2)
            self.assertEqual(cross(Blob(bytearray(size))).buffer, bytes(size))

    def test_readOnly(self):
        """What cannot be written to arrives as such."""
        for size in (1, OUT_OF_BAND):
            arrived = memoryview(cross(Blob(bytes(size))).buffer)
            self.assertEqual((arrived.readonly, arrived), (True, bytes(size)))

    def test_otherItems(self):
        """A buffer of larger items, or more dimensions, crosses as its bytes."""
        items = memoryview(bytearray(range(256)) * 256)
        for view in (items.cast("d"), items.cast("B", (256, 256))):
            packet = pack(Hello(1), Blob(view))
            self.assertEqual([len(part) for part in packet[2:]], [OUT_OF_BAND])
            self.assertEqual(unpack(crossed(packet))[1]().buffer, items)

    def test_notInOnePiece(self):
        """A buffer that does not lie in one piece cannot be pickled."""
        view = memoryview(bytearray(2 * OUT_OF_BAND))[::2]
        self.assertRaises(pickle.PicklingError, pack, Hello(1), Blob(view))

    def test_many(self):
        """More buffers than a packet has parts cross all the same, in order."""

        def source(n) -> Any:
            size = OUT_OF_BAND + n
            return [
                bytes([n % 256]) * size,
                Blob(bytearray(size)),
                Blob(bytes(size)),
                Blob(memoryview(bytearray(8 * OUT_OF_BAND)).cast("d")),
            ][n % 4]

        sent = [source(n) for n in range(MOST_PARTS + 8)]
        packet = pack(Hello(1), sent)
        self.assertEqual(len(packet), MOST_PARTS)
        for one, arrived in zip(sent, unpack(crossed(packet))[1](), strict=True):
            if isinstance(one, Blob):
                one, arrived = (pickle.PickleBuffer(b.buffer) for b in (one, arrived))
                one, arrived = one.raw(), arrived.raw()
            self.assertEqual(one, arrived)
