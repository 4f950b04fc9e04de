"""
Another machine, as far as the network is concerned: a namespace of Linux's, with a
cable to this one.
"""

import itertools
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from ipaddress import IPv4Network

from tests.support import BOUND

NETWORK = IPv4Network("10.77.0.0/16")
"""
The addresses of all cables. Each has four of its own.
"""

MOST = 50
"""
How many networks are tried, before it is said that all are in use.
"""


class NamespaceError(Exception):
    """
    The machine does not allow for a namespace, or has no room for it. I say why.
    """


class Namespace:
    """
    I am a namespace with a network of two: this machine, and those whose commands
    begin with my prefix.

    @ivar here: This machine's IP address on the cable.
    @ivar there: The other's.
    @ivar prefix: The words that a command begins with to be run there.
    """

    def __init__(self) -> None:
        """
        @raise NamespaceError: if the machine does not allow for it.
        """
        self._ip = shutil.which("ip", path=f"{os.environ['PATH']}:/sbin:/usr/sbin")
        if self._ip is None:
            raise NamespaceError("A namespace takes Linux, and the command ip")
        self._make()
        self.prefix = [self._ip, "netns", "exec", self._name]

    def _make(self) -> None:
        """
        Makes all that I am, with the first number that nobody else has taken.
        """
        networks = NETWORK.subnets(new_prefix=30)
        for number, network in itertools.islice(enumerate(networks), MOST):
            self._name, self._cable = f"aq-test-{number}", f"aq-here-{number}"
            try:
                self._do("netns", "add", self._name)
            except NamespaceError as e:
                if "File exists" in str(e):
                    continue
                raise
            self.here, self.there = map(str, network.hosts())
            try:
                self._connect(f"aq-there-{number}")
            except NamespaceError:
                self.remove()
                raise
            return
        raise NamespaceError(f"{MOST} namespaces are in use, or were left by tests")

    def _connect(self, far: str) -> None:
        inside = ["-n", self._name]
        pair = ["type", "veth", "peer", "name", far, "netns", self._name]
        self._do("link", "add", self._cable, *pair)
        self._do("addr", "add", f"{self.here}/30", "dev", self._cable)
        self._do(*inside, "addr", "add", f"{self.there}/30", "dev", far)
        self._do(*inside, "link", "set", "lo", "up")
        self._do(*inside, "link", "set", far, "up")
        self.mend()

    def cut(self) -> None:
        """
        Pulls the cable: what is sent from either side is lost, and nobody is told.
        """
        self._do("link", "set", self._cable, "down")

    def mend(self) -> None:
        """
        Puts the cable in.
        """
        self._do("link", "set", self._cable, "up")

    def run(self, *command: str) -> str:
        """
        Runs a command there, and waits for its end.

        @return: What it writes to its standard output.
        @raise NamespaceError: if it fails, or takes longer than
            L{BOUND<tests.support.BOUND>} seconds.
        """
        return _run([*self.prefix, *command])

    def remove(self) -> None:
        """
        Kills what still runs there, and takes down the cable and the namespace. A
        second time does nothing.
        """
        with suppress(NamespaceError):
            for pid in self._do("netns", "pids", self._name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for what in (["link", "del", self._cable], ["netns", "del", self._name]):
            with suppress(NamespaceError):
                self._do(*what)

    def _do(self, *words: str) -> str:
        return _run([str(self._ip), *words])


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, check=True, text=True, timeout=BOUND
        )
    except (OSError, subprocess.SubprocessError) as e:
        said = str(getattr(e, "stderr", None) or e).strip()
        raise NamespaceError(f"{' '.join(command)}: {said}") from e
    return done.stdout


def whyUnavailable() -> str | None:
    """
    Tries whether the machine allows for namespaces, and removes what it has tried.

    @return: Why it does not, as a test's C{skip} has it; C{None} if it does.
    """
    try:
        namespace = Namespace()
        try:
            namespace.run("true")
        finally:
            namespace.remove()
    except NamespaceError as e:
        return f"There is no second machine to be had: {e}"
    return None
