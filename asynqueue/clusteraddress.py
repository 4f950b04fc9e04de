"""
Which schedulers are spoken to.
"""

import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from asynqueue.about import aboutObject

__all__ = ["InsecureAddress", "checkAddress"]

ENCRYPTED = frozenset({"tls", "wss"})
"""
The schemes of connections that are encrypted, and made only between those who show
a certificate.
"""

PLAIN = frozenset({"tcp", "ws"})
"""
The schemes of connections that anybody on their way can read, and write to.
"""

IN_PROCESS = "inproc"
"""
The scheme of a scheduler in this process, which has no port.
"""

# Not urllib's: that leaves characters out, and has changed what it takes for a host
# from one Python to the next. What is checked has to be what is connected to.
_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>.*)", re.DOTALL)
_PLACE = re.compile(
    r"(?:\[(?P<inner>[^\[\]]*)\]|(?P<plain>[^\[\]:/?#@%\\\s]*))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)

_TRUST = (
    "Whoever can reach a scheduler by plain TCP can run code on its nodes and here, "
    "because what crosses are pickles"
)
_MAKE = (
    "security=distributed.Security(require_encryption=True, tls_ca_file=..., "
    "tls_client_cert=..., tls_client_key=...)"
)


class InsecureAddress(ValueError):
    """
    A scheduler's address is refused, because of what is lacking to speak to it
    safely.
    """


def checkAddress(address: object, security: object, trustNetwork: bool = False) -> str:
    """
    Refuses what is no scheduler's address, and one that is not safe to speak to.

    Safe is a scheduler in this process, one by TLS, and one by plain TCP on this
    machine: at C{127.0.0.0/8}, C{::1} or C{localhost}. No name is resolved, so
    another name is never this machine's.

    @param address: A text: I{scheme://host:port} with the scheme C{tls}, C{wss},
        C{tcp} or C{ws}, or I{inproc://path}. A host that is an IPv6 address
        stands in brackets.
    @param security: A C{distributed.Security}, or C{None}. What is in it is not
        looked at.
    @param trustNetwork: C{True} for plain TCP to other machines too.
    @return: The address, with nothing in it but what has been looked at: a scheme
        and a name in lower case, an IP address in its shortest form.
    @raise TypeError: if an argument is of another type than this.
    @raise InsecureAddress: if the address is refused. The text says what can be
        done.
    @raise ValueError: if it is none.
    """
    if not isinstance(address, str):
        raise TypeError(
            "The address of a scheduler has to be a text like "
            f"'tls://10.0.0.1:8786', not {aboutObject(address)}"
        )
    if type(trustNetwork) is not bool:
        raise TypeError(
            f"trustNetwork has to be True or False, not {aboutObject(trustNetwork)}"
        )
    _checkSecurity(security)
    scheme, place = _split(address)
    if scheme == IN_PROCESS:
        if not place:
            raise ValueError(f"The address {address!r} lacks what is after '://'")
        return f"{scheme}://{place}"
    host, port = _parse(address, place)
    if scheme in ENCRYPTED and security is None:
        raise InsecureAddress(
            f"The scheduler at {address!r} is spoken to by TLS, which takes "
            f"certificates: give {_MAKE}"
        )
    if scheme in PLAIN and not trustNetwork and not _isLoopback(host):
        encrypted = "wss" if scheme == "ws" else "tls"
        raise InsecureAddress(
            f"The scheduler at {address!r} is on another machine, for all that its "
            f"address tells, and {scheme}:// is not encrypted. {_TRUST}. Have the "
            f"scheduler listen by TLS, and give {encrypted}://... and {_MAKE}; or, if "
            "everybody who can reach that network may run code on the nodes and "
            "here, give trustNetwork=True"
        )
    return f"{scheme}://{_written(host)}:{port}"


def _checkSecurity(security: Any) -> None:
    if security is None:
        return
    isClass = isinstance(security, type)
    if isClass or not callable(getattr(security, "get_connection_args", None)):
        raise TypeError(
            "security has to be a distributed.Security or None, not "
            f"{aboutObject(security)}"
        )


def _split(address: str) -> tuple[str, str]:
    """
    @return: The scheme of an address, in lower case, and what comes after it.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError(
            f"The address {address!r} has no scheme: write 'tls://host:port', or "
            "'tcp://host:port' for a connection that is not encrypted"
        )
    scheme = match["scheme"].lower()
    known = [*sorted(ENCRYPTED), *sorted(PLAIN), IN_PROCESS]
    if scheme not in known:
        raise ValueError(
            f"The address {address!r} has the unknown scheme {scheme!r}; known are "
            f"{', '.join(known)}"
        )
    return scheme, match["place"]


def _parse(address: str, place: str) -> tuple[str | IPv4Address | IPv6Address, int]:
    """
    @return: The host and the port of an address.
    """
    match = _PLACE.fullmatch(place)
    if match is None:
        raise ValueError(
            f"The address {address!r} has to end in 'host:port', and nothing else. "
            "An IPv6 address stands in brackets: '[::1]:8786'"
        )
    host: str | IPv4Address | IPv6Address
    if match["inner"] is not None:
        try:
            host = IPv6Address(match["inner"])
        except ValueError as e:
            raise ValueError(
                f"In the address {address!r}, {match['inner']!r} is no IPv6 address"
            ) from e
    else:
        host = match["plain"].lower()
        if not host:
            raise ValueError(f"The address {address!r} lacks a host")
        # Else it is a name.
        with suppress(ValueError):
            host = ip_address(host)
    port = int(match["port"] or 0)
    if not 0 < port < 1 << 16:
        raise ValueError(
            f"The address {address!r} has to end in a port from 1 to 65535: a "
            "scheduler listens at 8786 if it has not been told another"
        )
    return host, port


def _isLoopback(host: str | IPv4Address | IPv6Address) -> bool:
    # IPv6Address.is_loopback is also true of IPv4 addresses written as IPv6, but
    # not in each Python.
    if isinstance(host, IPv4Address):
        return host.is_loopback
    return host in ("localhost", IPv6Address("::1"))


def _written(host: str | IPv4Address | IPv6Address) -> str:
    return f"[{host}]" if isinstance(host, IPv6Address) else str(host)
