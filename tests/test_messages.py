"""
What crosses the pipe.
"""

import copyreg
import pickle
import socket
import traceback
import weakref
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import (
    Answer,
    Call,
    Close,
    Hello,
    Iteration,
    Next,
    Raised,
    Status,
    Stop,
    describe,
    dumps,
    pack,
    raised,
    unpack,
)
from tests import deeds
from tests.support import crossed

few = settings(deadline=None, max_examples=50)

atoms = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
values = st.recursive(
    atoms | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.frozensets(atoms)
    ),
    max_leaves=20,
)
numbers = st.integers()
envelopes = (
    st.builds(Hello, numbers)
    | st.builds(Call, numbers, st.none() | st.booleans())
    | st.builds(Next, numbers, numbers)
    | st.builds(Close, numbers, numbers)
    | st.builds(Stop, numbers)
    | st.builds(Answer, numbers, st.sampled_from(Status), st.floats(0))
)
exceptionTypes: st.SearchStrategy[Any] = st.sampled_from(
    [ValueError, KeyError, OSError, StopIteration, Exception, deeds.Broken, deeds.Loud]
)


def catch(f, *args):
    """
    @return: What a call raises, with its traceback.
    """
    try:
        f(*args)
    except BaseException as e:
        return e
    raise AssertionError("It raised nothing")


class StatusTests(SynchronousTestCase):
    def test_codes(self):
        """The members equal the codes that workers of the ancestor use."""
        self.assertEqual(
            [bytes(status) for status in Status],
            [b"r", b"e", b"i", b"c", b"t", b"n", b"d"],
        )
        self.assertEqual(Status.RESULT, b"r")

    def test_lookUp(self):
        """A code finds its member, and so does a member."""
        for status in Status:
            self.assertIs(Status(bytes(status)), status)
            self.assertIs(Status(status), status)

    def test_unknown(self):
        """An unknown code is refused by name, with those that are known."""
        for code in (b"x", "r", None, 1):
            error = self.assertRaises(ValueError, Status, code)
            self.assertIn(repr(code), str(error))
            self.assertIn("b'r' (RESULT)", str(error))

    def test_failed(self):
        """Only what has no value because of a fault counts as failed."""
        self.assertEqual(
            [status.name for status in Status if status.failed],
            ["ERROR", "TIMEOUT", "DISCONNECTED"],
        )


class PackTests(SynchronousTestCase):
    def cross(self, envelope, contents=None):
        """
        @return: An envelope as it arrives, and what loads the contents.
        """
        return unpack(crossed(pack(envelope, contents)))

    @few
    @given(envelopes, values)
    def test_roundTrip(self, envelope, contents):
        """What is packed is unpacked, whatever it is, and as the type it was."""
        opened, load = self.cross(envelope, contents)
        self.assertEqual(opened, envelope)
        self.assertIs(type(opened), type(envelope))
        self.assertEqual(load(), contents)

    def test_hugeNumber(self):
        """An envelope may be of any length, though none is expected to be long."""
        self.assertEqual(self.cross(Hello(1 << 10_000))[0], Hello(1 << 10_000))

    @few
    @given(values)
    def test_dumps(self, value):
        """An object by itself is pickled into one piece."""
        self.assertEqual(pickle.loads(dumps(value)), value)

    def test_noContents(self):
        """A packet without contents has C{None}."""
        self.assertIsNone(self.cross(Hello(1))[1]())

    def test_cannotBePickled(self):
        """What pickling raises is raised to whoever packs."""
        error = self.assertRaises(
            RuntimeError, pack, Call(1, None), (print, [deeds.Closed()], {})
        )
        self.assertEqual(str(error), "not to be pickled")

    def test_cannotBeLoaded(self):
        """A packet whose contents cannot be loaded still tells its number."""
        envelope, load = self.cross(Call(7, None), deeds.Bomb())
        self.assertEqual(envelope.number, 7)
        self.assertRaises(RuntimeError, load)

    def test_socket(self):
        """An open socket can be handed over."""
        here, there = socket.socketpair()
        with here, there, self.cross(Hello(1), there)[1]() as arrived:
            arrived.sendall(b"hello")
            self.assertEqual(here.recv(9), b"hello")


class LargeTests(SynchronousTestCase):
    """
    What is large in a packet, and so a part of its own.
    """

    def packet(self):
        return crossed(pack(Hello(1), pickle.PickleBuffer(bytearray(1 << 16))))

    def test_usedUp(self):
        """What a packet is made of is not held when it is opened and loaded."""
        packet = self.packet()
        parts = [weakref.ref(part) for part in packet[1:]]
        opened = unpack(packet)
        self.assertEqual(packet, [])
        loaded = opened[1]()
        self.assertIsNone(parts[0]())
        self.assertIs(parts[1](), loaded)
        del loaded
        self.assertIsNone(parts[1]())

    def test_lost(self):
        """A packet of which a part found no memory says so when it is loaded."""
        for lost in (1, 2):
            packet = self.packet()
            packet[lost] = None
            envelope, load = unpack(packet)
            self.assertEqual(envelope, Hello(1))
            self.assertRaises(MemoryError, load)


