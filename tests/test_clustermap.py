"""
C{asynqueue map --cluster}: its options, step by step, and as its users run it.
"""

import json
import os
import signal
import sys
from argparse import Namespace
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue import clustermap
from asynqueue.clusterheld import NodeInfo
from asynqueue.errors import StartFailed
from asynqueue.mapping import PER_PLACE
from asynqueue.printing import NodeTimes
from tests import mapped
from tests.certificates import Certificates, Identity
from tests.clusters import Cluster, freePort
from tests.hatched import TOP
from tests.started import Program
from tests.test_import import LOADED, run
from tests.test_main import ArgumentsTestCase
from tests.test_mapping import JobTestCase

NOT_INSTALLED = """
import sys
from asynqueue.__main__ import main
sys.modules["distributed"] = None
sys.stderr = sys.stdout
print(main(["map", "--cluster", "tcp://127.0.0.1:1", "builtins:str", "x"]))
"""

IMPATIENT = """
import functools
import sys
from asynqueue import cluster
from asynqueue.__main__ import main
cluster.ClusterQueue = functools.partial(cluster.ClusterQueue, connectTimeout=0.5)
sys.exit(main(sys.argv[1:]))
"""
"""
The command, which does not try for long.
"""


class OptionsTests(ArgumentsTestCase):
    def test_options(self):
        """They are understood, wherever they stand."""
        key = __file__
        args = self.parse(
            f"map f:g a --cluster tls://h:1 --tls-ca {key} --tls-cert {key} "
            f"--tls-key {key} --trust-network b"
        )
        self.assertEqual((args.cluster, args.items), ("tls://h:1", ["a", "b"]))
        self.assertEqual([args.tlsCA, args.tlsCert, args.tlsKey], [key] * 3)
        self.assertTrue(args.trustNetwork)

    def test_refused(self):
        """What does not go together, or cannot be read, is named."""
        ca, key = f"--tls-ca {__file__}", f"--tls-key {__file__}"
        for text, told in [
            ("map f:g --cluster tcp://h:1 -n 2", "-n does not go with --cluster"),
            (f"map f:g {ca}", "--tls-ca is about a cluster"),
            ("map f:g --trust-network", "--trust-network is about a cluster"),
            (f"map f:g --cluster tls://h:1 {ca} {key}", "--tls-cert is missing"),
            (f"map f:g --cluster tls://h:1 {ca}-not", "No such file"),
        ]:
            self.assertIn(told, self.refused(text))


class QueueTests(SynchronousTestCase):
    def unusable(self, address, **kw):
        args = Namespace(
            cluster=address, tlsCA=None, trustNetwork=False, stats=False, **kw
        )
        error = self.assertRaises(clustermap.Unusable, clustermap.makeQueue, args)
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_addresses(self):
        """What is no address, or not safe, is refused by the options' names."""
        self.assertIn("no scheme", self.unusable("localhost:8786"))
        self.assertNotIn("--tls-ca", self.unusable("localhost:8786"))
        for address in ("tcp://10.0.0.1:8786", "tls://10.0.0.1:8786"):
            self.assertIn("--trust-network", self.unusable(address))

    def test_notInstalled(self):
        """It is told how to install what is lacking."""
        told = run(NOT_INSTALLED)
        self.assertEqual(told[:2], [b"asynqueue:", b"A"])
        self.assertIn(b"'asynqueue[cluster]'", told)
        self.assertEqual(told[-1], b"2")


class ImportTests(SynchronousTestCase):
    def test_unasked(self):
        """Without the option nothing of dask is imported, nor of what needs it."""
        loaded = run(LOADED.format("asynqueue.__main__, asynqueue.mapping"))
        self.assertIn(b"asynqueue.clustermap", loaded)
        self.assertNotIn(b"distributed", loaded)
        self.assertNotIn(b"asynqueue.cluster", loaded)


class Elastic:
    """
    What takes as many tasks as a test says.
    """

    prefetch = 3

    def __init__(self):
        self.listeners = []

    def setListener(self, f):
        self.listeners.append(f)

    def becomes(self, prefetch):
        self.prefetch = prefetch
        for listener in self.listeners:
            listener()


class ClusterJobTests(JobTestCase):
    def setUp(self):
        super().setUp()
        self.worker = Elastic()
        self.whenUp = Deferred()
        items = [str(n) for n in range(100)]
        self.theJob = self.job(*items, cluster=self.worker, whenUp=self.whenUp)

    def test_follows(self):
        """As many calls are on their way as suit what the cluster has become."""
        self.assertEqual((self.asked, self.queue.made), (0, []))
        self.whenUp.callback(None)
        self.assertEqual(len(self.queue.calls), 4 * PER_PLACE)
        self.worker.becomes(9)
        self.assertEqual(len(self.queue.calls), 10 * PER_PLACE)
        self.worker.becomes(1)
        for item in list(self.queue.calls)[: 9 * PER_PLACE]:
            self.queue.end(item)
        self.assertEqual(len(self.queue.calls), 2 * PER_PLACE)

    def test_neverUp(self):
        """If it cannot be reached that is said once, and nothing is read."""
        self.queue.workersLeft = 0
        self.whenUp.errback(StartFailed("nobody there"))
        self.successResultOf(self.done)
        self.assertEqual((self.theJob.status, self.asked), (1, 0))
        self.assertEqual(
            self.out(2), "asynqueue: no worker is left: StartFailed: nobody there\n"
        )

    def test_abort(self):
        """It can be aborted, before it is up too."""
        self.theJob.abort(130)
        self.successResultOf(self.done)
        self.whenUp.callback(None)
        self.assertEqual((self.theJob.status, self.queue.made), (130, []))


