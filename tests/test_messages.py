"""
What crosses the pipe.
"""

import pickle
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import RemoteTraceback, UnpicklingError, WorkerError
from asynqueue.messages import (
    AT_ONCE,
    Answer,
    Call,
    Close,
    Hello,
    Next,
    Status,
    Stop,
    announcement,
    describe,
    isAnnouncement,
    pack,
    raised,
    unpack,
)
from asynqueue.replies import openReply, revive
from tests import calls, far

contents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
envelopes = st.one_of(
    st.builds(Hello, st.integers()),
    st.builds(Call, st.integers(), st.none() | st.booleans()),
    st.builds(Next, st.integers(), st.integers()),
    st.builds(Close, st.integers(), st.integers()),
    st.builds(Stop, st.integers()),
    st.builds(Answer, st.integers(), st.sampled_from(Status), st.floats(0, 1e9)),
)


class Rebuilt(Exception):
    """Cannot be made again from what its pickle holds."""

    def __init__(self, one, two):
        super().__init__(one)


class Stubborn(Exception):
    """Cannot be pickled."""

    def __reduce__(self):
        raise SystemExit("no")


class Impostor(Exception):
    """Comes out of its pickle as something that cannot be raised."""

    def __reduce__(self):
        return str, ("not an exception",)


def caught(f, *args):
    """What a call raises, with its traceback."""
    try:
        f(*args)
    except BaseException as e:
        return e
    raise AssertionError("Nothing was raised")


def throw(exception):
    raise exception


class StatusTests(SynchronousTestCase):
    def test_codes(self):
        """The members equal the one-byte codes of the ancestor's workers."""
        codes = [b"r", b"e", b"i", b"c", b"t", b"n", b"d"]
        self.assertEqual([Status(code) for code in codes], list(Status))
        self.assertEqual(list(Status), codes)

    def test_unknown(self):
        """An unknown code is refused by name, and the known ones are told."""
        for code in (b"x", "t", None):
            error = self.assertRaises(ValueError, Status, code)
            self.assertIn(repr(code), str(error))
            self.assertIn("b't' (TIMEOUT)", str(error))

    def test_failed(self):
        """What has no value because something went wrong is known to have failed."""
        failed = [status for status in Status if status.failed]
        self.assertEqual(failed, [Status.ERROR, Status.TIMEOUT, Status.DISCONNECTED])


class PacketTests(SynchronousTestCase):
    @given(envelopes, contents)
    @settings(deadline=None, max_examples=100)
    def test_roundTrip(self, envelope, value):
        """A packet opens to what was packed, with its type."""
        opened, load = unpack(pack(envelope, value))
        self.assertEqual(opened, envelope)
        self.assertIs(type(opened), type(envelope))
        self.assertEqual(load(), value)

    def test_brokenContents(self):
        """The envelope of a packet can be read though its contents cannot."""
        envelope, load = unpack(pack(Call(7, None), far.Poison(0)))
        self.assertEqual(envelope.number, 7)
        self.assertRaises(LookupError, load)

    def test_unpicklable(self):
        """What cannot be packed says so when it is packed."""
        self.assertRaises(TypeError, pack, Hello(1), threading.Lock())

    @given(st.integers(0, 3 * AT_ONCE))
    @settings(deadline=None, max_examples=30)
    def test_announced(self, size):
        """A packet is announced if and only if it may take long to read."""
        packet = pack(Hello(1), b"x" * size)
        ahead = announcement(packet)
        self.assertEqual(ahead is not None, len(packet) > AT_ONCE)
        self.assertFalse(isAnnouncement(packet))
        if ahead is not None:
            self.assertTrue(isAnnouncement(ahead))
            self.assertLess(len(ahead), AT_ONCE)


class RaisedTests(SynchronousTestCase):
    def revived(self, exception):
        """The exception as it arrives on the other side."""
        crossed = pickle.loads(pickle.dumps(raised(exception)))
        return revive(crossed)

    def test_same(self):
        """An exception arrives as it was, with its far traceback as the cause."""
        error = self.revived(caught(calls.boom, "bang"))
        self.assertIs(type(error), ValueError)
        self.assertEqual(error.args, ("bang",))
        self.assertIsInstance(error.__cause__, RemoteTraceback)
        self.assertIn("in boom", str(error.__cause__))

    def test_broken(self):
        """One that cannot cross arrives as a WorkerError that tells all of it."""
        for exception in (Rebuilt("text", 2), Stubborn("text"), Impostor("text")):
            error = self.revived(caught(throw, exception))
            self.assertIs(type(error), WorkerError)
            self.assertIn(f"{type(exception).__name__}: text", str(error))
            self.assertIn("in throw", str(error.__cause__))

    def test_deadly(self):
        """What would end the program never arrives as itself."""
        for exception in (SystemExit(3), KeyboardInterrupt(), GeneratorExit()):
            error = self.revived(caught(throw, exception))
            self.assertIs(type(error), WorkerError)
            self.assertIn(type(exception).__name__, str(error))

    def test_mute(self):
        """One that cannot even tell its text arrives all the same."""
        error = self.revived(caught(calls.mute))
        self.assertIn("RuntimeError", describe(calls.Mute()))
        self.assertIsInstance(error, calls.Mute)

    @given(st.sampled_from([ValueError, OSError, KeyError, Rebuilt]), st.text())
    @settings(deadline=None, max_examples=50)
    def test_any(self, kind, text):
        """Whatever is raised with whatever text, an exception arrives."""
        exception = kind(text, 1) if kind is Rebuilt else kind(text)
        error = self.revived(caught(throw, exception))
        self.assertIsInstance(error, (kind, WorkerError))


class ReplyTests(SynchronousTestCase):
    def test_result(self):
        """A reply gives the status and the value."""
        packet = pack(Answer(3, Status.RESULT, 0.5), [1])
        reply = openReply(packet, 3, 1.0)
        self.assertEqual(reply.result(), (Status.RESULT, [1]))
        self.assertEqual((reply.seconds, reply.answer.seconds), (1.0, 0.5))

    def test_wrongNumber(self):
        """What answers another request, or is no answer, is refused."""
        for envelope in (Answer(4, Status.NONE, 0.0), Hello(3)):
            self.assertRaises(ValueError, openReply, pack(envelope), 3, 0.0)

    def test_notLoaded(self):
        """A value that cannot be loaded is an error that says why."""
        packet = pack(Answer(3, Status.RESULT, 0.5), far.Poison(0))
        status, error = openReply(packet, 3, 0.0).result()
        self.assertIs(status, Status.ERROR)
        self.assertIsInstance(error, UnpicklingError)
        self.assertIn("LookupError: not at home", str(error))
