"""
Certificates of a cluster, and of who may not speak to it.
"""

import ssl
from pathlib import Path

from distributed import Security
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.clusteraddress import checkAddress
from tests.certificates import Certificates, Identity

ADDRESS = "tls://127.0.0.1:8786"


def shake(client, server):
    """
    Has both sides of a connection by TLS, each a context, agree in memory.

    @raise ssl.SSLError: if one of them does not want to.
    """
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(one, other, server_hostname="127.0.0.1"),
        server.wrap_bio(other, one, server_side=True),
    ]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            sides.remove(side)


class CertificatesTests(SynchronousTestCase):
    def setUp(self):
        directory = self.mktemp()
        Path(directory).mkdir(mode=0o700)
        self.certificates = Certificates(directory)
        files = self.certificates.cluster
        self.cluster = Security(
            require_encryption=True,
            tls_ca_file=files.ca,
            tls_scheduler_cert=files.cert,
            tls_scheduler_key=files.key,
        ).get_listen_args("scheduler")["ssl_context"]

    def client(self, identity):
        """
        @return: The context by which a client of this identity connects.
        """
        security = self.certificates.security(identity)
        self.assertEqual(checkAddress(ADDRESS, security), ADDRESS)
        return security.get_connection_args("client")["ssl_context"]

    def test_right(self):
        """Who has a certificate of the cluster's authority is let in."""
        shake(self.client(Identity.RIGHT), self.cluster)

    def test_named(self):
        """The cluster's certificate is for the address that it is at."""
        client = self.client(Identity.RIGHT)
        client.check_hostname = True
        shake(client, self.cluster)

    def test_wrong(self):
        """Who has one of another authority is not, whomever it believes."""
        for identity in (Identity.STRANGER, Identity.FOREIGN):
            client = self.client(identity)
            self.assertRaises(ssl.SSLError, shake, client, self.cluster)

    def test_none(self):
        """Who has none cannot even try."""
        self.assertIsNone(self.client(Identity.NONE))
