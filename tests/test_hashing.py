"""
Tests of L{asynqueue.hashing}.
"""

import itertools
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.hashing import hashIt
from tests import calls

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda x: st.lists(x) | st.tuples(x, x) | st.dictionaries(st.text(), x),
    max_leaves=8,
)


class HashItTests(SynchronousTestCase):
    """
    Tests of L{hashIt}.
    """

    def test_order(self):
        """
        The order of items counts, on every level: the ancestor's hash was the same
        for all of these.
        """
        for objects in (
            [[1, 2], [2, 1], [0, 3], [3, 0]],
            [[1, [2, 3]], [[1, 2], 3], [1, [3, 2]]],
            [{"a": [1, 2]}, {"a": [2, 1]}, {"b": [1, 2]}],
        ):
            self.assertEqual(len({hashIt(x) for x in objects}), len(objects))
        self.assertNotEqual(hashIt(1, 2), hashIt(2, 1))

    def test_kinds(self):
        """
        Things that are alike but not the same have different ones.
        """
        objects = [
            *(None, False, True, 0, 1, -1, -2, 1.0, -1.0, -2.0, "", b"", "1"),
            *((), [], {}, set(), frozenset(), (1,), [1], {1}, {1: 1}, [[1]]),
            *(2**61 - 1, -sys.maxsize, hashIt, int, calls),
        ]
        for a, b in itertools.combinations(objects, 2):
            self.assertNotEqual(hashIt(a), hashIt(b), f"{a!r} and {b!r}")

    def test_unhashable(self):
        """
        What cannot be hashed has one by what it holds; what cannot be pickled
        either has one for itself.
        """
        self.assertEqual(hashIt(bytearray(b"x")), hashIt(bytearray(b"x")))
        self.assertNotEqual(hashIt(bytearray(b"x")), hashIt(bytearray(b"y")))

        class Neither:
            __hash__ = None  # type: ignore[assignment]
            lock = None

            def __reduce__(self):
                raise TypeError

        a, b = Neither(), Neither()
        self.assertEqual(hashIt(a), hashIt(a))
        self.assertNotEqual(hashIt(a), hashIt(b))

    @given(values, values)
    @settings(deadline=None)
    def test_equality(self, a, b):
        """
        A copy has the same, whatever order its keys were set in; what shows
        differently has another.
        """
        self.assertEqual(hashIt(a), hashIt(copyOf(a)))
        if repr(sortedOf(a)) != repr(sortedOf(b)):
            self.assertNotEqual(hashIt(a), hashIt(b))


def copyOf(x):
    """
    @return: The same again, its dicts filled the other way round.
    """
    if isinstance(x, dict):
        return {key: copyOf(x[key]) for key in reversed(x)}
    return type(x)(map(copyOf, x)) if isinstance(x, (list, tuple)) else x


def sortedOf(x):
    """
    @return: The same again, its dicts in the order of their keys.
    """
    if isinstance(x, dict):
        return {key: sortedOf(x[key]) for key in sorted(x)}
    return type(x)(map(sortedOf, x)) if isinstance(x, (list, tuple)) else x
