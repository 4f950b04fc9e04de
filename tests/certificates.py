"""
Certificates of a cluster and of who speaks to it, made by an authority of their own;
and such as another one has made.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import trustme
from distributed import Security


@dataclass(frozen=True)
class Files:
    """
    What one side of a connection by TLS shows, and whom it believes.

    @ivar ca: The path of a file with the authority that it believes.
    @ivar cert: The path of a file with its certificate.
    @ivar key: The path of a file with the key of that.
    """

    ca: str
    cert: str
    key: str


class Identity(Enum):
    """
    Who speaks to a cluster.
    """

    RIGHT = "has a certificate of the cluster's authority"
    STRANGER = "believes that authority, but has a certificate of another"
    FOREIGN = "believes another authority, and has a certificate of that"
    NONE = "has no certificate"


class Certificates:
    """
    I make an authority, and another that has nothing to do with it, and
    certificates of both.

    @ivar cluster: The L{Files} of a scheduler and its nodes at C{127.0.0.1}.
    @ivar clients: The L{Files} of each L{Identity} that has any.
    """

    def __init__(self, directory: str) -> None:
        """
        @param directory: Where the files are to be. It has to be there, and to be
            the caller's alone.
        """
        self._directory = Path(directory).resolve()
        ours, theirs = trustme.CA(), trustme.CA()
        ca = self._write("ours-ca.pem", ours.cert_pem)
        foreign = self._write("foreign-ca.pem", theirs.cert_pem)
        self.cluster = Files(ca, *self._issue("cluster", ours))
        stranger = self._issue("stranger", theirs)
        self.clients = {
            Identity.RIGHT: Files(ca, *self._issue("client", ours)),
            Identity.STRANGER: Files(ca, *stranger),
            Identity.FOREIGN: Files(foreign, *stranger),
        }

    def _issue(self, name: str, authority: trustme.CA) -> tuple[str, str]:
        """
        @return: The paths of a certificate and its key.
        """
        issued = authority.issue_cert("127.0.0.1", "localhost", common_name=name)
        cert = self._write(f"{name}.pem", *issued.cert_chain_pems)
        return cert, self._write(f"{name}-key.pem", issued.private_key_pem)

    def _write(self, name: str, *blobs: trustme.Blob) -> str:
        path = self._directory / name
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return str(path)

    def security(self, identity: Identity) -> Security:
        """
        @return: The C{distributed.Security} by which a client is who it is.
        """
        if identity is Identity.NONE:
            return Security(require_encryption=True)
        files = self.clients[identity]
        return Security(
            require_encryption=True,
            tls_ca_file=files.ca,
            tls_client_cert=files.cert,
            tls_client_key=files.key,
        )
