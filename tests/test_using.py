"""
Tests of L{asynqueue.calls}, and that the signatures are those of the methods.
"""

import inspect

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.base import TaskQueue
from asynqueue.maps import Mapper
from asynqueue.signatures import CallOptions, UpdateOptions, signed
from tests import calls
from tests.memory import MemoryWorker, SteppedQueue

RESULT = {"consumer", "raw", "returnFailure"}
"""
The options that change what comes of a call, or in which form.
"""


def late(timeout, niceness=0, *, key=None):
    return timeout, niceness, key


def keywords(f):
    """
    @return: The names of a function's own keywords.
    """
    parameters = inspect.signature(f).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


class UsingTests(SynchronousTestCase):
    """
    Tests of C{using}.
    """

    def setUp(self):
        self.worker = MemoryWorker(["x"])
        self.queue = SteppedQueue(self.worker)

    def test_options(self):
        """The options are the call's, each time."""
        some = self.queue.using(series="x", niceness=3, timeout=9, retries=4)
        for number in range(2):
            d = some.call(calls.echo, number)
            task = self.worker.finish()
            self.assertEqual(
                (task.series, task.niceness, task.timeout, task.retries), ("x", 3, 9, 4)
            )
            self.assertEqual(self.successResultOf(d), number)
        self.assertIn("niceness", repr(some))

    def test_keywords(self):
        """The keywords are the callable's, also those named like options."""
        some = self.queue.using(timeout=9)
        d = some.call(late, timeout=2, niceness=3, key=4)
        self.assertEqual(self.worker.inHand.timeout, 9)
        self.assertEqual(self.worker.inHand.niceness, 0)
        self.worker.finish()
        self.assertEqual(self.successResultOf(d), (2, 3, 4))
        d = some.call(late, 1, key=2)
        self.assertEqual(self.worker.inHand.callTuple, (late, (1,), {"key": 2}))
        self.worker.finish()
        self.successResultOf(d)

    def test_order(self):
        """Calls made so go by their urgency like others."""
        for number in range(2):
            self.queue.call(calls.echo, number)
        self.queue.using(doNext=True).call(calls.echo, 2)
        for _ in range(3):
            self.worker.finish()
        self.assertEqual(self.worker.begun, [(0,), (2,), (1,)])

    def test_mistakes(self):
        """What is wrong is told when the call is made, or before."""
        using: object = self.queue.using
        self.assertRaises(TypeError, using, nicenes=5)
        self.assertRaises(TypeError, self.queue.using(niceness=5).call, 3)
        self.assertRaises(ValueError, self.queue.using(niceness=50).call, late, 1)


class SignaturesTests(SynchronousTestCase):
    """
    Tests of L{asynqueue.signatures}.
    """

    def test_same(self):
        """They have the options that the methods have."""
        options = set(CallOptions.__annotations__)
        self.assertEqual(keywords(TaskQueue.call), options | RESULT)
        self.assertEqual(keywords(TaskQueue.using), options)
        updates = set(UpdateOptions.__annotations__)
        self.assertEqual(keywords(TaskQueue.update), updates | RESULT - {"consumer"})

    def test_signed(self):
        """A function stays as it is when it gets a signature."""
        self.assertIs(signed(late)(keywords), keywords)
        self.assertIn("niceness", str(inspect.signature(TaskQueue.call)))
        self.assertIn("limit", str(inspect.signature(Mapper.map)))
