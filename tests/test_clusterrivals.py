"""
A cluster among the contenders, with asynqueue and without it.
"""

from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import TestCase

from asynqueue import chores
from asynqueue.benchmark import choose
from asynqueue.clusterrivals import Dask
from asynqueue.contenders import AHEAD, Cluster
from asynqueue.tournament import TITLES, USUAL


class RealTests(TestCase):
    """
    With nodes in processes, as they are measured.
    """

    @inlineCallbacks
    def test_cluster(self):
        """Calls are made, items are read, and as many are outstanding as have to be."""
        ours = Cluster(2, "spawn")
        ours.start()
        self.addCleanup(ours.stop)
        self.assertEqual((yield ours.call(chores.echo, 5)), 5)
        self.assertEqual((yield ours.read(chores.count, 20)), 20)
        self.assertGreaterEqual(ours._queue.worker.prefetch, AHEAD - 1)

    @inlineCallbacks
    def test_dask(self):
        """Calls are made, those too that come before the cluster is there."""
        rival = Dask(1, "spawn")
        rival.start()
        self.addCleanup(rival.stop)
        calls = [rival.call(chores.echo, i) for i in range(3)]
        for i, d in enumerate(calls):
            self.assertEqual((yield d), i)
        self.assertEqual((yield rival.call(chores.echo, 5)), 5)


class ChoiceTests(TestCase):
    def test_onlyByName(self):
        """Neither takes part unless it is named."""
        usual = choose("contender", None, USUAL)
        self.assertEqual(set(TITLES) - set(usual), {"cluster", "dask"})
        self.assertEqual(choose("contender", ["dask"], USUAL), ["dask"])
