"""
A cluster worker under reactors of other kinds, each in a program of its own.
"""

import os
import sys

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue

from tests.fleets import FleetCase
from tests.hatched import TOP

PROGRAM = """
import sys
from {module} import install
install()
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from asynqueue.cluster import ClusterQueue
from tests import calls, deeds

async def main():
    queue = ClusterQueue(sys.argv[1])
    found = [await queue.call(calls.echo, k) for k in range(3)]
    found += [item async for item in await queue.call(calls.count, 3)]
    d = queue.call(deeds.spin, timeout=0.2, retries=0)
    d.addErrback(lambda failure: failure.type.__name__)
    found += [await d]
    await queue.shutdown()
    print(type(reactor).__name__, *found)

async def end():
    try:
        await main()
    finally:
        reactor.callFromThread(reactor.stop)

d = Deferred.fromCoroutine(end())
d.addErrback(lambda failure: print(failure.getTraceback()))
reactor.run()
"""


class ReactorTests(FleetCase):
    async def runs(self, kind):
        """
        Runs the program under a reactor of a kind.
        """
        path = self.path()
        os.mkdir(path)
        program = PROGRAM.format(module=f"twisted.internet.{kind}reactor")
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            ["-c", program, self.fleet.address],
            {**os.environ, "PYTHONPATH": str(TOP)},
            path,
        )
        _, *found = out.decode().split()
        self.assertEqual(found, [*"012012", "TimeoutError"], err.decode())
        self.assertEqual((err, code), (b"", 0))
        return out.decode().split()[0]

    async def test_kinds(self):
        """
        It works under those of asyncio, select() and poll(), and each program ends.
        """
        kinds = ("asyncio", "select", "poll")
        found = await gatherResults(
            [Deferred.fromCoroutine(self.runs(kind)) for kind in kinds]
        )
        expected = ["AsyncioSelectorReactor", "SelectReactor", "PollReactor"]
        self.assertEqual(found, expected)
