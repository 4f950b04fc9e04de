"""
Clusters of real processes that the tests of a class share: unlike those of
L{tests.clusters}, they are started without the reactor, and so outlast a test.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from asynqueue.cluster import ClusterQueue
from tests.clusters import freePort
from tests.hatched import theHatchery
from tests.started import inSessions
from tests.support import BOUND

LOOK = 0.01
"""
How long to wait between two looks, in seconds, where nobody tells.
"""


class Fleet:
    """
    I start and kill the processes of a cluster.

    @ivar address: Where the scheduler listens.
    @ivar scheduler: The process ID of the scheduler.
    @ivar nodes: The process IDs of the nodes, or of their nannies, by name.
    """

    def __init__(self, tls: Any = None) -> None:
        """
        @param tls: The L{Files<tests.certificates.Files>} of the scheduler and the
            nodes, C{None} for plain TCP.
        """
        self._tls = tls
        self._port = freePort("127.0.0.1")
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{self._port}"
        self.nodes: dict[str, int] = {}
        args = ["--port", str(self._port)]
        self.scheduler = self._hatch("scheduler", "scheduler", args)
        self._pids = [self.scheduler]

    def addNode(
        self,
        name: str,
        nthreads: int = 1,
        resources: "dict[str, float] | None" = None,
        nanny: bool = False,
    ) -> None:
        """
        Starts a node.

        @param name: Its name.
        @param nthreads: How many calls it runs at once.
        @param resources: How much it has of what, such as C{{"gpu": 1}}.
        @param nanny: C{True} to have it started anew whenever it dies.
        """
        args = [self.address, "--name", name, "--nthreads", str(nthreads)]
        args += ["--nanny" if nanny else "--no-nanny", "--memory-limit", "0"]
        args += ["--death-timeout", str(BOUND)]
        args += ["--local-directory", str(theHatchery().directory)]
        if resources:
            pairs = (f"{what}={amount}" for what, amount in resources.items())
            args += ["--resources", ",".join(pairs)]
        self.nodes[name] = self._hatch("worker", name, args)
        self._pids.append(self.nodes[name])

    def kill(self, name: str) -> None:
        """
        Kills a node, and its nanny, unless that was done.
        """
        pid = self.nodes.pop(name, None)
        if pid is not None:
            self._kill(pid)

    def killAll(self) -> None:
        """
        Kills the scheduler, and all nodes.
        """
        for pid in self._pids:
            self._kill(pid)

    def stop(self) -> None:
        """
        Kills all that is left, and waits for its end.
        """
        self.killAll()
        deadline = time.monotonic() + BOUND
        while inSessions(self._pids) and time.monotonic() < deadline:
            time.sleep(LOOK)

    def _kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    def _hatch(self, kind: str, name: str, args: "list[str]") -> int:
        args += ["--host", "127.0.0.1", "--no-dashboard"]
        args += ["--dashboard-address", "127.0.0.1:0"]
        if self._tls:
            args += ["--protocol", "tls", "--tls-ca-file", self._tls.ca]
            args += ["--tls-cert", self._tls.cert, "--tls-key", self._tls.key]
        directory = theHatchery().directory
        with (directory / f"{name}-{self._port}.log").open("ab") as log:
            pid, told = theHatchery().hatch(kind, args, directory, log.fileno())
        os.close(told)
        return pid


class FleetCase(TestCase):
    """
    The tests of a class that share a L{Fleet}.

    @cvar nodes: What L{Fleet.addNode} is called with for each of the nodes.
    @cvar fleet: The L{Fleet}.
    """

    timeout = BOUND

    nodes: "tuple[dict[str, Any], ...]" = ({"name": "one"},)
    fleet: Fleet

    _left = 0

    def setUp(self):
        cls = type(self)
        if not cls._left:
            cls._left = sum(name.startswith("test") for name in dir(cls))
            cls.fleet = Fleet(**self.settings())
            for kw in self.nodes:
                cls.fleet.addNode(**kw)
        self.addCleanup(self._over)

    def _over(self):
        # If not all of them are run, it ends with this process.
        type(self)._left -= 1
        if not self._left:
            self.fleet.stop()

    def settings(self) -> "dict[str, Any]":
        """
        @return: Keywords of the L{Fleet}.
        """
        return {}

    def addNode(self, name: str, **kw: Any) -> None:
        """
        Adds a node to the fleet for the test.

        @param kw: As of L{Fleet.addNode}.
        """
        self.fleet.addNode(name, **kw)
        self.addCleanup(self.fleet.kill, name)

    async def connect(self, n: int | None = None, **kw: Any) -> Any:
        """
        @param n: How many nodes there are to be, C{None} for as many as of old.
        @param kw: Keywords of the queue.
        @return: A queue that is connected to the fleet, which the test cleans up.
        """
        queue = ClusterQueue(self.fleet.address, **kw)
        self.addCleanup(queue.shutdown)
        n = len(self.nodes) if n is None else n
        await until(lambda: len(queue.nodes) == n)
        return queue

    def path(self) -> str:
        """
        @return: The path of a file that is not there, which nodes can use too.
        """
        return str(Path(self.mktemp()).resolve())


async def until(isSo: Any) -> None:
    """
    Waits until something is so. How long that may take is for the test's own bound.
    """
    while not isSo():
        await deferLater(reactor, LOOK)


async def outcomes(ds: "list[Deferred[Any]]") -> "list[Any]":
    """
    @return: What Deferreds came to, each a result or an exception.
    """
    found = []
    for d in ds:
        try:
            found.append(await d)
        except Exception as e:
            found.append(e)
    return found
