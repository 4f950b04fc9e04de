"""
One call, and what it came to.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.messages import Status
from asynqueue.runner import CallRunner
from tests import deeds


def give(value):
    """Returns it."""
    return value


def throw(exception):
    """Raises it."""
    raise exception


class CallTests(SynchronousTestCase):
    def run_(self, f, *args, raw=None, **kw):
        return CallRunner()((f, args, kw), raw)

    def test_result(self):
        """A call that returns has what it returned."""
        self.assertEqual(self.run_(int, "ff", base=16), (Status.RESULT, 255))

    @settings(deadline=None, max_examples=30)
    @given(st.dictionaries(st.text(), st.integers()))
    def test_anyKeyword(self, kw):
        """A call may have any keyword, those that the runner uses itself too."""
        kw.update({"f": 1, "self": 2, "args": 3, "raw": 4})
        status, result = CallRunner()((deeds.keywords, (), kw))
        self.assertEqual((status, result), (Status.RESULT, kw))

    def test_error(self):
        """A call that raises has its exception, whatever that is."""
        for error in (ValueError(), SystemExit(), KeyboardInterrupt(), StopIteration()):
            self.assertEqual(self.run_(throw, error), (Status.ERROR, error))

    def test_traceback(self):
        """The exception knows where it was raised."""
        error = self.run_(throw, ValueError())[1]
        traceback = error.__traceback__
        while traceback.tb_next is not None:
            traceback = traceback.tb_next
        self.assertEqual(traceback.tb_frame.f_code.co_name, "throw")

    def test_noCall(self):
        """What is not a call, or calls what is not callable, is an error."""
        for callTuple in (None, (), (3, (), {}), (give, 3, {}), (give, (), {})):
            status, error = CallRunner()(callTuple)  # type: ignore[arg-type]
            self.assertIs(status, Status.ERROR)
            self.assertIsInstance(error, (TypeError, ValueError))

    def test_iterator(self):
        """An iterator is told from a value."""
        for iterator in (iter([1]), deeds.items(), map(abs, []), deeds.Sticky()):
            self.assertEqual(self.run_(give, iterator), (Status.ITERATION, iterator))

    def test_iterableIsNoIterator(self):
        """What can be iterated over again, or only names an iterator, is a value."""
        for value in ([1], {1: 2}, "text", range(3), deeds.items):
            self.assertEqual(self.run_(give, value), (Status.RESULT, value))

    def test_raw(self):
        """Where iterators are wanted raw they are values; each call may differ."""
        iterator = iter([1])
        callTuple: Any = (give, (iterator,), {})
        for own, asked, status in (
            (True, None, Status.RESULT),
            (False, None, Status.ITERATION),
            (True, False, Status.ITERATION),
            (False, True, Status.RESULT),
        ):
            self.assertEqual(CallRunner(own)(callTuple, asked), (status, iterator))

    def test_valueThatCannotTellItsClass(self):
        """A proxy that raises when it is asked what it is makes an error."""
        status, error = self.run_(give, deeds.Unbound())
        self.assertIs(status, Status.ERROR)
        self.assertEqual(str(error), "bound to nothing")

    def test_callTimes(self):
        """With stats, each call's time is kept in order, failed ones' too."""
        runner = CallRunner(callStats=True)
        for f in (give, throw):
            runner((f, (ValueError(),), {}))
        self.assertEqual(len(runner.callTimes), 2)
        self.assertTrue(all(0 <= seconds < 1 for seconds in runner.callTimes))

    def test_noCallTimes(self):
        """Without stats, nothing is kept."""
        runner = CallRunner()
        runner((give, (1,), {}))
        self.assertEqual(runner.callTimes, [])


class GetNextTests(SynchronousTestCase):
    def test_items(self):
        """Items come one by one, then the end, again and again."""
        runner, iterator = CallRunner(), deeds.items(1, None)
        self.assertEqual(
            [runner.getNext(iterator) for _ in range(4)],
            [
                (Status.RESULT, 1),
                (Status.RESULT, None),
                (Status.NONE, None),
                (Status.NONE, None),
            ],
        )

    def test_error(self):
        """An iterator that raises has its exception, whatever that is."""
        for error in (ValueError(), SystemExit(), KeyboardInterrupt()):
            outcome = CallRunner().getNext(deeds.items(error))
            self.assertEqual(outcome, (Status.ERROR, error))

    def test_elsewhere(self):
        """Whoever overrides C{invoke} decides where all of it is called."""
        invoked = []

        class Elsewhere(CallRunner):
            def invoke(self, f, /, *args, **kw):
                invoked.append(f)
                return super().invoke(f, *args, **kw)

        runner = Elsewhere()
        iterator = runner((deeds.items, (1,), {}))[1]
        self.assertEqual(runner.getNext(iterator), (Status.RESULT, 1))
        self.assertEqual(invoked, [deeds.items, next])
