"""
Tests of L{asynqueue.deferator.Deferator} outside of loops.
"""

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.deferator import Deferator, Prefetcherator
from asynqueue.errors import NotReadyError
from tests import calls
from tests.test_iteration import LOOPS
from tests.test_prefetcherator import Source


class DeferatorTests(SynchronousTestCase):
    """
    Tests of L{Deferator}.
    """

    def test_isIterator(self):
        """
        Iterators and generator functions are iterators, nothing else is.
        """
        obj: Any
        for obj in (
            iter([1]),
            iter({}),
            calls.count,
            calls.count(1),
            map(str, ()),
            zip((), strict=True),
            enumerate("a"),
            reversed([1]),
            Source(),
        ):
            self.assertTrue(Deferator.isIterator(obj), obj)
        for obj in (
            *("text", [], (), {}, set(), frozenset(), bytearray(), b"", range(3)),
            *(memoryview(b""), None, 3, Deferred(), calls.echo, Prefetcherator()),
        ):
            self.assertFalse(Deferator.isIterator(obj), obj)

    def test_texts(self):
        """
        It shows what it iterates over.
        """
        self.assertEqual(Deferator("<thing>", calls.echo).representation, "thing")
        self.assertIn("<thing>", repr(Deferator("<thing>", calls.echo)))
        self.assertIn("generator", repr(Deferator(calls.count(1))))

    def test_attributes(self):
        """
        What it does not have is looked up on its Deferred, unless that cannot
        be right.
        """
        dr = Deferator(calls.count(0))
        results: list[bool] = []
        dr.addCallback(results.append)
        self.assertEqual(results, [True])
        self.assertIs(dr.called, True)
        for name in ("nothing", "__len__", "__getstate__x"):
            self.assertRaises(AttributeError, getattr, dr, name)
        self.assertRaises(AttributeError, getattr, Deferator.__new__(Deferator), "d")

    def test_notReady(self):
        """
        The next item cannot be asked for before the one before it is there, and
        asking loses none.
        """
        source = Source()
        dr = Deferator(source)
        one = next(dr)
        self.assertRaises(NotReadyError, next, dr)
        self.assertRaises(NotReadyError, next, dr)
        self.failureResultOf(Deferred.fromCoroutine(dr.__anext__()), NotReadyError)
        source.asked[0].callback("a")
        source.asked[1].callback("b")
        self.assertEqual(self.successResultOf(one), "a")
        two = Deferred.fromCoroutine(dr.__anext__())
        self.assertEqual(self.successResultOf(two), "b")

    def test_itemsCanStop(self):
        """
        The Deferred of an item can stop the iteration too.
        """
        source = Source()
        dr = Deferator(source)
        d: Any = next(dr)
        d.stop()
        self.successResultOf(d)
        self.assertRaises(StopIteration, next, dr)
        self.assertEqual(source.closed, 1)

    def test_prefetcherator(self):
        """
        It iterates over what a Prefetcherator has been set up with.
        """
        pf = Prefetcherator()
        pf.setup(calls.count(3))
        for runLoop in LOOPS:
            items: list[int] = []
            self.successResultOf(runLoop(Deferator(pf), items))
            self.assertEqual(items, [0, 1, 2])
            pf.setup(calls.count(3))
        self.assertEqual(list(Deferator(Prefetcherator())), [])

    def test_tuples(self):
        """
        A callable may give tuples of an item, whether it is one, and whether
        more are left; it is not called beyond the end.
        """
        for runLoop in LOOPS:
            results = [("a", True, True), ("b", True, False)]
            calledWith: list[Any] = []
            items: list[Any] = []

            def get(*args, results=results, calledWith=calledWith, **kw):
                calledWith.append((args, kw))
                return succeed(results.pop(0))

            dr = Deferator("x", get, 1, y=2)
            self.successResultOf(runLoop(dr, items))
            self.assertEqual((items, calledWith), (["a", "b"], [((1,), {"y": 2})] * 2))
            self.assertIs(self.successResultOf(dr.d), True)

    def test_tuplesFail(self):
        """
        A callable that fails, or raises, ends the iteration with that.
        """
        for get in (lambda: fail(ValueError()), calls.boom):
            for runLoop in LOOPS:
                dr = Deferator("x", get)
                self.failureResultOf(runLoop(dr, []), ValueError)
                self.assertIs(self.successResultOf(dr.d), False)
                self.assertRaises(StopIteration, next, dr)
