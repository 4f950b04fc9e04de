"""
Tests of L{asynqueue.clusterplaces}.
"""

import asyncio
import logging

from distributed.comm import CommClosedError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusterplaces import Embedded
from tests import calls


class LogTests(SynchronousTestCase):
    def test_closed(self):
        """That a cluster is closed is no error of its nodes; what else is wrong is."""
        logger, told = logging.getLogger("distributed.worker"), []
        listener = logging.Handler()
        listener.emit = told.append
        logger.addHandler(listener)
        self.addCleanup(logger.removeHandler, listener)
        self.patch(logger, "propagate", False)
        for error in (CommClosedError(), ValueError("bad")):
            try:
                raise error
            except Exception:
                logger.exception("heartbeat")
        self.assertEqual([record.exc_info[0] for record in told], [ValueError])


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
