"""
Tests of L{asynqueue.cluster}, with a connection that a test steps.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from asynqueue import clusterworker
from asynqueue.cluster import ClusterQueue
from asynqueue.clusterheld import NodeInfo
from asynqueue.errors import WorkerError
from tests import calls
from tests.fakes import Reactor
from tests.lives import StepConnection
from tests.memory import MemoryWorker

GPU = NodeInfo("tcp://A", "A", 1, ("gpu",), 0)


class QueueTests(SynchronousTestCase):
    def setUp(self):
        self.connection = StepConnection()
        self.patch(clusterworker, "Connection", lambda *args: self.connection)
        self.reactor = Reactor()
        self.queue: Any = ClusterQueue("tcp://127.0.0.1:8786", reactor=self.reactor)
        self.addCleanup(self.queue.worker._offers.clear)
        self.connection.opened.callback(None)

    def offer(self, *nodes):
        self.connection.listener.nodesChanged(list(nodes))

    def advance(self, seconds=0.0):
        self.reactor.advance(seconds)

    def assertRefused(self, d):
        self.advance()
        error = self.failureResultOf(d, WorkerError).value
        self.assertIn("offers the series 'tpu'", str(error))

    def test_nodes(self):
        """What is known of the cluster is the worker's."""
        self.offer(GPU)
        self.assertEqual(self.queue.nodes, [GPU])
        self.assertEqual(self.successResultOf(self.queue.stats()), [])

    def test_call(self):
        """A call is made there."""
        self.offer(GPU)
        d = self.queue.call(calls.add, 1, 2)
        self.advance()
        self.connection.answer(self.connection.sent[0])
        self.advance()
        self.assertEqual(self.successResultOf(d), 3)

    def test_refused(self):
        """A call in a series that nobody is qualified for fails at once."""
        self.offer(GPU)
        self.assertRefused(self.queue.call(calls.echo, series="tpu"))
        self.assertNoResult(self.queue.call(calls.echo, series="gpu"))

    def test_waiting(self):
        """One that was there before the cluster was known fails when it is."""
        d = self.queue.call(calls.echo, series="tpu")
        self.advance()
        self.assertNoResult(d)
        self.offer(GPU)
        self.assertRefused(d)

    def test_withdrawn(self):
        """One that waits fails when its series is not on offer any more."""
        tpu = GPU._replace(resources=("tpu",))
        self.offer(tpu)
        # Two are sent, as there is one thread.
        ds = [self.queue.call(calls.echo, n, series="tpu") for n in range(4)]
        self.advance()
        self.assertEqual(len(self.connection.sent), 2)
        self.offer(GPU)
        self.advance(29)
        for d in ds:
            self.assertNoResult(d)
        self.advance(1)
        for d in ds:
            self.assertRefused(d)

    def test_offeredAgain(self):
        """A series that is on offer again is not refused any more."""
        self.offer(GPU)
        self.assertRefused(self.queue.call(calls.echo, series="tpu"))
        self.offer(GPU._replace(resources=("tpu",)))
        d = self.queue.call(calls.echo, 5, series="tpu")
        self.advance()
        self.connection.answer(self.connection.sent[0])
        self.advance()
        self.assertEqual(self.successResultOf(d), 5)

    def test_others(self):
        """A series that another worker is qualified for is not refused."""
        self.offer(GPU)
        worker = MemoryWorker(["tpu"], instant=True)
        self.queue.attachWorker(worker)
        d = self.queue.call(calls.echo, 5, series="tpu")
        self.advance()
        self.assertEqual(self.successResultOf(d), 5)
