"""
Another machine, and the cable to it.
"""

import shutil

from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.clusteraddress import checkAddress
from tests.clusters import Cluster
from tests.namespaces import Namespace, NamespaceError, whyUnavailable
from tests.test_clusters import namesOf, withClient

WHY_NOT = whyUnavailable()


class NamespaceTests(TestCase):
    skip = WHY_NOT

    def namespace(self):
        namespace = Namespace()
        self.addCleanup(namespace.remove)
        return namespace

    def test_own(self):
        """Each has an address of its own, and is gone when it is removed."""
        one, other = self.namespace(), self.namespace()
        self.assertEqual(len({one.here, one.there, other.here, other.there}), 4)
        self.assertIn(one.there, one.run("ip", "addr"))
        one.remove()
        self.assertRaises(NamespaceError, one.run, "true")
        other.run("true")

    async def test_node(self):
        """
        A node there serves a scheduler here, which is told of nothing when the
        cable is pulled, and gives the node up when it has been silent for long.
        """
        namespace = self.namespace()
        cluster = Cluster(self.mktemp(), host=namespace.here)
        self.addCleanup(cluster.stop)
        self.assertRaises(ValueError, checkAddress, cluster.address, None)
        there = {"host": namespace.there, "prefix": namespace.prefix}
        near, far = await cluster.start(1), await cluster.addNode(**there)
        self.assertIn(f"//{namespace.there}:", far.address)
        names = [near[0].name, far.name]
        self.assertEqual(await withClient(cluster.address, namesOf), names)
        namespace.cut()
        self.assertEqual(await withClient(cluster.address, namesOf), names)
        await cluster.removed(far)
        self.assertIsNone(far.exitCode)
        self.assertEqual(await withClient(cluster.address, namesOf), names[:1])


class UnavailableTests(SynchronousTestCase):
    def test_why(self):
        """A machine that does not allow for it is told of, with what it says."""
        self.patch(shutil, "which", lambda *_, **__: None)
        self.assertIn("takes Linux, and the command ip", str(whyUnavailable()))
        self.patch(shutil, "which", lambda *_, **__: "/no/such/ip")
        self.assertIn("/no/such/ip netns add", str(whyUnavailable()))
