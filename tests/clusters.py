"""
A real cluster for tests: a scheduler and nodes, as processes that a test starts,
kills, and never leaves.
"""

import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed

from asynqueue.reactors import theReactor
from tests.certificates import Files
from tests.hatched import Hatched, environment
from tests.nannies import READY
from tests.started import Program, ProgramError
from tests.support import BOUND

IDLE = 300
"""
After how many seconds without work a scheduler ends that nobody has ended. Nodes that
have lost theirs end by themselves.
"""

LISTENING = "Scheduler at:"
STARTING = "Start worker at:"
REGISTERED = "Registered to:"
REMOVED = "Remove worker addr:"


def freePort(host: str) -> int:
    """
    @return: A port at which nobody listens just now.
    """
    with socket.socket() as s:
        s.bind((host, 0))
        return int(s.getsockname()[1])


class Node(Program):
    """
    I am a node of a cluster, or the nanny of one.
    """

    @property
    def address(self) -> str:
        """
        Where it listens, and by which it is known to the scheduler. With a nanny,
        that of the last process that it has started.
        """
        started = [line for line in self.lines if STARTING in line]
        if not started:
            raise self._error("does not listen yet")
        return started[-1].split()[-1]


class Cluster:
    """
    I start, kill and stop the processes of a cluster. They end at the latest with
    this process, even if that is killed.

    @ivar address: Where the scheduler listens, or will.
    @ivar scheduler: The L{Program} that it is, C{None} until it is started.
    @ivar nodes: All nodes that were ever started.
    """

    def __init__(
        self,
        directory: str,
        tls: Files | None = None,
        host: str = "127.0.0.1",
        reactor: Any = None,
    ) -> None:
        """
        @param directory: Where logs and what is temporary are kept, made if need
            be: what a test's C{mktemp} gives.
        @param tls: The certificate of the scheduler and the nodes, C{None} for
            plain TCP.
        @param host: The IPv4 address at which the scheduler listens, and nodes for
            which no other is given.
        """
        self._directory = Path(directory).resolve()
        self._directory.mkdir(exist_ok=True)
        self._reactor = theReactor(reactor)
        self._tls = tls
        self._host = host
        self._programs: list[Program] = []
        self.scheduler: Program | None = None
        self.nodes: list[Node] = []
        self._listenAt(freePort(host))

    def start(self, n: int, **kw: Any) -> "Deferred[list[Node]]":
        """
        Starts the scheduler and a number of nodes, all at once.

        @param kw: As for L{addNode}.
        @return: A Deferred that fires with the nodes, when all are up.
        """
        started: list[Deferred[Any]] = [self.startScheduler()]
        started += [self.addNode(**kw) for _ in range(n)]
        d: Deferred[list[Any]] = gatherResults(started, consumeErrors=True)
        return d.addCallbacks(
            lambda results: results[1:],
            # That of the one that failed, not that one of several did.
            lambda failure: failure.value.subFailure,
        )

    def startScheduler(self, port: int | None = None) -> "Deferred[str]":
        """
        @param port: Where it is to listen, C{None} for where the last one did.
        @return: A Deferred that fires with its address, when it listens there.
        """
        if port is not None:
            self._listenAt(port)
        self.scheduler = Program(
            self._named("scheduler"), self._directory, self._reactor
        )
        args = ["--port", str(self._port), "--idle-timeout", str(IDLE)]
        self._spawn(self.scheduler, "scheduler", self._host, args)
        address = self.address
        return self.scheduler.saw(LISTENING).addCallback(lambda _: address)

    def addNode(
        self,
        name: str | None = None,
        nthreads: int = 1,
        resources: dict[str, float] | None = None,
        nanny: bool = False,
        host: str | None = None,
        prefix: Sequence[str] = (),
    ) -> "Deferred[Node]":
        """
        Starts a node. It may be started before the scheduler.

        @param name: Its name, C{None} for one that no other has.
        @param nthreads: How many tasks it runs at once.
        @param resources: How much it has of what, such as C{{"gpu": 1}}.
        @param nanny: C{True} to have it started anew whenever it dies.
        @param host: The IP address at which it listens, C{None} for the cluster's.
        @param prefix: The words of a command that runs another one elsewhere.
        @return: A Deferred that fires with it, when the scheduler has registered it,
            and its nanny knows that.
        """
        node = Node(name or self._named("node"), self._directory, self._reactor)
        args = [self.address, "--name", node.name, "--nthreads", str(nthreads)]
        args += ["--nanny" if nanny else "--no-nanny", "--memory-limit", "0"]
        args += ["--death-timeout", str(BOUND)]
        args += ["--local-directory", str(self._directory)]
        if nanny:
            args += ["--preload-nanny", "tests.nannies"]
        if resources:
            pairs = (f"{what}={amount}" for what, amount in resources.items())
            args += ["--resources", ",".join(pairs)]
        self.nodes.append(node)
        self._spawn(node, "worker", host or self._host, args, prefix)
        up = node.saw(READY if nanny else REGISTERED)
        return up.addCallback(lambda _: node)

    def killScheduler(self, number: int = signal.SIGKILL) -> "Deferred[Any]":
        """
        @return: A Deferred that fires when the scheduler has ended.
        """
        if self.scheduler is None:
            return succeed(None)
        self.scheduler.kill(number)
        return self.scheduler.hasEnded()

    def killNode(
        self, node: Node, number: int = signal.SIGKILL
    ) -> "Deferred[int | None]":
        """
        @return: A Deferred that fires when a node, and its nanny, have ended.
        """
        node.kill(number)
        return node.hasEnded()

    def removed(self, node: Node) -> "Deferred[str]":
        """
        @return: A Deferred that fires when the scheduler has removed a node.
        """
        if self.scheduler is None:
            raise ProgramError("There is no scheduler that could have removed a node")
        return self.scheduler.saw(f"{REMOVED} {node.address} ")

    def stop(self) -> "Deferred[Any]":
        """
        Kills all that is left.

        @return: A Deferred that fires when all processes have ended, those that
            they had started included, and are reaped.
        """
        for program in self._programs:
            program.kill()
        return gatherResults([program.hasEnded() for program in self._programs])

    def _named(self, kind: str) -> str:
        return f"{kind}-{len(self._programs)}"

    def _listenAt(self, port: int) -> None:
        self._port = port
        self.address = f"{'tls' if self._tls else 'tcp'}://{self._host}:{port}"

    def _spawn(
        self,
        program: Program,
        kind: str,
        host: str,
        args: Sequence[str],
        prefix: Sequence[str] = (),
    ) -> None:
        args = [*args, "--host", host]
        args += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        if self._tls:
            args += ["--protocol", "tls", "--tls-ca-file", self._tls.ca]
            args += ["--tls-cert", self._tls.cert, "--tls-key", self._tls.key]
        self._programs.append(program)
        if not prefix:
            Hatched(program, kind, args, self._directory, self._reactor)
            return
        command = [*prefix, sys.executable, "-m", "tests.clustered", kind]
        command += [str(os.getpid()), *args]
        self._reactor.spawnProcess(
            program,
            shutil.which(command[0]) or command[0],
            command,
            environment(self._directory),
            str(self._directory),
        )
