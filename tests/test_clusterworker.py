"""
Tests of L{asynqueue.clusterworker}, with connections that a test steps.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from asynqueue.clusterheld import NodeInfo
from asynqueue.clusterworker import ClusterState, ClusterWorker
from asynqueue.errors import StartFailed, WorkerDied, WorkerError
from asynqueue.interfaces import IConcurrent, IElastic, IRestartable, IUpdatable
from asynqueue.messages import Status
from tests import calls
from tests.fakes import Reactor, makeTask
from tests.lives import StepConnection

GPU = NodeInfo("tcp://A", "A", 1, ("gpu",), 0)


class WorkerCase(SynchronousTestCase):
    """
    What the tests below use.
    """

    def make(self, **kw):
        """
        Makes a worker, and a list of the connections that it has made.
        """
        self.reactor = Reactor()
        address = "tcp://127.0.0.1:8786"
        self.worker: Any = ClusterWorker(address, reactor=self.reactor, **kw)
        self.connections: list[Any] = []
        self.timeouts: list[float] = []
        self.resigned = 0

        def connect():
            connection = StepConnection()
            opening = connection.open

            def opened(listener, timeout):
                self.timeouts.append(timeout)
                return opening(listener, timeout)

            self.patch(connection, "open", opened)
            self.connections.append(connection)
            return connection

        self.patch(self.worker, "_newConnection", connect)
        self.worker.setResignator(self.resign)
        return self.worker

    def resign(self):
        self.resigned += 1

    def open(self, **kw):
        """
        Makes a worker that is connected.
        """
        self.make(**kw).start()
        self.connections[-1].opened.callback(None)
        return self.worker

    def lose(self):
        connection = self.connections[-1]
        connection.listener.lost("gone")

    def give(self, f, *args, series=None):
        """
        @return: A task that the worker was given, and the Deferred of when it is ready
            for another.
        """
        task = makeTask(f, *args)
        task.series = series
        return task, self.worker.run(task)

    def error(self, task):
        """
        @return: What a task has failed with.
        """
        status, error = self.successResultOf(task.d)
        self.assertEqual(status, Status.ERROR)
        return error


class StartTests(WorkerCase):
    def test_interfaces(self):
        """It provides what it says."""
        worker = self.make()
        for interface in (IConcurrent, IElastic, IRestartable, IUpdatable):
            verifyClass(interface, ClusterWorker)
            verifyObject(interface, worker)

    def test_arguments(self):
        """What makes no sense is refused."""
        for kw in ({"nodes": 0}, {"threads": 0}, {"prefetch": -1}, {"pickler": "x"}):
            self.assertRaises(ValueError, self.make, **kw)
        self.assertRaises(TypeError, self.make, series="gpu")
        self.assertRaises(ValueError, ClusterWorker, "tcp://10.0.0.1:8786")

    def test_twice(self):
        """Starting it twice makes one connection, which both wait for."""
        worker = self.make(connectTimeout=7.0)
        starts = [worker.start(), worker.start()]
        self.assertEqual((len(self.connections), self.timeouts), (1, [7.0]))
        self.connections[0].opened.callback(None)
        for d in [*starts, worker.start()]:
            self.successResultOf(d)
        self.assertIn("UP, the scheduler at tcp://127.0.0.1:8786", repr(worker))

    def test_byTask(self):
        """It starts when it is given a task, or an update."""
        self.make()
        task, ready = self.give(calls.echo, 1)
        self.connections[0].opened.callback(None)
        self.connections[0].answer(self.connections[0].sent[0])
        self.assertEqual(self.successResultOf(task.d), (Status.RESULT, 1))
        self.successResultOf(ready)
        self.make().update(makeTask(calls.echo), True)
        self.assertEqual(len(self.connections), 1)

    def test_fails(self):
        """What it was given fails if it cannot start; then it may be started again."""
        worker = self.make()
        task, _ = self.give(calls.echo)
        d = worker.start()
        self.connections[0].opened.errback(StartFailed("no"))
        self.failureResultOf(d, StartFailed)
        self.assertIsInstance(self.error(task), StartFailed)
        self.assertTrue(self.connections[0].isClosed)
        self.assertIs(worker.state, ClusterState.DOWN)
        d = worker.start()
        self.connections[1].opened.callback(None)
        self.successResultOf(d)


class LostTests(WorkerCase):
    def test_resigns(self):
        """It resigns with what it had, and can begin anew as long as it was told."""
        worker = self.open(reconnect=60.0)
        (task, _), (other, _) = self.give(calls.echo), self.give(calls.echo, 1)
        taken: list[Any] = []
        worker.setResignator(lambda: taken.extend(worker.crash()))
        self.lose()
        self.assertEqual((taken, self.resigned), ([task, other], 1))
        self.assertNoResult(task.d)
        self.assertIsInstance(worker.death, WorkerDied)
        self.assertTrue(worker.mayBeginAnew)
        self.assertIs(worker.state, ClusterState.DOWN)
        self.assertTrue(self.connections[0].isClosed)
        worker.start()
        self.assertEqual(self.timeouts, [10.0, 60.0])

    def test_notTaken(self):
        """What nobody takes back fails."""
        self.open()
        task, _ = self.give(calls.echo)
        self.lose()
        self.assertIsInstance(self.error(task), WorkerDied)

    def test_forGood(self):
        """It makes no further connection if it was told so."""
        worker = self.open(reconnect=0.0)
        self.lose()
        self.assertFalse(worker.mayBeginAnew)

    def test_notAgain(self):
        """Nor if none could be made."""
        worker = self.open()
        self.lose()
        d = worker.start()
        self.connections[1].opened.errback(StartFailed("no"))
        self.failureResultOf(d, StartFailed)
        self.assertFalse(worker.mayBeginAnew)

    def test_nodes(self):
        """It has no nodes then."""
        worker = self.open()
        self.connections[0].listener.nodesChanged([GPU])
        self.assertEqual(worker.nodes, [GPU])
        self.lose()
        self.assertEqual(worker.nodes, [])
        worker._offers.clear()

    def test_restartByResignator(self):
        """What is given in the middle of a resignation goes to the next connection."""
        worker = self.open()
        task, _ = self.give(calls.echo)

        def again():
            (given,) = worker.crash()
            worker.start()
            worker.run(given)

        worker.setResignator(again)
        self.lose()
        self.assertNoResult(task.d)
        self.connections[1].opened.callback(None)
        self.connections[1].answer(self.connections[1].sent[0])
        self.successResultOf(task.d)


class StopTests(WorkerCase):
    def test_unused(self):
        """It can be stopped, and is not started then."""
        worker = self.make()
        self.successResultOf(worker.stop())
        self.assertIs(worker.state, ClusterState.STOPPED)
        self.failureResultOf(worker.start(), WorkerError)
        task, ready = self.give(calls.echo)
        self.assertIsInstance(self.error(task), WorkerError)
        self.successResultOf(ready)
        update = makeTask(calls.echo)
        worker.update(update, True)
        self.assertIsInstance(self.error(update), WorkerError)
        self.assertEqual(self.connections, [])

    def test_waits(self):
        """It waits for what it has, and takes no more."""
        worker = self.open()
        task, _ = self.give(calls.echo)
        stops = [worker.stop(), worker.stop()]
        self.assertIs(worker.state, ClusterState.STOPPING)
        late, update = self.give(calls.echo)[0], makeTask(calls.echo)
        worker.update(update, True)
        self.assertIsInstance(self.error(late), WorkerError)
        self.assertIsInstance(self.error(update), WorkerError)
        self.connections[0].answer(self.connections[0].sent[0])
        self.successResultOf(task.d)
        for d in stops:
            self.successResultOf(d)
        self.assertEqual(self.resigned, 1)

    def test_opening(self):
        """It can be stopped while it makes a connection."""
        worker = self.make()
        start, stop = worker.start(), worker.stop()
        self.successResultOf(stop)
        self.assertTrue(self.connections[0].isClosed)
        # As the thread has it when it ends.
        self.connections[0].opened.errback(StartFailed("stopped"))
        self.failureResultOf(start, StartFailed)
        self.assertIs(worker.state, ClusterState.STOPPED)

    def test_openingWithTask(self):
        """Then it waits for what it has."""
        worker = self.make()
        task, _ = self.give(calls.echo)
        stop = worker.stop()
        self.assertNoResult(stop)
        self.connections[0].opened.callback(None)
        self.connections[0].answer(self.connections[0].sent[0])
        self.successResultOf(task.d)
        self.successResultOf(stop)

    def test_lostMeanwhile(self):
        """What it has may be lost meanwhile."""
        worker = self.open()
        task, _ = self.give(calls.echo)
        stop = worker.stop()
        self.lose()
        self.assertIsInstance(self.error(task), WorkerDied)
        self.successResultOf(stop)
        self.assertIs(worker.state, ClusterState.STOPPED)

    def test_waitsForClosing(self):
        """It waits for what is left of a connection that was lost."""
        worker = self.open()
        closing: Deferred[None] = Deferred()
        self.patch(self.connections[0], "close", lambda: closing)
        self.lose()
        stop = worker.stop()
        self.assertNoResult(stop)
        closing.callback(None)
        self.successResultOf(stop)


class SeriesTests(WorkerCase):
    def offer(self, *nodes):
        self.connections[-1].listener.nodesChanged(list(nodes))

    def test_offered(self):
        """A call in a series goes to nodes that offer it, if it is no general one."""
        self.open()
        self.addCleanup(self.worker._offers.clear)
        self.offer(GPU)
        for series in ("gpu", "cluster", None):
            self.give(calls.echo, series=series)
        resources = [errand.resource for errand in self.connections[0].sent]
        self.assertEqual(resources, ["gpu", None, None])

    def test_refused(self):
        """One that no node offers fails, with what is on offer."""
        self.open(series=["tpu"])
        self.addCleanup(self.worker._offers.clear)
        self.offer(GPU)
        task, _ = self.give(calls.echo, series="tpu")
        self.assertIn("'gpu'", str(self.error(task)))

    def test_unknownYet(self):
        """Before the nodes are known it waits."""
        self.open(series=["tpu"])
        task, _ = self.give(calls.echo, series="tpu")
        self.assertNoResult(task.d)

    def test_withdrawn(self):
        """It fails when its series is not on offer any more."""
        self.open(patience=30.0)
        self.offer(GPU)
        task, _ = self.give(calls.echo, series="gpu")
        self.offer(GPU._replace(resources=()))
        self.reactor.advance(29)
        self.assertNoResult(task.d)
        self.reactor.advance(1)
        self.assertIsInstance(self.error(task), WorkerError)
        self.assertEqual(self.connections[0].cancelled, [1])

    def test_cancel(self):
        """A task that it does not have it cannot cancel."""
        self.make().cancel(makeTask(calls.echo))
        self.assertEqual((self.worker.tasks, self.worker.crash()), ([], []))
