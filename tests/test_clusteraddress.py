"""
Which schedulers are spoken to.
"""

from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusteraddress import checkAddress
from tests.test_import import LOADED, run


class Security:
    """
    What of a C{distributed.Security} is looked for.
    """

    def get_connection_args(self, role):
        raise AssertionError("Its contents are not looked at")


SECURITY = Security()

SAFE = [
    ("tcp://127.0.0.1:8786", None),
    ("tcp://127.255.0.9:1", None),
    ("tcp://[::1]:65535", None),
    ("tcp://localhost:8786", None),
    ("ws://localhost:8786", None),
    ("tcp://127.0.0.1:8786", SECURITY),
    ("tls://127.0.0.1:8786", SECURITY),
    ("tls://scheduler.example:8786", SECURITY),
    ("tls://[2001:db8::1]:8786", SECURITY),
    ("tls://[fe80::1%eth0]:8786", SECURITY),
    ("wss://10.0.0.1:443", SECURITY),
    ("inproc://10.0.0.1/77/1", None),
]
"""
Addresses, each with the security that it takes, that come back as they are.
"""

WRITTEN = [
    ("TCP://LocalHost:8786", "tcp://localhost:8786"),
    ("tcp://127.0.0.1:08786", "tcp://127.0.0.1:8786"),
    ("tcp://[0:0::0:1]:8786", "tcp://[::1]:8786"),
]
"""
Addresses, and how they come back.
"""

REMOTE = [
    "10.0.0.1",
    "128.0.0.1",
    "0.0.0.0",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::1%eth0]",
    "[fe80::1]",
    "scheduler.example",
    "localhost.example",
    "localhost.",
    "127.0.0.1.example",
    "127.1",
    "2130706433",
    "0x7f000001",
    "127.0.0.01",
    "\uff11\uff12\uff17.0.0.1",
    "\uff4cocalhost",
]
"""
Hosts that are not this one, for all that is known without a resolver.
"""

WRONG = [
    ("127.0.0.1:8786", "'tls://host:port', or 'tcp://host:port'"),
    ("localhost", "no scheme"),
    ("://localhost:1", "no scheme"),
    ("", "no scheme"),
    (" tcp://localhost:1", "no scheme"),
    ("tcp:localhost:1", "no scheme"),
    ("ucx://127.0.0.1:8786", "unknown scheme 'ucx'; known are tls, wss, tcp, ws"),
    ("http://127.0.0.1:8786", "unknown scheme 'http'"),
    ("inproc://", "lacks"),
    ("tcp://", "lacks a host"),
    ("tcp://:8786", "lacks a host"),
    ("tcp://localhost", "port from 1 to 65535"),
    ("tcp://localhost:", "'host:port'"),
    ("tcp://localhost:0", "port from 1 to 65535"),
    ("tcp://localhost:65536", "port from 1 to 65535"),
    ("tcp://localhost:\uff18\uff17", "'host:port'"),
    ("tcp://localhost:-1", "'host:port'"),
    ("tcp://localhost:ssh", "'host:port'"),
    ("tcp://::1:8786", "brackets"),
    ("tcp://[::1:8786", "brackets"),
    ("tcp://[::1]example:8786", "brackets"),
    ("tcp://[localhost]:8786", "no IPv6 address"),
    ("tcp://[v1.localhost]:8786", "no IPv6 address"),
    ("tcp://localhost:8786/", "nothing else"),
    ("tcp://localhost:8786?a=b", "nothing else"),
    ("tcp://localhost:8786#a", "nothing else"),
    ("tcp://me@localhost:8786", "nothing else"),
    ("tcp://localhost:8786@example:1", "nothing else"),
    ("tcp://localhost:8786,example:1", "nothing else"),
    ("tcp://local\nhost:8786", "nothing else"),
    ("tcp://localhost:8786\n", "nothing else"),
    ("tcp://localhost:1://example:2", "nothing else"),
]
"""
What is no address, and what the error says.
"""


