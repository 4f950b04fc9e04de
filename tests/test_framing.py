"""
Messages put together again from a stream.
"""

import multiprocessing
import os

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.framing import Unframer, header

messages = st.lists(st.binary(max_size=200), max_size=8)
"""
Any messages.
"""


def cut(data, stream):
    """
    @return: A stream in pieces of any length.
    """
    pieces = []
    while stream:
        n = data.draw(st.integers(1, len(stream)))
        pieces.append(stream[:n])
        stream = stream[n:]
    return pieces


def take(unframer):
    """
    @return: The messages that are whole.
    """
    return list(iter(unframer.message, None))


def long(message):
    """
    @return: A message as if it were too long for the shorter of the two headers.
    """
    return b"\xff\xff\xff\xff" + len(message).to_bytes(8, "big") + message


class UnframerTests(SynchronousTestCase):
    @given(st.data(), messages)
    @settings(deadline=None)
    def test_cutAnywhere(self, data, sent):
        """Messages come out as they were, wherever the stream was cut."""
        headed = st.sampled_from([lambda m: header(len(m)) + m, long])
        stream = b"".join(data.draw(headed)(message) for message in sent)
        unframer, got = Unframer(), []
        for piece in cut(data, stream):
            unframer.feed(piece)
            got += take(unframer)
        self.assertEqual(got, sent)
        self.assertEqual(unframer.rest(), b"")

    @given(st.data(), messages, st.binary(min_size=1, max_size=50))
    @settings(deadline=None)
    def test_tail(self, data, sent, last):
        """A message that is not whole is none, and what has come of it is kept."""
        stream = b"".join(header(len(m)) + m for m in sent)
        part = (header(len(last)) + last)[: data.draw(st.integers(0, 3 + len(last)))]
        unframer = Unframer()
        unframer.feed(stream + part)
        self.assertEqual(take(unframer), sent)
        self.assertIsNone(unframer.message())
        self.assertEqual(unframer.rest(), part)
        self.assertEqual(unframer.rest(), b"")

    def test_connection(self):
        """It is the way in which multiprocessing frames what it sends."""
        near, far = multiprocessing.Pipe(duplex=False)
        with near, far:
            for message in (b"", b"a", b"b" * 20000):
                far.send_bytes(message)
            unframer, got = Unframer(), []
            while len(got) < 3:
                unframer.feed(os.read(near.fileno(), 4096))
                got += take(unframer)
            self.assertEqual(got, [b"", b"a", b"b" * 20000])
        near, far = multiprocessing.Pipe(duplex=False)
        with near, far:
            os.write(far.fileno(), header(5) + b"hello" + long(b"world"))
            self.assertEqual(near.recv_bytes(), b"hello")
            self.assertEqual(near.recv_bytes(), b"world")

    def test_oneByOne(self):
        """What follows a message is left alone until it is asked for."""
        unframer = Unframer()
        unframer.feed(header(2) + b"ab" + b"\xff\xff\xff\x00raw")
        self.assertEqual(unframer.message(), b"ab")
        self.assertEqual(unframer.rest(), b"\xff\xff\xff\x00raw")

    def test_bad(self):
        """What cannot be a length is refused."""
        unframer = Unframer()
        unframer.feed(b"\xff\xff\xff\xfe")
        self.assertRaises(OSError, unframer.message)

    def test_header(self):
        """A length that 4 bytes cannot tell is told in 8 more."""
        self.assertEqual(header(2**31 - 1), b"\x7f\xff\xff\xff")
        self.assertEqual(
            header(2**31), b"\xff\xff\xff\xff" + bytes([0, 0, 0, 0, 128, 0, 0, 0])
        )