class NodeTimesTests(SynchronousTestCase):
    def test_table(self):
        """There is a line for each node, here or gone, for no node, and for all."""

        worker = Namespace(
            nodes=[
                NodeInfo("tcp://a", "a", 1, (), 2048),
                NodeInfo("tcp://b", "b", 1, (), 1024),
            ],
            callTimes=[(0.003, 0.001), (0.1, 0.0)],
            callNodes=["tcp://a", ""],
        )
        times = NodeTimes(worker)
        times.collect()
        self.assertEqual((worker.callTimes, worker.callNodes), ([], []))
        worker.callTimes, worker.callNodes = [(0.01, 0.01)], ["tcp://gone"]
        head, *rows = (line.split() for line in times.text().splitlines())
        self.assertEqual(head[0], "node")
        self.assertEqual(
            rows,
            [
                ["none", "1", "100.000", "0.000", "100.000", "-"],
                ["tcp://a", "1", "3.000", "1.000", "2.000", "2.0"],
                ["tcp://b", "0", "-", "-", "-", "1.0"],
                ["tcp://gone", "1", "10.000", "10.000", "0.000", "-"],
                ["all", "3", "10.000", "1.000", "2.000", "3.0"],
            ],
        )


class ProgramTests(TestCase):
    """
    Runs the program, beside a real cluster.
    """

    def setUp(self):
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()

    async def cluster(self, nodes=2, **kw):
        cluster = Cluster(self.mktemp(), **kw)
        self.addCleanup(cluster.stop)
        await cluster.start(nodes)
        return cluster

    def begin(self, *args, program=("-m", "asynqueue")):
        """
        @param program: What Python is told to run.
        @return: A L{Program} that runs the command, where nobody else's modules are.
        """
        begun = Program("map", self.directory, reactor)
        self.addCleanup(begun.hasEnded)
        self.addCleanup(begun.kill)
        command = [sys.executable, *program, "map", *args]
        env = {**os.environ, "PYTHONPATH": str(TOP)}
        reactor.spawnProcess(begun, command[0], command, env, str(self.directory))
        return begun

    async def map(self, *args, **kw):
        """
        @return: The lines that it writes, and its exit status.
        """
        program = self.begin(*args, **kw)
        status = await program.hasEnded()
        return program.lines, status

    async def test_tls(self):
        """By TLS, items become lines, an error one of them, and a table by node."""
        certificates = Certificates(str(self.directory))
        cluster = await self.cluster(tls=certificates.cluster)
        files = certificates.clients[Identity.RIGHT]
        tls = ["--tls-ca", files.ca, "--tls-cert", files.cert, "--tls-key", files.key]
        lines, status = await self.map(
            *("--cluster", cluster.address, *tls, "--stats", "--json"),
            *("math:sqrt", "4", "-1", "9"),
        )
        self.assertEqual(status, 1)
        first, bad, last = (json.loads(line) for line in lines if line[0] == "{")
        self.assertEqual((first["result"], last["result"]), (2, 3))
        self.assertEqual(bad["error"], "ValueError: math domain error")
        self.assertGreater(first["seconds"], 0)
        found = [line.split()[0] for line in lines if "tls://" in line]
        self.assertEqual(found, sorted(node.address for node in cluster.nodes))

    async def test_modules(self):
        """A module that no node has is told of, and what to do about it."""
        cluster = await self.cluster()
        text = Path(mapped.__file__).read_text()
        (self.directory / "here.py").write_text(text)
        lines, status = await self.map(
            "--cluster", cluster.address, "here:failThree", "1"
        )
        self.assertEqual(status, 1)
        self.assertIn("No module named 'here'", lines[0])
        self.assertIn("named by PYTHONPATH", lines[0])

    async def test_interrupt(self):
        """A signal ends it, quietly, and what its calls do on the nodes too."""
        cluster = await self.cluster(1)
        (node,) = cluster.nodes
        program = self.begin("--cluster", cluster.address, "tests.mapped:beat", "x")
        await node.saw("x begins")
        # As Ctrl-C does, which is ignored by what was begun in the background.
        program.kill(signal.SIGTERM)
        self.assertEqual((await program.hasEnded(), program.lines), (143, []))
        await node.saw("x ends")

    async def test_nobody(self):
        """If nobody listens that is said in a line."""
        address = f"tcp://127.0.0.1:{freePort('127.0.0.1')}"
        lines, status = await self.map(
            *("--cluster", address, "builtins:str", "1"), program=("-c", IMPATIENT)
        )
        self.assertEqual((len(lines), status), (1, 1))
        self.assertIn(f"no connection to the scheduler at {address}", lines[0])

    async def test_unsafe(self):
        """A scheduler on another machine is not spoken to without TLS."""
        lines, status = await self.map("--cluster", "tcp://10.0.0.1:1", "builtins:str")
        self.assertEqual((len(lines), status), (1, 2))
        self.assertIn("--tls-ca FILE", lines[0])