class AddressTests(SynchronousTestCase):
    def refused(self, kind, *args):
        """
        @return: What the error of a kind says with which an address is refused.
        """
        return str(self.assertRaises(kind, checkAddress, *args))

    def test_safe(self):
        """An address that is safe is taken, and comes back."""
        for address, security in SAFE:
            self.assertEqual(checkAddress(address, security), address)
        for address, written in WRITTEN:
            self.assertEqual(checkAddress(address, None), written)

    def test_wrong(self):
        """What is no address is refused, whatever is trusted, with what it lacks."""
        for address, text in WRONG:
            for trustNetwork in (False, True):
                said = self.refused(ValueError, address, SECURITY, trustNetwork)
                self.assertIn(repr(address), said)
                self.assertIn(text, said)

    def test_types(self):
        """What is no text, no security or no truth value is refused as such."""
        address: Any
        for address in (None, b"tcp://127.0.0.1:1", ("127.0.0.1", 8786), 8786):
            said = self.refused(TypeError, address, None)
            self.assertIn(f"'tls://10.0.0.1:8786', not {address!r}", said)
        for security in (True, "ca.pem", {"tls_ca_file": "ca.pem"}, Security):
            for address in ("tls://10.0.0.1:8786", "tcp://127.0.0.1:1", "inproc://a"):
                said = self.refused(TypeError, address, security)
                self.assertIn("has to be a distributed.Security or None", said)
        for trustNetwork in (None, 1, "no"):
            said = self.refused(TypeError, "tcp://10.0.0.1:1", None, trustNetwork)
            self.assertIn(f"not {trustNetwork!r}", said)

    def test_remote(self):
        """Plain TCP to another machine is refused, and both ways out are named."""
        for scheme, encrypted in (("tcp", "tls"), ("ws", "wss")):
            for host in REMOTE:
                address = f"{scheme}://{host}:8786"
                for security in (None, SECURITY):
                    said = self.refused(ValueError, address, security)
                    self.assertIn(repr(address), said)
                    self.assertIn(f"give {encrypted}://... and security=", said)
                    self.assertIn("trustNetwork=True", said)
                    self.assertIn("run code on the nodes and here", said)

    def test_trusted(self):
        """It is taken from who says that everybody there may run code here."""
        for host in REMOTE:
            address = f"tcp://{host}:8786"
            # Of two ways to write an address, each Python has its own.
            self.assertTrue(checkAddress(address, None, True).endswith(":8786"))

    def test_unencrypted(self):
        """TLS without certificates is refused, with how to give them."""
        for address in ("tls://127.0.0.1:8786", "wss://example:443"):
            for trustNetwork in (False, True):
                said = self.refused(ValueError, address, None, trustNetwork)
                self.assertIn("security=distributed.Security(", said)

    def test_light(self):
        """To look at an address, distributed is not imported."""
        loaded = run(LOADED.format("asynqueue.clusteraddress"))
        self.assertIn(b"asynqueue.clusteraddress", loaded)
        self.assertEqual({b"distributed", b"dask", b"tornado"} & set(loaded), set())

    @given(st.ip_addresses(v=4), st.integers(1, 65535))
    def test_machines(self, host, port):
        """Of all IPv4 addresses, those in 127.0.0.0/8 are this machine's."""
        address = f"tcp://{host}:{port}"
        if int(host) >> 24 == 127:
            self.assertEqual(checkAddress(address, None), address)
        else:
            self.assertIn("trustNetwork", self.refused(ValueError, address, None))
        self.assertEqual(checkAddress(address, None, trustNetwork=True), address)

    @given(
        st.sampled_from(["tcp://", "tls://", "inproc://", "tcp://127.0.0.1", ""]),
        st.text() | st.text("[]:/@#?%.0123456789a\n\\ "),
    )
    def test_any(self, start, rest):
        """
        Of any text, either a ValueError comes, or an address that is taken as it
        is, and that what connects splits at the same places.
        """
        try:
            address = checkAddress(start + rest, SECURITY, trustNetwork=True)
        except ValueError:
            return
        self.assertEqual(checkAddress(address, SECURITY, trustNetwork=True), address)
        scheme, _, place = address.rpartition("://")
        if scheme in ("tcp", "tls"):
            host, _, port = place.rpartition(":")
            self.assertLess(int(port), 65536)
            self.assertEqual(host.startswith("["), ":" in host)

    @given(st.text("0123456789.x/:@", max_size=12))
    def test_noWayRound(self, host):
        """However a host is written, without trust it is this machine or refused."""
        try:
            address = checkAddress(f"tcp://{host}:8786", None)
        except ValueError:
            return
        self.assertTrue(IPv4Address(address[6:-5]).is_loopback)
