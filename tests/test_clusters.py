"""
The cluster that tests start.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from distributed import Client
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests import calls
from tests.certificates import Certificates, Identity
from tests.clusters import REGISTERED, Cluster
from tests.hatched import TOP
from tests.started import Program, ProgramError, inSessions
from tests.support import BOUND, descriptors

LEFT = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from tests.clusters import Cluster

async def main():
    cluster = Cluster(sys.argv[1])
    await cluster.start(1, nanny=True)
    print("started", *(p.pid for p in [cluster.scheduler, *cluster.nodes]), flush=True)

Deferred.fromCoroutine(main()).addErrback(print)
reactor.run()
"""
"""
A program that has a cluster.
"""


def withClient(address, f, *args, **kw):
    """
    Runs a coroutine function with a client of the scheduler at an address, in a
    thread with a loop of its own.

    @param kw: For the client.
    @return: A Deferred that fires with what it returns.
    """

    async def run():
        kw.update(asynchronous=True, set_as_default=False, timeout=5)
        client = Client(address, **kw)
        try:
            return await f(await client, *args)
        finally:
            # Also of one that has not been let in, or it would be when it is
            # collected, wherever that is.
            await client.close()

    return deferToThread(asyncio.run, run())


async def namesOf(client):
    """
    @return: The names of the nodes that the scheduler has.
    """
    nodes = (await client.scheduler.identity(n_workers=-1))["workers"]
    return sorted(node["name"] for node in nodes.values())


async def add(client, x, y):
    return await client.submit(calls.add, x, y, resources={"gpu": 1})


async def nodeOf(client):
    """
    @return: The process in which a call is run.
    """
    return await client.submit(os.getpid)


class ClusterTests(TestCase):
    def cluster(self, **kw):
        cluster = Cluster(self.mktemp(), **kw)
        self.addCleanup(cluster.stop)
        return cluster

    async def test_nodes(self):
        """Calls run, in nodes that come and go; and nothing is left."""
        cluster = self.cluster()
        one, other = await cluster.start(2, nthreads=2, resources={"gpu": 1})
        self.assertEqual(await withClient(cluster.address, add, 3, 4), 7)
        names = await withClient(cluster.address, namesOf)
        self.assertEqual(names, sorted([one.name, other.name]))
        self.assertEqual(await cluster.killNode(one), -signal.SIGKILL)
        await cluster.removed(one)
        await cluster.addNode(name="late")
        names = await withClient(cluster.address, namesOf)
        self.assertEqual(names, ["late", other.name])
        pids = [program.pid for program in (cluster.scheduler, *cluster.nodes)]
        self.assertEqual(len(inSessions(pids)), 3)
        await cluster.stop()
        self.assertEqual(inSessions(pids), [])

    async def test_descriptors(self):
        """No descriptor is left of one that has ended."""
        found = []
        for _ in range(3):
            cluster = self.cluster()
            await cluster.start(1)
            await cluster.stop()
            found.append(len(descriptors()))
        # With the first there may come what is kept for others.
        self.assertEqual(found[1], found[2])

    async def test_scheduler(self):
        """Nodes end with the scheduler. Another one listens where it did."""
        cluster = self.cluster()
        (node,) = await cluster.start(1)
        address = cluster.address
        self.assertEqual(await cluster.killScheduler(), -signal.SIGKILL)
        await node.hasEnded()
        self.assertEqual(await cluster.startScheduler(), address)
        self.assertEqual(await withClient(address, namesOf), [])

    async def test_nanny(self):
        """A nanny starts another node for one that dies, and ends with it."""
        cluster = self.cluster()
        (node,) = await cluster.start(1, nanny=True)
        first = node.address
        pid = await withClient(cluster.address, nodeOf)
        self.assertNotEqual(pid, node.pid)
        os.kill(pid, signal.SIGKILL)
        await node.saw(REGISTERED, 2)
        self.assertNotEqual(node.address, first)
        self.assertNotEqual(await withClient(cluster.address, nodeOf), pid)
        await cluster.killNode(node)
        self.assertEqual(inSessions([node.pid]), [])

    async def test_tls(self):
        """By TLS it answers those who have a certificate of its authority."""
        directory = self.mktemp()
        os.mkdir(directory)
        certificates = Certificates(directory)
        cluster = self.cluster(tls=certificates.cluster)
        (node,) = await cluster.start(1)
        self.assertEqual({a[:6] for a in (cluster.address, node.address)}, {"tls://"})
        security = certificates.security(Identity.RIGHT)
        found = await withClient(cluster.address, nodeOf, security=security)
        self.assertEqual(found, node.pid)
        strangers = [Identity.STRANGER, Identity.FOREIGN]
        for refused, identity in enumerate(strangers, start=1):
            security = certificates.security(identity)
            d = withClient(cluster.address, nodeOf, security=security)
            await self.assertFailure(d, OSError)
            await cluster.scheduler.saw("TLS handshake failed", refused)

    async def test_fails(self):
        """What does not start is told of, with what it wrote."""
        cluster = self.cluster()
        d = cluster.addNode(resources={"gpu": "many"})
        error = await self.assertFailure(d, ProgramError)
        self.assertIn("ended before it wrote", str(error))
        self.assertIn("could not convert string to float: 'many'", str(error))

    async def test_left(self):
        """A cluster ends with the program that had it, however that ends."""
        directory = Path(self.mktemp()).resolve()
        directory.mkdir()
        program = Program("program", directory, reactor)
        self.addCleanup(program.hasEnded)
        self.addCleanup(program.kill)
        args = [sys.executable, "-c", LEFT, str(directory / "cluster")]
        env = {**os.environ, "PYTHONPATH": str(TOP)}
        reactor.spawnProcess(program, sys.executable, args, env)
        pids = [int(word) for word in (await program.saw("started")).split()[1:]]
        self.assertEqual(len(pids), 2)
        self.assertGreaterEqual(len(inSessions(pids)), 3)
        program.kill()
        await program.hasEnded()
        deadline = reactor.seconds() + BOUND
        while inSessions(pids) and reactor.seconds() < deadline:
            # They are not ours: nobody tells us of their end.
            await deferLater(reactor, 0.02)
        self.assertEqual(inSessions(pids), [])
