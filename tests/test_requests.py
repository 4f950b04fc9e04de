"""
The order in which a worker process is asked.
"""

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.errors import WorkerDied
from asynqueue.requests import Inquiry, Line, Lines, Request


class LinesTests(SynchronousTestCase):
    def setUp(self):
        self.lines = Lines()

    def add(self, *lines):
        requests = [Request(n, [], line) for n, line in enumerate(lines)]
        for request in requests:
            self.lines.add(request)
        return requests

    def order(self):
        """
        @return: The numbers in the order in which requests are taken out.
        """
        numbers = []
        while (request := self.lines.first()) is not None:
            self.lines.take(request)
            numbers.append(request.number)
        return numbers

    def test_order(self):
        """Closings go first; then items and calls take turns."""
        self.add(Line.CALLS, Line.CALLS, Line.ITEMS, Line.ITEMS, Line.ITEMS)
        self.add(Line.CLOSINGS)
        self.assertEqual(self.order(), [0, 2, 0, 3, 1, 4])

    def test_turnIsKept(self):
        """A closing takes nobody's turn away."""
        self.add(Line.ITEMS, Line.ITEMS, Line.CALLS)
        items, _, calls = list(self.lines)[:3]
        self.lines.take(items)
        (closing,) = self.add(Line.CLOSINGS)
        self.lines.take(closing)
        self.assertIs(self.lines.first(), calls)

    def test_putBack(self):
        """What was taken out can be put back where it was."""
        first, second, third = self.add(*[Line.CALLS] * 3)
        for request in (first, second):
            self.lines.take(request)
        self.lines.putBack([first, second])
        self.assertEqual(list(self.lines), [first, second, third])

    def test_remove(self):
        """One is taken out wherever it stands, once."""
        _, item, _ = self.add(Line.CALLS, Line.ITEMS, Line.CALLS)
        self.assertTrue(self.lines.remove(item))
        self.assertFalse(self.lines.remove(item))
        self.assertEqual(self.order(), [0, 2])

    def test_clear(self):
        """All are given back when nothing is to be sent any more."""
        requests = self.add(Line.CLOSINGS, Line.ITEMS, Line.CALLS)
        self.assertEqual(self.lines.clear(), requests)
        self.assertIsNone(self.lines.first())


class RequestTests(SynchronousTestCase):
    def test_nobodyWaits(self):
        """A request that nobody waits for takes what comes."""
        request = Request(1, [])
        request.lost(WorkerDied("gone", 1, 0))
        self.assertEqual((request.about(), request.canBeTakenBack), (None, False))

    def test_inquiry(self):
        """Whoever waits for an answer gets it, or is told that none comes."""
        first, second = Inquiry(1, [], call="f(1)"), Inquiry(2, [])
        reply = object()
        first.answered(reply)  # type: ignore[arg-type]
        second.lost(WorkerDied("gone", 1, 0))
        self.assertIs(self.successResultOf(first.replied), reply)
        self.failureResultOf(second.replied, WorkerDied)
        self.assertEqual((first.about(), second.about()), ("f(1)", None))
