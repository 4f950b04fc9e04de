"""
Nodes whose process is begun anew because a call of theirs does not end.
"""

from asynqueue.errors import TimeoutError
from tests import deeds, nodework
from tests.fleets import FleetCase


class RestartTests(FleetCase):
    nodes = ({"name": "one", "nanny": True},)

    async def test_restarted(self):
        """
        The process of a call that took too long and waits in C code ends. A new one
        runs the updates, and then makes the calls that come after.
        """
        queue = await self.connect(prefetch=1, restart=True)
        ((before,),) = [r.values() for r in await queue.update(nodework.put, "here")]
        d = queue.call(nodework.sleep, 3600, timeout=0.2, retries=0)
        other = queue.call(nodework.getAfter, 0)
        await self.assertFailure(d, TimeoutError)
        pid, kept = await other
        self.assertNotEqual(pid, before)
        self.assertEqual(kept, "here")
        self.assertEqual(await queue.call(deeds.pid), pid)
