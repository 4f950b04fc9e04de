"""
Numpy arrays and other large buffers, from end to end.
"""

import sys
import tracemalloc
from typing import Any
from unittest import skipIf

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.contents import OUT_OF_BAND
from asynqueue.messages import Hello, pack, unpack
from asynqueue.process import ProcessQueue
from tests import calls, deeds, far
from tests.support import crossed, leavesNothing

numpy: Any
try:
    import numpy
except ImportError:
    numpy = None

needsNumpy = skipIf(numpy is None, "numpy is not installed")

SIZE = 32 << 20
"""
How many bytes an array has that is large: 32 MiB.
"""


@needsNumpy
class ArrayTests(SynchronousTestCase):
    """
    Numpy arrays, packed and unpacked.
    """

    def test_noCopyHere(self):
        """What is sent of a large array is its own memory."""
        array = numpy.arange(OUT_OF_BAND)
        packet = pack(Hello(1), [array, array])
        for part in packet[2:]:
            self.assertTrue(numpy.shares_memory(array, part))
        self.assertEqual([len(part) for part in packet[2:]], [array.nbytes])

    def test_noCopyThere(self):
        """A large array that arrives has the memory that it was read into."""
        packet = crossed(pack(Hello(1), numpy.arange(OUT_OF_BAND)))
        part = packet[2]
        self.assertTrue(numpy.shares_memory(unpack(packet)[1](), part))

    @settings(deadline=None, max_examples=100)
    @given(
        st.sampled_from(["u1", "i4", "f8", "c16", "S7", "M8[s]", "O", "i4,f8"]),
        st.lists(st.sampled_from([0, 1, 3, 40]), max_size=3),
        st.sampled_from(["C", "F"]),
        st.booleans(),
        st.sampled_from([1, -1, 2]),
    )
    def test_anyArray(self, dtype, shape, order, readOnly, step):
        """
        Any array arrives equal, of its type, shape and order, and can be written to
        unless it could not be.
        """
        array = numpy.ones(shape, dtype, order)
        if array.ndim:
            array = array[::step]
        if array.size and dtype == "i4":
            array.flat[:] = numpy.arange(array.size)
        array.flags.writeable = not readOnly
        arrived = unpack(crossed(pack(Hello(1), array)))[1]()
        self.assertTrue((arrived == array).all())
        self.assertEqual((arrived.dtype, arrived.shape), (array.dtype, array.shape))
        for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS"):
            if array.flags[flag]:
                self.assertTrue(arrived.flags[flag])
        if not readOnly:
            self.assertTrue(arrived.flags.writeable)


class MemoryTests(TestCase):
    """
    What it takes to send something large to a process and have it back.
    """

    @inlineCallbacks
    def setUp(self):  # type: ignore[override]
        # The reactor opens a pipe when it begins to run; so it has to run by now.
        yield deferLater(reactor, 0)
        leavesNothing(self)
        self.queue = ProcessQueue(1)
        self.addCleanup(self.queue.shutdown)

    @inlineCallbacks
    def peaks(self, f, sent):
        """
        Makes a call.

        @return: How much more memory was in use meanwhile, at most, than before,
            in multiples of what was sent, here and in the process; and what the call
            returned.
        """
        before = yield self.queue.call(far.peak)
        tracemalloc.start()
        try:
            result = yield self.queue.call(f, sent)
            here = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        there = (yield self.queue.call(far.peak)) - before
        return here / SIZE, there / SIZE, result

    @needsNumpy
    @inlineCallbacks
    def test_array(self):
        """A large array takes no copy here, and one in the process, to be sent."""
        # It is imported there before anything is measured.
        yield self.queue.call(calls.echo, numpy.ones(1))
        array = numpy.arange(SIZE // 8)
        here, there, result = yield self.peaks(calls.echo, array)
        self.assertTrue((result == array).all())
        result[0] = 7
        self.assertEqual((result[0], array[0]), (7, 0))
        self.assertLess(here, 0.1)
        self.assertLess(there, 1.2)

    @inlineCallbacks
    def test_bytes(self):
        """Large bytes take no copy here, and one in the process, to be sent."""
        here, there, result = yield self.peaks(calls.echo, [b"x" * SIZE])
        self.assertEqual(result, [b"x" * SIZE])
        # Those that came back, too.
        self.assertLess(here, 1.1)
        self.assertLess(there, 1.2)

    @inlineCallbacks
    def test_pickleIsDropped(self):
        """What was loaded is held no more while the call runs."""
        before = yield self.queue.call(far.resident, "")
        during = yield self.queue.call(far.resident, "x" * SIZE)
        self.assertLess(during - before, 1.2 * SIZE)

    @skipIf(not sys.platform.startswith("linux"), "Memory cannot be limited here")
    @inlineCallbacks
    def test_noMemory(self):
        """
        What is too large for the process makes the call fail, not the process, and
        so does a result that is.
        """
        yield self.queue.call(far.limitMemory, SIZE)
        process = yield self.queue.call(deeds.pid)
        for f, args in ((len, (b"x" * 2 * SIZE,)), (bytes, (2 * SIZE,))):
            with self.assertRaises(Exception) as raised:
                yield self.queue.call(f, *args)
            self.assertIn("MemoryError", repr(raised.exception))
        self.assertEqual((yield self.queue.call(deeds.pid)), process)
