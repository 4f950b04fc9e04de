"""
What crosses the pipe.
"""

import pickle
import socket
import traceback
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import (
    AT_ONCE,
    Answer,
    Call,
    Close,
    Hello,
    Iteration,
    Next,
    Raised,
    Status,
    Stop,
    announcement,
    describe,
    isAnnouncement,
    pack,
    raised,
    unpack,
)
from tests import deeds

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
    @few
    @given(envelopes, values)
    def test_roundTrip(self, envelope, contents):
        """What is packed is unpacked, whatever it is, and as the type it was."""
        opened, load = unpack(pack(envelope, contents))
        self.assertEqual(opened, envelope)
        self.assertIs(type(opened), type(envelope))
        self.assertEqual(load(), contents)

    def test_noContents(self):
        """A packet without contents has C{None}."""
        self.assertIsNone(unpack(pack(Hello(1)))[1]())

    def test_cannotBePickled(self):
        """What pickling raises is raised to whoever packs."""
        error = self.assertRaises(
            RuntimeError, pack, Call(1, None), (print, [deeds.Closed()], {})
        )
        self.assertEqual(str(error), "not to be pickled")

    def test_cannotBeLoaded(self):
        """A packet whose contents cannot be loaded still tells its number."""
        envelope, load = unpack(pack(Call(7, None), deeds.Bomb()))
        self.assertEqual(envelope.number, 7)
        self.assertRaises(RuntimeError, load)

    def test_socket(self):
        """An open socket can be handed over."""
        here, there = socket.socketpair()
        with here, there, unpack(pack(Hello(1), there))[1]() as arrived:
            arrived.sendall(b"hello")
            self.assertEqual(here.recv(9), b"hello")


class AnnouncementTests(SynchronousTestCase):
    def test_short(self):
        """A packet that can be read at once is not announced."""
        self.assertIsNone(announcement(b"x" * AT_ONCE))

    def test_long(self):
        """A longer one is, by what is no packet and is read at once."""
        ahead = announcement(b"x" * (AT_ONCE + 1))
        assert ahead is not None
        self.assertTrue(isAnnouncement(ahead))
        self.assertLess(len(ahead), AT_ONCE)
        self.assertRaises(pickle.UnpicklingError, unpack, ahead)

    @few
    @given(envelopes, values)
    def test_noPacketIsTakenForOne(self, envelope, contents):
        """No packet is ever mistaken for an announcement."""
        self.assertFalse(isAnnouncement(pack(envelope, contents)))


class RaisedTests(SynchronousTestCase):
    def cross(self, exception):
        """
        @return: The L{Raised} of an exception, as it arrives.
        """
        packet = pack(Answer(1, Status.ERROR, 0.0), raised(exception))
        arrived = unpack(packet)[1]()
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
        self.assertIs(type(unpack(packet)[1]()), Iteration)
