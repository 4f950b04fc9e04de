"""
Tests of L{asynqueue.clusterplaces}.
"""

import asyncio
import logging

from distributed.comm import CommClosedError
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue import clusterplaces
from asynqueue.clusterplaces import Elsewhere, Embedded
from asynqueue.clusterworker import ClusterWorker
from asynqueue.errors import StartFailed
from tests import calls
from tests.support import processes


class LogTests(SynchronousTestCase):
    def test_closed(self):
        """That a cluster is closed is no error of its nodes; what else is wrong is."""
        logger, told = logging.getLogger("distributed.worker"), []
        listener = logging.Handler()
        self.patch(listener, "emit", told.append)
        logger.addHandler(listener)
        self.addCleanup(logger.removeHandler, listener)
        self.patch(logger, "propagate", False)
        for error in (CommClosedError(), ValueError("bad")):
            try:
                raise error
            except Exception:
                logger.exception("heartbeat")
        self.assertEqual([record.exc_info[0] for record in told], [ValueError])


class ElsewhereTests(SynchronousTestCase):
    """
    Tests of a scheduler that takes a connection and closes it at once.
    """

    def open(self, closed):
        """
        @param closed: How often it does.
        @return: What is opened in the end.
        """
        left = [closed]

        async def newClient(address, security, timeout):
            if left[0]:
                left[0] -= 1
                raise CommClosedError(address)
            return address

        self.patch(clusterplaces, "newClient", newClient)
        self.patch(clusterplaces, "PAUSE", 0)
        return asyncio.run(Elsewhere("tcp://127.0.0.1:1", None).open(5))

    def test_again(self):
        """It may have been about to go, so it is tried again."""
        for closed in (0, 1, 3):
            self.assertEqual(self.open(closed), "tcp://127.0.0.1:1")

    def test_closed(self):
        """But not for ever."""
        self.patch(clusterplaces, "CHANGING", 0)
        self.assertRaises(CommClosedError, self.open, 1)


class EmbeddedTests(SynchronousTestCase):
    def test_two(self):
        """Each client has a cluster of its own, which is ended with it alone."""

        async def add():
            place = Embedded(1, 1, False, None)
            one, other = await place.open(5), await place.open(5)
            await one.close()
            await place.close(one)
            try:
                return await other.submit(calls.add, 1, 2)
            finally:
                await other.close()
                await place.close(other)

        self.assertEqual(asyncio.run(add()), 3)


class StopTests(TestCase):
    async def test_starting(self):
        """No process is left of a cluster that is stopped while it is started."""
        before = processes()
        for delay in (0.0, 0.1):
            worker = ClusterWorker(nodes=1)
            start = worker.start()
            await deferLater(reactor, delay)
            await worker.stop()
            await self.assertFailure(start, StartFailed)
            self.assertEqual(processes(), before)
