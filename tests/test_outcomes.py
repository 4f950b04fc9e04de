"""
Tests of L{asynqueue.outcomes}.
"""

import sys
from io import StringIO
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.deferator import Deferator
from asynqueue.errors import TimeoutError, WorkerError
from asynqueue.messages import Status
from asynqueue.outcomes import Outcomes
from asynqueue.task import Task
from tests import calls
from tests.fakes import Reactor
from tests.test_producers import Consumer, whole


class OutcomesTestCase(SynchronousTestCase):
    """
    What the tests of L{Outcomes} use.
    """

    def setUp(self):
        self.reactor = Reactor()
        self.retried: list[Task] = []
        self.retries: list[Deferred[Any]] = []
        self.stderr = StringIO()
        self.patch(sys, "stderr", self.stderr)
        self.make()

    def make(self, warn=False, verbose=False, spew=False):
        self.wishes = SimpleNamespace(warn=warn, verbose=verbose, spew=spew)
        self.outcomes = Outcomes(self.retry, self.wishes, self.reactor)

    def retry(self, task):
        self.retried.append(task)
        self.retries.append(Deferred())
        return self.retries[-1]

    def task(self, retries=0):
        task = Task(calls.add, (1,), {"y": 2}, 1, None, timeout=3)
        task.retries = retries
        return task

    def settle(self, status, result, task=None, *how):
        return self.outcomes.settle((status, result), task or self.task(), *how)

    def logged(self):
        """
        @return: A list of what is logged from now on.
        """
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return events


class StatusTests(OutcomesTestCase):
    """
    Tests of what comes of each status.
    """

    def test_results(self):
        """
        A value is the result, whole or put together from pieces; no value is
        C{None}. The plain codes of other workers will do.
        """
        for status in (Status.RESULT, Status.CHUNKED, b"r", b"c"):
            self.assertEqual(self.settle(status, 7), 7)
        for status in (Status.NONE, b"n"):
            self.assertIsNone(self.settle(status, 7))

    def test_errors(self):
        """
        An exception is what the call fails with, itself; a text is the text of
        a C{WorkerError}.
        """
        error = ZeroDivisionError("x")
        for status in (Status.ERROR, b"e"):
            for result in (error, Failure(error)):
                self.assertIs(self.settle(status, result).value, error)
            failure = self.settle(status, "a text")
            self.assertIs(failure.type, WorkerError)
            self.assertEqual(str(failure.value), "a text")

    def test_iterations(self):
        """
        An iterator, or a Deferator, comes as a Deferator.
        """
        dr = Deferator(calls.count(2))
        for status in (Status.ITERATION, b"i"):
            self.assertIs(self.settle(status, dr), dr)
            made = self.settle(status, calls.count(2))
            self.assertIsInstance(made, Deferator)
            self.assertEqual([self.successResultOf(d) for d in made], [0, 1])

    def test_unknown(self):
        """
        A status that nobody knows is refused, by its name.
        """
        status: Any
        for status in (b"x", "r", None, 7, [], b""):
            failure = self.settle(status, 7)
            self.assertIs(failure.type, ValueError)
            self.assertIn(f"Unknown status {status!r}", str(failure.value))

    def test_timeout(self):
        """
        A call that took too long is tried again as often as it may be, and then
        fails with an error that names it.
        """
        for status in (Status.TIMEOUT, b"t"):
            self.setUp()
            d = self.settle(status, "too long", self.task(retries=2))
            for retry in self.retries:
                self.assertNoResult(d)
                retry.callback((status, "too long"))
            self.assertEqual(len(self.retried), 2)
            failure = self.failureResultOf(d, TimeoutError)
            self.assertIn("tests.calls.add(1, y=2)", str(failure.value))
            self.assertIn("3 seconds", str(failure.value))

    def test_timeoutAtOnce(self):
        """
        One that may not be tried again fails at once.
        """
        self.assertIs(self.settle(Status.TIMEOUT, "").type, TimeoutError)
        self.assertEqual(self.retried, [])

    def test_secondTry(self):
        """
        What comes of another try is what the caller gets.
        """
        d = self.settle(Status.TIMEOUT, "", self.task(retries=1))
        self.retries[0].callback((Status.RESULT, 7))
        self.assertEqual(self.successResultOf(d), 7)

    def test_disconnected(self):
        """
        A call that its worker was lost for is tried again without counting.
        """
        for status in (Status.DISCONNECTED, b"d"):
            self.setUp()
            d = self.settle(status, None, self.task())
            for _ in range(5):
                self.retries[-1].callback((status, None))
            self.retries[-1].callback((Status.RESULT, 7))
            self.assertEqual(self.successResultOf(d), 7)

    def test_noRetry(self):
        """
        If it cannot be tried again, it fails, with the worker's reason as the
        cause if there was one.
        """
        self.retry = lambda task: None  # type: ignore[method-assign]
        self.make()
        failure = self.settle(Status.TIMEOUT, "", self.task(retries=1))
        self.assertIs(failure.type, TimeoutError)
        failure = self.settle(Status.DISCONNECTED, OSError("gone"))
        self.assertIs(failure.type, WorkerError)
        self.assertIn("tests.calls.add(1, y=2)", str(failure.value))
        self.assertIsInstance(failure.value.__cause__, OSError)


class ConsumerTests(OutcomesTestCase):
    """
    Tests of calls with a consumer.
    """

    def setUp(self):
        super().setUp()
        self.consumer = Consumer()

    def test_items(self):
        """
        The consumer gets the items, in order, and the caller the consumer.
        """
        d = self.settle(Status.ITERATION, calls.count(3), None, self.consumer)
        self.assertIs(self.successResultOf(d), self.consumer)
        self.assertEqual(self.consumer.events, whole(0, 1, 2))

    def test_error(self):
        """
        If the iterator raises, the caller is told, after the items before it.
        """
        d = self.settle(Status.ITERATION, calls.brittle(2), None, self.consumer)
        self.failureResultOf(d, ValueError)
        self.assertEqual(self.consumer.events, whole(0, 1))

    def test_errorAsText(self):
        """
        Or gets the text of it, if that is what was wanted.
        """
        d = self.settle(Status.ITERATION, calls.brittle(2), None, self.consumer, False)
        self.assertIn("broke after 2", self.successResultOf(d))
        self.assertIn("broke after 2", self.stderr.getvalue())

    def test_noIterator(self):
        """
        If there is no iterator, the consumer is told that nothing will come,
        and the caller gets the value.
        """
        for status, result in ((Status.RESULT, 7), (Status.NONE, None)):
            self.consumer = Consumer()
            value = self.settle(status, result, None, self.consumer)
            self.assertEqual(value, result)
            self.assertEqual(self.consumer.events, whole())

    def test_retried(self):
        """
        A call that is tried again has its consumer still.
        """
        d = self.settle(Status.TIMEOUT, "", self.task(retries=1), self.consumer)
        self.retries[0].callback((Status.ITERATION, calls.count(1)))
        self.assertIs(self.successResultOf(d), self.consumer)
        self.assertEqual(self.consumer.events, whole(0))
