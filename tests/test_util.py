"""
Small things.
"""

import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue import runner, util
from asynqueue.util import o2p, p2o

OBJECTS = st.recursive(
    st.none() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class PickleTests(SynchronousTestCase):
    @given(OBJECTS)
    def test_roundTrip(self, obj):
        """What is pickled is had again; what is empty, as whatever is wanted."""
        self.assertEqual(p2o(o2p(obj), obj), obj)
        self.assertIsInstance(o2p(obj), bytes)

    def test_empty(self):
        """An empty container is no bytes, and no bytes are the default itself."""
        default: list[Any] = []
        empty: Any
        for empty in ([], (), {}):
            self.assertEqual(o2p(empty), b"")
            self.assertIs(p2o(o2p(empty), default), default)
        self.assertIsNone(p2o(b""))
        for other in (None, 0, "", b"", set(), False):
            self.assertEqual(p2o(o2p(other), default), other)

    def test_errors(self):
        """What cannot be pickled or unpickled is told."""
        self.assertRaises((AttributeError, pickle.PicklingError), o2p, lambda: None)
        self.assertRaises(pickle.UnpicklingError, p2o, b"no pickle")


class AddressTests(SynchronousTestCase):
    def test_callRunner(self):
        """The caller of calls is the very one that workers use."""
        self.assertIs(util.CallRunner, runner.CallRunner)

    def test_stuff(self):
        """The ancestor's helpers for tests do what its tests count on."""
        self.assertEqual(util.testFunction(4), 8)
        stuff = util.TestStuff()
        self.assertEqual((stuff.divide(7, 2), stuff.add(1, 2)), (3.5, 3))
        self.assertEqual([stuff.accumulate(n) for n in (1, 2, 3)], [1, 3, 6])
        self.assertIs(stuff.setStuff(2, 3), stuff)
        self.assertEqual(list(stuff.stufferator()), ["xx"] * 3)
        self.assertEqual(stuff.blockingTask(4, 0), 8)
        self.assertEqual(pickle.loads(pickle.dumps(stuff)).x, 6)
