"""
Tests of L{asynqueue.clusterplaces}.
"""

import asyncio

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusterplaces import Embedded
from tests import calls


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
