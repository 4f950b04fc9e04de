"""
Tests of C{showResult} and C{whichThread}, which print what functions come to.
"""

import sys
import threading
from io import StringIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.info import showResult, whichThread
from tests import calls
from tests.test_info import Shy


@showResult
def double(x):
    """
    Doubles.
    """
    return 2 * x


class Counter:
    @showResult
    def add(self, x, y=0):
        return x + y

    def __repr__(self):
        return "<the counter>"


class ShowResultTests(SynchronousTestCase):
    """
    Tests of L{showResult}.
    """

    def setUp(self):
        self.stdout = StringIO()
        self.patch(sys, "stdout", self.stdout)

    def lines(self):
        """
        @return: What was printed so far.
        """
        return self.stdout.getvalue().splitlines()

    def test_function(self):
        """
        A function can be decorated, which failed at once in the ancestor, and keeps
        its name and text; each call is printed, with its number.
        """
        self.assertEqual(double.__name__, "double")
        self.assertIn("Doubles", str(double.__doc__))
        echo = showResult(calls.echo)
        self.assertEqual([echo("x"), echo(x=8)], ["x", 8])
        self.assertEqual(
            self.lines(),
            ["001: tests.calls.echo('x') -> 'x'", "002: tests.calls.echo(x=8) -> 8"],
        )

    def test_method(self):
        """
        So can a method.
        """
        self.assertEqual(Counter().add(1, y=2), 3)
        (line,) = self.lines()
        self.assertIn("Counter.add(<the counter>, 1, y=2) -> 3", line)

    def test_whole(self):
        """
        A result is printed whole, however long it is, but not its arguments.
        """
        showResult(calls.echo)("x" * 1000)
        (line,) = self.lines()
        self.assertEqual(line.count("x") > 1000, True)
        self.assertLess(len(line), 1200)

    def test_deferred(self):
        """
        The result of a Deferred is printed when it fires, the Deferred itself
        returned.
        """
        d: Deferred[int] = Deferred()
        f = showResult(lambda n: d)
        self.assertIs(f(1), d)
        self.assertEqual(self.lines(), [])
        d.callback(7)
        self.assertEqual(self.successResultOf(d), 7)
        (line,) = self.lines()
        self.assertTrue(line.endswith("(1) -> 7"), line)

    def test_failures(self):
        """
        So is its failure, which goes on to who waits for it.
        """
        for how, error in (
            (lambda d: d.errback(ValueError("bang")), ValueError),
            (lambda d: d.cancel(), CancelledError),
        ):
            d: Deferred[Any] = Deferred()
            showResult(lambda d=d: d)()
            how(d)
            self.failureResultOf(d, error)
            self.assertIn(f" raised {error.__name__}: ", self.lines()[-1])

    def test_raises(self):
        """
        And what a function raises itself.
        """
        for f, error in (
            (calls.boom, ValueError),
            (calls.bye, SystemExit),
            (calls.interrupted, KeyboardInterrupt),
            (calls.mute, calls.Mute),
        ):
            self.assertRaises(error, showResult(f))
            self.assertIn(f" raised {error.__name__}: ", self.lines()[-1])

    def test_unshowable(self):
        """
        What raises when it is to be shown is passed on all the same.
        """
        shy = Shy()
        self.assertIs(showResult(calls.echo)(shy), shy)
        self.assertIn("Shy", self.stdout.getvalue())

    def test_refused(self):
        """
        What is not callable is refused.
        """
        wrong: Any = 7
        self.assertRaises(TypeError, showResult, wrong)

    def test_thread(self):
        """
        The thread is told if asked for, above or below, and not of others.
        """

        def make():
            def f():
                return 1

            return f

        for f, isTold in (
            (showResult(whichThread(make())), True),
            (whichThread(showResult(make())), True),
            (showResult(make()), False),
        ):
            thread = threading.Thread(target=f, name="other")
            thread.start()
            thread.join()
            self.assertEqual("f() <Thread: other> -> 1" in self.lines()[-1], isTold)
        f = make()
        self.assertIs(whichThread(f), f)
