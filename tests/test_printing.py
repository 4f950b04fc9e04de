"""
How items are read, and results, errors and call times printed.
"""

import json
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import RemoteTraceback
from asynqueue.printing import (
    CallTimes,
    JsonForm,
    PlainForm,
    aboutError,
    complaint,
    quote,
    toJson,
)
from tests.calls import Mute

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class PlainTests(SynchronousTestCase):
    def test_form(self):
        """An item is its text, a result what print shows, an error nothing."""
        form = PlainForm()
        self.assertEqual(form.parse(" x "), " x ")
        self.assertEqual(form.result("x", None, 0.1), "None\n")
        self.assertEqual(form.result("x", "two\nlines", 0.1), "two\nlines\n")
        self.assertEqual(form.error("x", "bad", 0.1), "")


class JsonTests(SynchronousTestCase):
    def test_form(self):
        """Each item gives an object in a line, with its result or its error."""
        form = JsonForm()
        item = form.parse('{"a": [1, "é"]}')
        self.assertEqual(
            form.result(item, "x\ny", 0.1234567),
            '{"item": {"a": [1, "é"]}, "result": "x\\ny", "seconds": 0.123457}\n',
        )
        self.assertEqual(
            form.error(item, "bad", 0.0),
            '{"item": {"a": [1, "é"]}, "error": "bad", "seconds": 0.0}\n',
        )

    def test_noJson(self):
        """What is no JSON is refused, also what Python would let pass."""
        for text in ("", "x", "1 2", "NaN", "-Infinity", "'x'"):
            self.assertRaises(ValueError, JsonForm().parse, text)

    @given(JSON)
    def test_values(self, value):
        """JSON values come out as they are, in one line."""
        text = toJson(value)
        self.assertEqual(json.loads(text), value)
        self.assertNotIn("\n", text)

    def test_otherValues(self):
        """What JSON has no form for comes out as its repr, and as valid JSON."""
        deep = []
        for _ in range(10**5):
            deep = [deep]
        for value, wanted in [
            ([1, PurePosixPath("x")], [1, "PurePosixPath('x')"]),
            ({(1, 2): 3}, "{(1, 2): 3}"),
            (float("nan"), "nan"),
            (b"x", "b'x'"),
            ("\udcff", "\udcff"),
            ((1, "é\udcff"), [1, "é\udcff"]),
        ]:
            text = toJson(value)
            text.encode()
            self.assertEqual(json.loads(text), wanted)
        self.assertIn("[[[", toJson(deep))


class ErrorTests(SynchronousTestCase):
    def test_complaint(self):
        """An error is told with its traceback from afar, if it has one."""
        error = ValueError("bad")
        self.assertEqual(
            complaint("item 'x'", error), "asynqueue: item 'x': ValueError: bad\n"
        )
        error.__cause__ = RemoteTraceback("Traceback\n  there\n")
        self.assertEqual(
            complaint("item 'x'", error),
            "asynqueue: item 'x': ValueError: bad\n    Traceback\n      there\n",
        )

    def test_aboutError(self):
        """An error is told even if it has nothing to say, or cannot."""
        self.assertEqual(aboutError(ValueError()), "ValueError")
        self.assertIn("Mute: ", aboutError(Mute()))

    def test_quote(self):
        """A text is quoted so that it can be told, and harms no terminal."""
        self.assertEqual(quote("a b"), "'a b'")
        self.assertEqual(quote("\x1b[2J\udcff"), r"'\x1b[2J\udcff'")
        self.assertLess(len(quote("x" * 10**6)), 1100)


class Worker:
    def __init__(self, callTimes, memory):
        self.callTimes = callTimes
        self.memory = memory

    def memUsage(self):
        return self.memory


class CallTimesTests(SynchronousTestCase):
    def test_table(self):
        """The table has a line for each worker, aligned, and one for all."""
        first = Worker([(0.003, 0.001), (0.005, 0.004)], 2048)
        times = CallTimes([first, Worker([], None)])
        times.collect()
        self.assertEqual(first.callTimes, [])
        first.callTimes.append((10.0, 0.001))
        lines = times.text().splitlines()
        self.assertEqual(
            [line.split() for line in lines[1:]],
            [
                ["1", "3", "5.000", "1.000", "2.000", "2.0"],
                ["2", "0", "-", "-", "-", "-"],
                ["all", "3", "5.000", "1.000", "2.000", "2.0"],
            ],
        )
        self.assertEqual(
            lines[0].split("  "),
            ["worker", "calls", "ms here", "ms there", "ms overhead", " MB"],
        )
        self.assertEqual({len(line) for line in lines}, {len(lines[0])})
