"""
What tests stand on in which a cluster loses nodes, its scheduler, or who uses it.
"""

import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from asynqueue.cluster import ClusterQueue
from tests.calls import BEGUN
from tests.clusters import Cluster
from tests.started import LOOK
from tests.support import BOUND

reactor: Any = _reactor


def outcome(d):
    """
    @return: A Deferred that fires with the result or the error of another one, at the
        latest after L{BOUND} seconds.
    """
    return d.addTimeout(BOUND, reactor).addErrback(lambda failure: failure.value)


async def outcomes(deferreds):
    """
    @return: What some Deferreds come to, each a result or an error, in a list.
    """
    return [await d for d in [outcome(d) for d in deferreds]]


async def until(isSo, what):
    """
    Looks until something is so, where nobody tells.

    @param what: What is waited for, if it never is.
    """
    deadline = reactor.seconds() + BOUND
    while not isSo():
        if reactor.seconds() > deadline:
            raise AssertionError(f"{what}: not within {BOUND:g} seconds")
        await deferLater(reactor, LOOK)


class DeathsCase(TestCase):
    """
    @ivar directory: A directory for the files that calls make.
    @ivar cluster: The cluster, when it is started.
    """

    cluster: Cluster

    def setUp(self):
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()

    async def started(self, n, **kw):
        """
        Starts the cluster.

        @param kw: As for L{Cluster.start}.
        @return: Its nodes.
        """
        self.cluster = Cluster(self.mktemp())
        self.addCleanup(self.cluster.stop)
        return await self.cluster.start(n, **kw)

    async def queue(self, **kw):
        """
        @return: A queue of the cluster, which takes calls.
        """
        kw = {"reconnect": 0, "timeout": 1.0, **kw}
        queue = ClusterQueue(self.cluster.address, **kw)
        self.addCleanup(lambda: queue.shutdown().addTimeout(BOUND, reactor))
        await queue.d
        return queue

    def path(self, name):
        """
        @return: The path of a file for a call to note in that it has begun.
        """
        return str(self.directory / name)

    def begun(self, path):
        """
        @return: The IDs of the processes in which calls with that path have begun.
        """
        with suppress(FileNotFoundError):
            return [int(line) for line in Path(path + BEGUN).read_text().split()]
        return []

    async def nodeWith(self, path, nth=1):
        """
        Waits until a call has begun so many times.

        @return: The node where it began last.
        """
        await until(lambda: len(self.begun(path)) >= nth, f"beginning {nth} of {path}")
        pid = self.begun(path)[nth - 1]
        (node,) = [node for node in self.cluster.nodes if node.pid == pid]
        return node

    def let(self, path):
        """
        Has the calls with a path come to their end.
        """
        Path(path).touch()

    async def kill(self, node, number=signal.SIGKILL):
        """
        Kills a node.

        @return: Its address.
        """
        await self.cluster.killNode(node, number)
        return node.address
