"""
Tests of L{asynqueue.clusterfigures} and L{asynqueue.offers}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusterbundles import LENGTH
from asynqueue.clusterfigures import MOST_TOGETHER, ClusterFigures
from asynqueue.clusterheld import NodeInfo
from asynqueue.offers import Offers, aboutOffers
from tests import calls
from tests.memory import makeTask


def node(name="A", threads=1, resources=(), memory=0):
    return NodeInfo(f"tcp://{name}", name, threads, resources, memory)


class OffersTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.withdrawn: list[str] = []
        self.offers = Offers(30.0, self.withdrawn.append, self.clock)

    def test_current(self):
        """What nodes offer is on offer, in order."""
        self.offers.update(["b", "a", "b"])
        self.assertEqual(self.offers.current, ["a", "b"])

    def test_patience(self):
        """What no node offers any more is as if it were for a while."""
        self.offers.update(["a", "b"])
        self.offers.update(["a"])
        self.clock.advance(29)
        self.offers.update(["a"])
        self.assertEqual((self.offers.current, self.withdrawn), (["a", "b"], []))
        self.clock.advance(1)
        self.assertEqual((self.offers.current, self.withdrawn), (["a"], ["b"]))

    def test_returns(self):
        """It stays if some node offers it again in that time, and begins anew."""
        self.offers.update(["a"])
        self.offers.update([])
        self.clock.advance(29)
        self.offers.update(["a"])
        self.clock.advance(60)
        self.assertEqual(self.offers.current, ["a"])
        self.offers.update([])
        self.clock.advance(29)
        self.assertEqual(self.offers.current, ["a"])
        self.clock.advance(1)
        self.assertEqual(self.withdrawn, ["a"])

    def test_clear(self):
        """Nothing is left when it forgets all."""
        self.offers.update(["a", "b"])
        self.offers.update(["a"])
        self.offers.clear()
        self.assertEqual((self.offers.current, self.clock.calls), ([], []))

    def test_about(self):
        """What is on offer is told, and what can be done."""
        text = aboutOffers("gpu", "the scheduler", ["cpu", "disk"])
        for part in ("'gpu'", "the scheduler", "'cpu', 'disk'", "--resources"):
            self.assertIn(part, text)
        self.assertIn("no series at all", aboutOffers("gpu", "it", []))


class FiguresTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.told = 0
        self.figures = self.make(["own"], 1)
        self.figures.setListener(self.tell)

    def make(self, series, prefetch, callStats=True):
        return ClusterFigures(series, prefetch, 30.0, callStats, self.clock)

    def tell(self):
        self.told += 1

    def test_arguments(self):
        """What makes no sense is refused."""
        self.assertRaises(TypeError, self.make, "series", 1)
        self.assertRaises(ValueError, self.make, [], -1)

    def test_prefetch(self):
        """So many tasks are taken as there are threads, and some more for each."""
        self.assertEqual(self.figures.prefetch, 1)
        self.figures.nodesChanged([node(threads=2), node("B", 3)])
        self.assertEqual(self.figures.prefetch, 9)
        self.assertEqual(self.make([], 0).prefetch, 0)

    def test_tells(self):
        """Listeners are told of more or fewer threads, and of nothing else."""
        self.figures.nodesChanged([node(threads=2)])
        self.figures.nodesChanged([node(threads=2, memory=7)])
        self.assertEqual(self.told, 1)
        self.figures.nodesChanged([node()])
        self.assertEqual(self.told, 2)

    def take(self, seconds, n=1, retries=1):
        """
        Has calls be over that took so long.
        """
        for _ in range(n):
            task = makeTask(calls.echo)
            task.retries = retries
            self.figures.record(task, seconds, seconds, "tcp://A")

    def test_short(self):
        """More are taken if the calls of late were short, and fewer if one is long."""
        for seconds, expected in ((0.0, MOST_TOGETHER), (1.0, 1)):
            self.take(seconds)
            self.assertEqual(self.figures.prefetch, 2 * expected - 1)
        self.assertEqual(self.told, 2)
        self.take(LENGTH / 5, 100)
        self.assertEqual(self.figures.prefetch, 7)
        self.assertEqual(self.told, 4)
        self.figures.nodesChanged([node(threads=3)])
        self.assertEqual(self.figures.prefetch, 23)

    def test_shortAlone(self):
        """But not if those go alone, nor if nothing is to wait at the cluster."""
        self.take(0.0, 100, retries=0)
        self.assertEqual((self.figures.prefetch, self.told), (1, 0))
        self.figures = self.make([], 0)
        self.take(0.0, 100)
        self.assertEqual(self.figures.prefetch, 0)

    def test_lost(self):
        """A call that no node has made to its end tells nothing."""
        self.figures.record(makeTask(calls.echo), 2.0, 0.0)
        self.assertEqual((self.figures.prefetch, self.told), (1, 0))

    @given(st.lists(st.floats(0, 0.1)))
    def test_room(self, times):
        """Whatever they take, not fewer are taken than without, nor without bound."""
        figures = self.make([], 1)
        told: list[int] = []
        figures.setListener(lambda: told.append(figures.prefetch))
        for seconds in times:
            before = figures.prefetch
            task = makeTask(calls.echo)
            task.retries = 1
            figures.record(task, seconds, seconds, "tcp://A")
            self.assertTrue(1 <= figures.prefetch < 2 * MOST_TOGETHER)
            self.assertEqual(
                told, [] if figures.prefetch == before else [figures.prefetch]
            )
            told.clear()

    def test_series(self):
        """It is qualified for what is on offer, beside its own, for a while after."""
        self.figures.nodesChanged([node(resources=("gpu", "own"))])
        self.assertEqual(self.figures.iQualified, ["own", "gpu"])
        self.assertEqual(self.figures.offered, ["gpu", "own"])
        self.assertEqual(self.told, 1)
        self.figures.nodesChanged([node()])
        self.assertEqual((self.figures.iQualified, self.told), (["own", "gpu"], 1))
        self.clock.advance(30)
        self.assertEqual(self.figures.offered, [])
        self.assertEqual(self.figures.iQualified, ["own"])
        self.assertEqual(self.told, 3)

    def test_othersSeries(self):
        """What others have added to its series stays."""
        self.figures.nodesChanged([node(resources=("gpu",))])
        self.figures.iQualified.append("added")
        self.figures.nodesChanged([])
        self.clock.advance(30)
        self.assertEqual(self.figures.iQualified, ["own", "added"])

    def test_memory(self):
        """The memory of all nodes is added up."""
        self.assertIsNone(self.figures.memUsage())
        self.figures.nodesChanged([node(memory=7), node("B", memory=5)])
        self.assertEqual(self.figures.memUsage(), 12)

    def test_stats(self):
        """Call times are kept if that was asked for."""
        for callStats, expected in ((True, [(2.0, 1.0)]), (False, [])):
            figures = self.make([], 1, callStats)
            figures.record(makeTask(calls.echo), 2.0, 1.0)
            self.assertEqual(self.successResultOf(figures.stats()), expected)
