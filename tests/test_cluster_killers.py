"""
Calls that kill the node that makes them.
"""

import os

from asynqueue.errors import WorkerDied
from tests import calls, deeds
from tests.deaths_case import DeathsCase, outcome, outcomes

DEATHS = 6
"""
How often three calls kill a node that are each tried twice.
"""


class KillersTests(DeathsCase):
    async def test_amongOthers(self):
        """They die, and calls that were near them do not."""
        await self.started(3, nanny=True)
        queue = await self.queue()
        # Each time that a node is killed may cost one near it, or behind it, a try.
        good = [queue.call(calls.echo, i, retries=DEATHS) for i in range(50)]
        killers = [queue.call(calls.fall, self.path("fall")) for _ in range(2)]
        killers += [queue.call(deeds.exitWith, 3)]
        good += [queue.call(calls.echo, i, retries=DEATHS) for i in range(50, 100)]
        self.assertEqual(await outcomes(good), list(range(100)))
        for error in await outcomes(killers):
            self.assertIsInstance(error, WorkerDied)
        self.assertEqual(len(self.begun(self.path("fall"))), 4)

    async def test_often(self):
        """One that may be repeated more often than dask would is, and no more often."""
        await self.started(3, nanny=True)
        queue = await self.queue()
        path = self.path("fall")
        error = await outcome(queue.call(calls.fall, path, retries=5))
        self.assertIsInstance(error, WorkerDied)
        self.assertIn("6 times", str(error))
        self.assertEqual(len(self.begun(path)), 6)
        self.assertIsInstance(await outcome(queue.call(os.getpid)), int)
