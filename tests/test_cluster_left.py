"""
What a queue leaves on a cluster that goes on: nothing.
"""

import os
import sys

from twisted.internet.task import deferLater

from asynqueue.errors import QueueRunError, WorkerError
from tests import calls
from tests.deaths_case import DeathsCase, outcome, reactor, until
from tests.hatched import TOP
from tests.probing import left
from tests.started import LOOK, Program
from tests.support import BOUND
from tests.test_clusters import withClient

USER = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from asynqueue.cluster import ClusterQueue
from tests.test_cluster_left import use

async def main():
    queue = ClusterQueue(sys.argv[1])
    deferator = await use(queue, sys.argv[2])
    print("in use", flush=True)

Deferred.fromCoroutine(main()).addErrback(print)
reactor.run()
"""
"""
A program that has a queue.
"""

CLOSED = "closed"
"""
The file in which the iterator notes that it is closed.
"""

CALLS = ("one", "other", "third")
"""
The calls that it makes and that do not end. One of them has to wait.
"""


async def use(queue, path):
    """
    Has a queue make calls, read an iterator and run an update.

    @return: The iterator, and the Deferreds of the calls.
    """
    await queue.update(calls.echo, 1)
    deferator = await queue.call(calls.tidy, os.path.join(path, CLOSED))
    await deferator.__anext__()
    ds = [
        queue.call(calls.stand, os.path.join(path, name), retries=retries)
        for retries, name in enumerate(CALLS)
    ]
    return deferator, ds


async def pids(client):
    """
    @return: The processes of the nodes, by address.
    """
    return await client.run(os.getpid)


class LeftTests(DeathsCase):
    async def assertLeft(self, text="", n=0):
        """
        Asserts that soon the cluster has so many things of a queue, of all those with a
        text.
        """
        deadline = reactor.seconds() + BOUND
        while True:
            found = await outcome(withClient(self.cluster.address, left))
            # Whoever looks may be refused while the cluster has much to do.
            isSeen = not isinstance(found, Exception)
            if isSeen and len([what for what in found if text in what]) == n:
                return
            self.assertLess(reactor.seconds(), deadline, found)
            await deferLater(reactor, LOOK)

    def allBegun(self):
        return [name for name in CALLS if self.begun(self.path(name))]

    async def test_killed(self):
        """Nothing is left when the program was killed."""
        await self.started(2)
        program = Program("program", self.directory, reactor)
        self.addCleanup(program.hasEnded)
        self.addCleanup(program.kill)
        args = [sys.executable, "-c", USER, self.cluster.address, self.path("")]
        env = {**os.environ, "PYTHONPATH": str(TOP)}
        reactor.spawnProcess(program, sys.executable, args, env)
        await program.saw("in use")
        await until(lambda: len(self.allBegun()) == 2, "beginning")
        self.assertGreater(
            len(await outcome(withClient(self.cluster.address, left))), 5
        )
        begun = self.allBegun()
        program.kill()
        await program.hasEnded()
        await until(lambda: os.path.exists(self.path(CLOSED)), "closing")
        # What runs is interrupted; what has not begun is dropped.
        await self.assertLeft()
        self.assertEqual(self.allBegun(), begun)

    async def test_shutdown(self):
        """Nor when it has shut the queue down."""
        await self.started(2)
        queue = await self.queue(timeout=None)
        deferator, ds = await use(queue, self.path(""))
        ds = [outcome(d) for d in ds]
        await until(lambda: len(self.allBegun()) == 2, "beginning")
        for name in CALLS:
            self.let(self.path(name))
        self.assertIsNone(await outcome(queue.shutdown()))
        self.assertTrue(os.path.exists(self.path(CLOSED)))
        self.assertFalse([d for d in ds if not d.called])
        await self.assertLeft()
        deferator.stop()

    async def test_atOnce(self):
        """
        It is so if it was not to wait for calls, and all of them fail. The nodes stay,
        whose answers come too late.
        """
        await self.started(2)
        nodes = await outcome(withClient(self.cluster.address, pids))
        queue = await self.queue(timeout=0.2)
        deferator, ds = await use(queue, self.path(""))
        ds = [outcome(d) for d in ds]
        await until(lambda: len(self.allBegun()) == 2, "beginning")
        began = reactor.seconds()
        self.assertIsNone(await outcome(queue.shutdown()))
        self.assertLess(reactor.seconds() - began, 5)
        for d in ds:
            self.assertIsInstance(await d, (WorkerError, QueueRunError))
        await self.assertLeft()
        self.assertEqual(len(self.allBegun()), 2)
        deferator.stop()
        now = await outcome(withClient(self.cluster.address, pids))
        self.assertEqual(now, nodes)
