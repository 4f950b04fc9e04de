"""
A worker with a cluster keeps the contract, wherever that is.
"""

from twisted.trial.unittest import TestCase

from asynqueue.clusterworker import ClusterWorker
from tests.clusters import Cluster
from tests.contract import WorkerContract
from tests.contract_tools import ContractTools
from tests.support import BOUND, threads

COURIER = "asynqueue courier"


class ClusterTools(ContractTools):
    """
    What is the same with each kind of cluster.
    """

    takesTurns = False

    def abandonsAlone(self, worker):
        return True

    def makeWorker(self, **kw):
        return ClusterWorker(
            **self.where(), connectTimeout=BOUND, reconnect=BOUND, prefetch=3, **kw
        )

    def where(self):
        """
        Override me.

        @return: The keywords that tell where the cluster is.
        """
        raise NotImplementedError


class EmbeddedTools(ClusterTools):
    """
    With a cluster of its own, which is lost when the connection to it breaks.
    """

    def kill(self, worker):
        connection = worker._life._connection
        comm = connection._link._client.scheduler_comm.comm
        connection._thread.post(comm.abort)


class ThreadsTests(EmbeddedTools, WorkerContract, TestCase):
    """
    In threads of this process.
    """

    def setUp(self):
        # Those of its nodes end soon, but others would wonder about them.
        self.addCleanup(self.until, lambda: COURIER not in threads().values())

    def where(self):
        return {"nodes": 1, "processes": False}


class ProcessesTests(EmbeddedTools, TestCase):
    """
    In processes that it starts: some of the contract, because each takes a second.
    """

    def where(self):
        return {"nodes": 1}

    test_result = WorkerContract.test_result
    test_iteratorStopped = WorkerContract.test_iteratorStopped
    test_stop = WorkerContract.test_stop
    test_restart = WorkerContract.test_restart
    test_cancelRunningInPlace = WorkerContract.test_cancelRunningInPlace


class ElsewhereTests(ClusterTools, WorkerContract, TestCase):
    """
    Of others, who start it and may end it.
    """

    def setUp(self):
        self.cluster = Cluster(self.mktemp())
        self.addCleanup(self.cluster.stop)
        return self.cluster.start(1)

    def where(self):
        return {"address": self.cluster.address}

    def kill(self, worker):
        d = self.cluster.killScheduler()
        d.addCallback(lambda _: self.cluster.start(1))
        # It is waited for when the test is over, if not before.
        self.addCleanup(lambda: d)
