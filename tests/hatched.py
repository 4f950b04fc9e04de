"""
Schedulers and nodes of a cluster that L{tests.hatchery} forks, with and without the
reactor.
"""

import atexit
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.error import (
    ProcessDone,
    ProcessExitedAlready,
    ProcessTerminated,
)
from twisted.internet.process import ProcessReader
from twisted.python.failure import Failure

from tests.hatchery import NUMBER
from tests.support import BOUND

TOP = Path(__file__).resolve().parent.parent

SETTINGS = {
    # Seconds after which a node that is silent is given up. Dask makes at least five
    # of it, ten times the time between two signs of life.
    "DISTRIBUTED__SCHEDULER__WORKER_TTL": "1s",
    "DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
    # It takes no less than eleven.
    "DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",
    "DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    # By which a nanny starts its node: what is imported is so only once.
    "DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver",
}
"""
Settings of dask's, by which faults are noticed quickly. C{DASK_} is put before each.
"""


def environment(directory: Path) -> dict[str, str]:
    """
    @param directory: For what is temporary.
    @return: The environment of a scheduler or a node.
    """
    empty = str(directory / "no configuration")
    path = os.pathsep.join(filter(None, [str(TOP), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        **{f"DASK_{key}": value for key, value in SETTINGS.items()},
        "DASK_CONFIG": empty,
        "DASK_ROOT_CONFIG": empty,
        "DASK_TEMPORARY_DIRECTORY": str(directory),
        "PYTHONPATH": path,
    }


class Hatchery:
    """
    I have the process that forks all the others. They end at the latest with this one.

    @ivar directory: Where logs and what is temporary may be kept.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="asynqueue-tests-")).resolve()
        # What is sent at once is received at once.
        self._requests, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET
        )
        with theirs:
            self._process: Any = subprocess.Popen(
                [sys.executable, "-m", "tests.hatchery", str(os.getpid())],
                stdin=theirs.fileno(),
                cwd=self.directory,
                env=environment(self.directory),
            )
        atexit.register(self.stop)

    def hatch(
        self, kind: str, args: list[str], directory: Path, out: int
    ) -> tuple[int, int]:
        """
        Starts a scheduler or a node.

        @param kind: Which of them.
        @param args: The arguments of dask's command.
        @param directory: Where it works.
        @param out: A descriptor for what it writes.
        @return: Its process ID, which is that of its session too; and a descriptor
            from which its status can be read when it has ended, as a
            L{NUMBER<tests.hatchery.NUMBER>}.
        """
        told, theirs = os.pipe()
        request = json.dumps([kind, args, str(directory)]).encode()
        socket.send_fds(self._requests, [request], [out, theirs])
        os.close(theirs)
        (pid,) = NUMBER.unpack(os.read(told, NUMBER.size))
        return pid, told

    def stop(self) -> None:
        """
        Ends the process, and with it all that it has forked.
        """
        self._process.kill()
        self._process.wait(timeout=BOUND)
        self._requests.close()
        shutil.rmtree(self.directory, ignore_errors=True)


@functools.cache
def theHatchery() -> Hatchery:
    """
    @return: The one that there is in this process.
    """
    return Hatchery()


class Hatched:
    """
    I am the transport of a process that was forked by the hatchery: what
    C{spawnProcess} would give to a protocol, as far as tests use it.

    @ivar pid: Its ID.
    """

    def __init__(
        self, protocol: Any, kind: str, args: list[str], directory: Path, reactor: Any
    ) -> None:
        """
        Starts it.

        @param protocol: Its C{IProcessProtocol}.
        """
        self._protocol = protocol
        self._status = b""
        out, theirs = os.pipe()
        self.pid, told = theHatchery().hatch(kind, args, directory, theirs)
        os.close(theirs)
        protocol.makeConnection(self)
        self._open = {"out": out, "told": told}
        for name, fd in self._open.items():
            ProcessReader(reactor, self, name, fd)

    def closeStdin(self) -> None:
        """
        Does nothing, as it is told nothing.
        """

    def signalProcess(self, number: int) -> None:
        """
        Sends it a signal.

        @raise ProcessExitedAlready: if it has ended.
        """
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            raise ProcessExitedAlready() from None

    def childDataReceived(self, name: str, data: bytes) -> None:
        """
        It has written something, or has ended.
        """
        if name == "out":
            self._protocol.childDataReceived(1, data)
        else:
            self._status += data

    def childConnectionLost(self, name: str, reason: Any) -> None:
        """
        It has ended, or all that have inherited its output have closed that.
        """
        os.close(self._open.pop(name))
        if name == "told":
            self._protocol.processExited(self._reason())
        if not self._open:
            self._protocol.processEnded(self._reason())

    def _reason(self) -> Failure:
        # There is none if the hatchery was killed, and it by that.
        (status,) = NUMBER.unpack(self._status or NUMBER.pack(signal.SIGKILL))
        if os.WIFSIGNALED(status):
            error: Exception = ProcessTerminated(
                signal=os.WTERMSIG(status), status=status
            )
        elif code := os.WEXITSTATUS(status):
            error = ProcessTerminated(code, status=status)
        else:
            error = ProcessDone(status)
        return Failure(error)
