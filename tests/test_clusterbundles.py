"""
Tests of L{asynqueue.clusterbundles}: which calls go together.
"""

from itertools import chain
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusterbundles import (
    DEPTH,
    LEAST,
    LENGTH,
    NAMES,
    WEIGHT,
    Bundler,
    expect,
    together,
)
from asynqueue.clusterheld import Held, NodeInfo
from asynqueue.clusternode import SHORT
from tests.linked import StepErrand

MANY = 1000


def call(number=1, name="f", asks=False, urgency=0, resource=None, size=1):
    errand: Any = StepErrand(number, asks=asks, resource=resource)
    errand.name = name
    errand.urgency = urgency
    errand.call = bytes(size)
    return Held(errand)


def node(threads=1, resources=()):
    return NodeInfo("tcp://A", "A", threads, resources, 0)


class BundlerTests(SynchronousTestCase):
    def setUp(self):
        self.bundler = Bundler()
        self.bundler.nodes = [node()]
        self.bundler.learn("f", 0.0)

    def bundles(self, *line, outstanding=MANY):
        """
        @return: The numbers of the calls of each bundle.
        """
        bundles = self.bundler.bundle(list(line), outstanding)
        return [
            [held.errand.number for held in each] for each in chain(*bundles.values())
        ]

    def sizes(self, n=MANY, outstanding=MANY, **kw):
        """
        @return: Of how many calls each bundle is, if there are so many alike.
        """
        line = [call(number, **kw) for number in range(n)]
        return [len(each) for each in self.bundles(*line, outstanding=outstanding)]

    def test_unknown(self):
        """What nothing is known of goes alone, and so does what has to be asked for."""
        self.assertEqual(set(self.sizes(name="g")), {1})
        self.assertEqual(set(self.sizes(asks=True)), {1})

    def test_length(self):
        """Calls go together that are not expected to take too long."""
        most = round(LENGTH / LEAST)
        self.assertEqual(self.sizes(n=2 * most + 1), [most, most, 1])
        self.bundler.learn("g", LENGTH / 4.5)
        self.assertEqual(self.sizes(n=9, name="g"), [4, 4, 1])
        self.bundler.learn("h", LENGTH)
        self.assertEqual(self.sizes(n=2, name="h"), [1, 1])

    def test_size(self):
        """Their calls are not too long, either."""
        self.assertEqual(self.sizes(n=9, size=SHORT // 4), [4, 4, 1])
        self.assertEqual(self.sizes(n=2, size=2 * SHORT), [1, 1])

    def test_threads(self):
        """Each thread that can make them has some, and others that wait."""
        self.bundler.nodes = [node(3), node(1, ("gpu",))]
        self.assertEqual(
            self.sizes(n=DEPTH * 4, outstanding=DEPTH * 4), [1] * DEPTH * 4
        )
        self.assertEqual(
            self.sizes(n=24, outstanding=24), [24 // (DEPTH * 4)] * DEPTH * 4
        )
        gpu = self.sizes(n=24, outstanding=24, resource="gpu")
        self.assertEqual(gpu, [24 // DEPTH] * DEPTH)
        self.assertEqual(self.sizes(n=8, outstanding=8, resource="?"), [4, 4])

    def test_alike(self):
        """Only those do that are as urgent, have the same name and need the same."""
        line = [
            call(1),
            call(2, urgency=1),
            call(3, resource="gpu"),
            call(4),
            call(5, name="g"),
            call(6, urgency=1),
            call(7, resource="gpu"),
            call(8, size=SHORT + 1),
            call(9),
        ]
        self.bundler.learn("g", 0.0)
        expected = [[1, 4, 9], [2, 6], [5], [8], [3, 7]]
        self.assertEqual(self.bundles(*line), expected)

    def test_learn(self):
        """What is expected follows what the last calls took."""
        self.bundler.learn("f", LENGTH / WEIGHT)
        self.assertEqual(max(self.sizes()), 1)
        for _ in range(20):
            self.bundler.learn("f", 0.0)
        self.assertTrue(1 < max(self.sizes()) < LENGTH / LEAST)
        for _ in range(20):
            self.bundler.learn("f", 0.0)
        self.assertEqual(max(self.sizes()), round(LENGTH / LEAST))

    @given(st.floats(0, 100), st.floats(0, 100))
    def test_expect(self, before, seconds):
        """That is between what was expected and what it took; at first it is that."""
        expected = expect(before, seconds)
        low, high = sorted((before, seconds))
        self.assertTrue(low <= expected * (1 + 1e-9) and expected <= high * (1 + 1e-9))
        self.assertEqual(expect(None, seconds), seconds)
        self.assertGreaterEqual(together(seconds), 1)

    def test_names(self):
        """Those that did not come for long are forgotten."""
        self.bundler.learn("g", 0.0)
        for n in range(NAMES - 1):
            self.bundler.learn("g", 0.0)
            self.bundler.learn(f"h{n}", 0.0)
        self.assertEqual(set(self.sizes()), {1})
        self.assertGreater(max(self.sizes(name="g")), 1)

    @given(
        st.lists(
            st.builds(
                call,
                name=st.sampled_from("fgh"),
                asks=st.booleans(),
                urgency=st.integers(0, 1),
                resource=st.sampled_from((None, "gpu")),
                size=st.sampled_from((1, SHORT // 3, SHORT)),
            )
        ),
        st.integers(0, 100),
        st.lists(st.builds(node, st.integers(1, 3), st.sampled_from(((), ("gpu",))))),
    )
    def test_each(self, line, others, nodes):
        """
        Each call is in one bundle, those alike in their order, and the most that are
        alike leave as many bundles as keep all threads busy.
        """
        self.bundler.nodes = nodes
        self.bundler.learn("g", LENGTH / 3)
        for number, held in enumerate(line):
            held.errand.number = number
        bundles = self.bundler.bundle(line, len(line) + others)
        numbers = []
        for resource, some in bundles.items():
            firsts = [each[0].errand.number for each in some]
            self.assertEqual(firsts, sorted(firsts))
            threads = [n.threads for n in nodes if resource in (None, *n.resources)]
            most = max((len(line) + others) // (DEPTH * max(sum(threads), 1)), 1)
            for each in some:
                alike = {
                    (h.errand.name, h.errand.urgency, h.errand.resource) for h in each
                }
                self.assertEqual({resource}, {kind[-1] for kind in alike})
                self.assertEqual(len(alike), 1)
                self.assertLessEqual(len(each), most)
                within = [held.errand.number for held in each]
                self.assertEqual(within, sorted(within))
                numbers += within
                if len(each) > 1:
                    self.assertNotIn(True, [held.asks for held in each])
        self.assertEqual(sorted(numbers), list(range(len(line))))
