"""
A real cluster that speaks by TLS, and who is let in.
"""

import os

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.cluster import ClusterQueue, ClusterWorker
from asynqueue.errors import StartFailed
from tests import calls, nodework
from tests.certificates import Certificates, Identity
from tests.fleets import FleetCase, outcomes


class TLSTests(FleetCase):
    nodes = ({"name": "one"}, {"name": "two"})

    certificates: Certificates

    def settings(self):
        directory = self.path()
        os.mkdir(directory)
        type(self).certificates = Certificates(directory)
        return {"tls": self.certificates.cluster}

    async def test_right(self):
        """
        Whoever has a certificate of the cluster's authority makes calls, updates and
        iterators.
        """
        security = self.certificates.security(Identity.RIGHT)
        queue = await self.connect(security=security)
        (results,) = await queue.update(nodework.put, "here")
        self.assertEqual(len(results), 2)
        ds = [queue.call(nodework.getAfter, 0.02) for _ in range(8)]
        found = await outcomes(ds)
        self.assertEqual(set(found), {(pid, "here") for pid in results.values()})
        deferator = await queue.call(calls.count, 2000)
        self.assertEqual([item async for item in deferator], list(range(2000)))
        nodes = queue.worker._life._connection._link.nodes
        self.assertEqual(list(nodes._reachable.values()), [True])

    async def test_wrong(self):
        """
        Nobody else is let in. That shows soon, and why is told to whoever waits for
        the queue, and to whoever has made a call.
        """
        for identity in (Identity.STRANGER, Identity.FOREIGN, Identity.NONE):
            security = self.certificates.security(identity)
            begun = reactor.seconds()
            queue = ClusterQueue(self.fleet.address, security=security)
            self.addCleanup(queue.shutdown)
            called = queue.call(calls.echo, 1)
            error = await self.assertFailure(queue.d, StartFailed)
            self.assertIn(f"the scheduler at {self.fleet.address}", str(error))
            self.assertIn("the authority of the certificate that is shown", str(error))
            self.assertIs(await self.assertFailure(called, StartFailed), error)
            # Not when connectTimeout has passed.
            self.assertLess(reactor.seconds() - begun, 5)


class PlainTests(SynchronousTestCase):
    """
    Tests of addresses without TLS.
    """

    def test_refused(self):
        """
        Plain TCP to another machine is refused at once, unless the network is trusted.
        """
        address = "tcp://10.0.0.1:8786"
        for make in (ClusterWorker, ClusterQueue):
            error = self.assertRaises(ValueError, make, address)
            self.assertIn("trustNetwork=True", str(error))
        worker = ClusterWorker(address, trustNetwork=True)
        self.assertIn(address, repr(worker))
        self.successResultOf(worker.stop())
