"""
Tests of what L{asynqueue.outcomes} tells beside the results: in the log, and on
stderr.
"""

from twisted.internet.defer import CancelledError
from twisted.logger import formatEvent

from asynqueue.errors import RemoteTraceback
from asynqueue.messages import Status
from asynqueue.outcomes import STOP_AFTER
from asynqueue.task import Task
from tests import calls
from tests.test_outcomes import OutcomesTestCase


class SpewTests(OutcomesTestCase):
    """
    Tests of I{spew}.
    """

    def test_spew(self):
        """
        With I{spew} every result is logged, with its call, as short texts: what
        is kept of a large result is none of the result.
        """
        events = self.logged()
        self.make(spew=True)
        for result in (7, b"x" * 10**6):
            self.settle(Status.RESULT, result)
        self.assertEqual(
            [(event["call"], event["result"][:9]) for event in events],
            [
                ("tests.calls.add(1, y=2)", "7"),
                ("tests.calls.add(1, y=2)", "b'xxxxxxx"),
            ],
        )
        self.assertEqual([event["log_level"].name for event in events], ["info"] * 2)
        self.assertEqual(formatEvent(events[0]), "tests.calls.add(1, y=2) -> 7")
        self.assertLess(len(formatEvent(events[1])), 100)

    def test_spewOfTheUnshowable(self):
        """
        A result that cannot be shown, for its C{__repr__} raises, comes through
        all the same.
        """

        class Shy:
            def __repr__(self):
                raise RuntimeError

        events = self.logged()
        self.make(spew=True)
        shy = Shy()
        self.assertIs(self.settle(Status.RESULT, shy), shy)
        self.assertIn("Shy", formatEvent(events[0]))

    def test_spewError(self):
        """
        An error is logged too then, with its traceback; what the caller gets, and
        what becomes of the reactor, is as without.
        """
        events = self.logged()
        self.make(spew=True)
        error = ZeroDivisionError("x/0")
        self.assertIs(self.settle(Status.ERROR, error).value, error)
        self.assertIn("Traceback", events[0]["text"])
        text = self.settle(Status.ERROR, error, None, None, False)
        self.assertIn("x/0", text)
        self.assertIn("ERROR: ", self.stderr.getvalue())
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)


class ReturnFailureTests(OutcomesTestCase):
    """
    Tests of I{returnFailure=False} and of I{warn}.
    """

    def fail(self, *how):
        return self.settle(Status.ERROR, ZeroDivisionError("x/0"), None, None, *how)

    def test_text(self):
        """
        Without I{warn} the text of the error is the result, and goes to stderr;
        a second later the reactor stops.
        """
        text = self.fail(False)
        for part in ("x/0", "ZeroDivisionError", "tests.calls.add(1, y=2)"):
            self.assertIn(part, text)
        self.assertTrue(self.stderr.getvalue().startswith(f"ERROR: {text}"))
        self.assertIn("stopped", self.stderr.getvalue())
        self.reactor.advance(STOP_AFTER - 0.1)
        self.assertFalse(self.reactor.hasStopped)
        self.reactor.advance(0.1)
        self.assertTrue(self.reactor.hasStopped)

    def test_stopsOnce(self):
        """
        However many errors there are, the reactor is stopped once.
        """
        for _ in range(3):
            self.fail(False)
        self.assertEqual(self.stderr.getvalue().count("ERROR"), 3)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)

    def test_shutdown(self):
        """
        Shutting down within that second calls the stop off.
        """
        self.fail(False)
        self.outcomes.shutdown()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.outcomes.shutdown()

    def test_warn(self):
        """
        With I{warn} the error is logged in a line; its text is still the
        result, but neither is there anything on stderr nor does the reactor
        stop.
        """
        self.make(warn=True)
        events = self.logged()
        text = self.fail(False)
        self.assertIn("x/0", text)
        self.assertEqual([event["text"] for event in events], [text.split("\n")[0]])
        self.assertEqual(events[0]["log_level"].name, "error")
        self.assertEqual(events[0]["call"], "tests.calls.add(1, y=2)")
        self.assertEqual(events[0]["error"], "ZeroDivisionError")
        self.assertEqual(formatEvent(events[0]), text.split("\n")[0])
        self.assertEqual(self.stderr.getvalue(), "")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_verbose(self):
        """
        With I{verbose} too, it is logged with its traceback.
        """
        self.make(warn=True, verbose=True)
        events = self.logged()
        text = self.fail(False)
        self.assertEqual([event["text"] for event in events], [text])
        self.assertIn("Traceback", text)

    def test_farTraceback(self):
        """
        The traceback from the worker process, which is an error's cause, is there
        too.
        """
        self.make(warn=True, verbose=True)
        events = self.logged()
        error = ValueError("far away")
        error.__cause__ = RemoteTraceback("in far.py, line 7")
        self.settle(Status.ERROR, error)
        self.assertIn("in far.py, line 7", events[0]["text"])

    def test_wishesChange(self):
        """
        What is logged may be changed at any time.
        """
        events = self.logged()
        for warn in (True, False, True):
            self.wishes.warn = warn
            self.fail(True)
        self.assertEqual(len(events), 2)

    def test_cancelled(self):
        """
        A call that was cancelled is no error: its caller gets the
        C{CancelledError}, nothing is logged and the reactor goes on.
        """
        self.make(warn=True)
        events = self.logged()
        for returnFailure in (True, False):
            failure = self.settle(
                Status.ERROR, CancelledError(), None, None, returnFailure
            )
            self.assertIs(failure.type, CancelledError)
        self.assertEqual(events, [])
        self.assertEqual(self.stderr.getvalue(), "")

    def test_failureAllTheSame(self):
        """
        The caller who wants failures gets them, logged or not.
        """
        for warn in (False, True):
            self.make(warn=warn)
            events = self.logged()
            self.assertIs(self.fail(True).type, ZeroDivisionError)
            self.assertEqual(len(events), warn)
        self.assertEqual(self.stderr.getvalue(), "")

    def test_brokenTexts(self):
        """
        An error that cannot tell anything, of a call that cannot be shown,
        still gives a text.
        """

        class Shy:
            def __repr__(self):
                raise RuntimeError

        task = Task(calls.echo, (Shy(),), {}, 1, None)
        text = self.outcomes.settle((Status.ERROR, calls.Mute()), task, None, False)
        self.assertIn("Mute", text)
        self.assertIn("Shy", text)