class RaisedTests(SynchronousTestCase):
    def cross(self, exception):
        """
        @return: The L{Raised} of an exception, as it arrives.
        """
        packet = pack(Answer(1, Status.ERROR, 0.0), raised(exception))
        arrived = unpack(crossed(packet))[1]()
        self.assertIs(type(arrived), Raised)
        return arrived

    @few
    @given(exceptionTypes, st.lists(values, max_size=3))
    def test_anyException(self, exceptionType, args):
        """An exception crosses and is what it was, whatever its arguments."""
        arrived = self.cross(exceptionType(*args))
        self.assertEqual(arrived.name, exceptionType.__qualname__)
        revived = pickle.loads(arrived.pickled)
        self.assertIs(type(revived), exceptionType)
        self.assertEqual(revived.args, exceptionType(*args).args)

    def test_traceback(self):
        """The traceback tells where it was raised, and what had caused it."""

        def fault():
            try:
                raise KeyError("first")
            except KeyError as e:
                raise ValueError("second") from e

        text = self.cross(catch(fault)).traceback
        for part in ("in fault", "KeyError: 'first'", "ValueError: second"):
            self.assertIn(part, text)

    def test_notToBeRaised(self):
        """What would stop the parent crosses as a name and a text only."""
        for exception in (SystemExit(3), KeyboardInterrupt(), GeneratorExit()):
            arrived = self.cross(exception)
            self.assertIsNone(arrived.pickled)
            self.assertEqual(arrived.name, type(exception).__name__)
            self.assertEqual(arrived.text, str(exception))

    def test_cannotBePickled(self):
        """An exception that cannot be pickled crosses as a name and a text."""
        arrived = self.cross(deeds.Guarded("me"))
        self.assertEqual(arrived[:2], ("Guarded", "me"))
        self.assertIsNone(arrived.pickled)

    def test_cannotBeMadeAgain(self):
        """One that cannot be made again does no harm until that is tried."""
        # Other libraries teach pickle to make any exception again.
        self.patch(copyreg, "dispatch_table", {})
        arrived = self.cross(deeds.Fussy("dust", "gears"))
        self.assertEqual(arrived[:2], ("Fussy", "dust in gears"))
        self.assertRaises(TypeError, pickle.loads, arrived.pickled)

    def test_brokenText(self):
        """One whose C{__str__} raises tells that, and where it was raised."""
        arrived = self.cross(catch(next, deeds.items(deeds.Broken())))
        self.assertIn("__str__ raised ValueError", arrived.text)
        self.assertIn("in items", arrived.traceback)

    def test_textOfOtherType(self):
        """A text of a type of its own crosses as plain text."""
        arrived = self.cross(deeds.Loud())
        self.assertIs(type(arrived.text), str)
        self.assertEqual(arrived.text, "loud")

    def test_localType(self):
        """An exception of a type that cannot be found by name crosses."""

        class Local(Exception):
            pass

        arrived = self.cross(Local("here"))
        self.assertIsNone(arrived.pickled)
        self.assertEqual(arrived.text, "here")
        self.assertIn("<locals>.Local", arrived.name)

    def test_tracebackThatCannotBeFormatted(self):
        """Without a full traceback there is still where, and what."""

        def unable(*args, **kw):
            raise RecursionError("too deep")

        self.patch(traceback, "format_exception", unable)
        arrived = self.cross(catch(next, deeds.items(ValueError("lost"))))
        self.assertIn("in items", arrived.traceback)
        self.assertTrue(arrived.traceback.endswith("ValueError: lost\n"))

    def test_recursion(self):
        """A call that recurs too deeply is told briefly."""

        def deeper():
            deeper()

        arrived = self.cross(catch(deeper))
        self.assertEqual(arrived.name, "RecursionError")
        self.assertLess(len(arrived.traceback), 10_000)

    def test_describe(self):
        """What an exception says can always be had."""
        self.assertEqual(describe(ValueError("this")), "this")
        self.assertIn("ValueError", describe(deeds.Broken()))

    def test_iterationCrosses(self):
        """An iteration arrives as one."""
        iteration = Iteration(3, ["first"])
        packet = pack(Answer(1, Status.ITERATION, 0.0), iteration)
        self.assertIs(type(unpack(crossed(packet))[1]()), Iteration)
