"""
What goes wrong, and what is told of it.
"""

import copy
import pickle
import signal
import threading
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import errors
from asynqueue.about import aboutCall
from asynqueue.errors import WorkerDied, WorkerError, aboutExit, asFailure
from asynqueue.picklable import notPicklable
from tests import calls


def caught(f, *args):
    """What a call raises, with its traceback."""
    try:
        f(*args)
    except Exception as e:
        return e
    raise AssertionError("Nothing was raised")


class Unshowable:
    """Has no representation."""

    def __repr__(self):
        raise RuntimeError("none")


class ErrorsTests(SynchronousTestCase):
    def test_died(self):
        """A WorkerDied keeps its figures when it is copied or pickled."""
        error = WorkerDied("gone", 7, -9)
        for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            self.assertEqual((str(same), same.pid, same.exitCode), ("gone", 7, -9))

    def test_families(self):
        """What goes wrong with a worker can be caught as one, or apart."""
        for kind in (
            errors.PicklingError,
            errors.UnpicklingError,
            errors.WorkerDied,
            errors.StartFailed,
            errors.CrashLoop,
        ):
            self.assertTrue(issubclass(kind, WorkerError), kind)
        self.assertTrue(issubclass(errors.PicklingError, pickle.PicklingError))
        self.assertTrue(issubclass(errors.UnpicklingError, pickle.UnpicklingError))

    def test_exit(self):
        """An exit code is told in words, a signal by its name."""
        for code, text in (
            (3, "exit code 3"),
            (-9, "signal 9 (SIGKILL)"),
            (-signal.SIGSEGV, "SIGSEGV"),
            (-200, "signal 200"),
            (None, "not known"),
        ):
            self.assertIn(text, aboutExit(code))

    def test_asFailure(self):
        """Whatever a worker gives as an error becomes a Failure of it."""
        error = ValueError("x")
        failure = Failure(error)
        self.assertIs(asFailure(failure), failure)
        self.assertIs(asFailure(error).value, error)
        self.assertIsInstance(asFailure("text").value, WorkerError)


class InfoTests(SynchronousTestCase):
    def test_call(self):
        """A call is shown as it would be written."""
        text = aboutCall((calls.add, (1,), {"y": "two"}))
        self.assertEqual(text, "tests.calls.add(1, y='two')")

    def test_short(self):
        """However large an argument is, the text is short, and quickly made."""
        text = aboutCall((calls.echo, (b"x" * 10**8, "y" * 10**8, [1] * 10**6), {}))
        self.assertLess(len(text), 300)

    def test_unshowable(self):
        """What cannot be shown keeps nobody from being told of the call."""
        text = aboutCall((calls.echo, (Unshowable(),), {}))
        self.assertIn("Unshowable", text)
        self.assertIn("echo", aboutCall((calls.echo, (), {})))

    @given(st.lists(st.text() | st.binary() | st.integers(), max_size=4))
    @settings(deadline=None, max_examples=50)
    def test_any(self, args):
        """Any call has a text, of one line."""
        text = aboutCall((calls.echo, args, {}))
        self.assertEqual(len(text.splitlines()), 1)


class NotPicklableTests(SynchronousTestCase):
    def culprit(self, f, *args, **kw):
        return str(notPicklable((f, args, kw), TypeError("all of it")))

    def test_names(self):
        """The part that cannot be pickled is named: callable, argument, keyword."""
        local = lambda: None  # noqa: E731
        self.assertIn("its callable", self.culprit(local))
        self.assertIn("its argument 2", self.culprit(calls.echo, 1, local))
        self.assertIn("its keyword y", self.culprit(calls.add, 1, y=local))
        self.assertIn("object whose method", self.culprit(Holder(local).method))
        self.assertIn("its argument 1", self.culprit(len, local))

    def test_place(self):
        """Where in the part it is is told: attributes, items, what is bound."""
        lock = threading.Lock()
        inner = Holder([1, {"key": Holder(lock)}])
        text = self.culprit(Holder(inner).method)
        self.assertIn("because of its .held.held[1]['key'].held: TypeError", text)
        self.assertIn("by update()", text)
        text = self.culprit(calls.echo, partial(calls.add, lock, y=1))
        self.assertIn("because of its .args[0]: TypeError", text)
        self.assertNotIn("by update()", text)

    def test_noPlace(self):
        """An object that says itself how it is pickled is not looked into."""
        self.assertIn("cannot be pickled: ValueError", self.culprit(Stubborn().method))
        local = type("Local", (), {"attribute": threading.Lock()})
        self.assertNotIn("because of", self.culprit(calls.echo, local))

    def test_endless(self):
        """One that goes round in circles is looked into once."""
        holder = Holder([])
        holder.held.append(holder)
        holder.held.append(threading.Lock())
        text = self.culprit(calls.echo, holder)
        self.assertIn("because of its .held[1]: TypeError", text)

    def test_deferred(self):
        """A Deferred is refused, which would never fire in the process."""
        self.assertIn("await it", self.culprit(abs, Deferred()))

    def test_whole(self):
        """If each part can be pickled alone, the error of the whole is told."""
        self.assertIn("all of it", self.culprit(calls.echo, 1))


class Stubborn:
    """An object that refuses to be pickled, though all that it has could be."""

    def __init__(self):
        self.lock = threading.Lock()

    def __getstate__(self):
        raise ValueError("not me")

    def method(self):
        return self.lock


class Holder:
    """An object that holds what cannot be pickled."""

    def __init__(self, held):
        self.held = held

    def method(self):
        return self.held
