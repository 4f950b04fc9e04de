"""
What the command C{map} needs to have its calls made on a cluster.

I import the standard library only until there is something to do, as the command line
does.
"""

import argparse
from typing import Any

LOCAL = {"workers": "-n"}
"""
The options that are about worker processes of this machine, by what they are called
when they are parsed.
"""

TLS = {"tlsCA": "--tls-ca", "tlsCert": "--tls-cert", "tlsKey": "--tls-key"}
"""
Those by which a scheduler is spoken to by TLS.
"""

SAFELY = "Here that is --tls-ca FILE --tls-cert FILE --tls-key FILE, or --trust-network"


class Unusable(Exception):
    """
    There is no cluster by these options. My text says why.
    """


def readable(text: str) -> str:
    """
    @return: The name of a file that can be read.
    """
    try:
        with open(text, "rb"):
            return text
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from error


def addOptions(parser: Any) -> None:
    """
    Adds the options that are about a cluster.
    """
    group = parser.add_argument_group(
        "a cluster",
        "The calls are made on the nodes of a cluster of dask, which have to find "
        "FUNCTION in a module of their own. pip install 'asynqueue[cluster]' installs "
        "what it takes.",
    )
    option = group.add_argument
    option(
        "--cluster",
        metavar="ADDRESS",
        help="the address of its scheduler: tls://host:8786",
    )
    for dest, flag, about in [
        ("tlsCA", TLS["tlsCA"], "the authority that is believed"),
        ("tlsCert", TLS["tlsCert"], "the certificate that is shown"),
        ("tlsKey", TLS["tlsKey"], "the key of that"),
    ]:
        option(flag, dest=dest, metavar="FILE", type=readable, help=f"{about}, as PEM")
    option(
        "--trust-network",
        dest="trustNetwork",
        action="store_true",
        help="speak to it without TLS: everybody on that network can run code here "
        "and there",
    )


def contradiction(args: argparse.Namespace) -> str | None:
    """
    @return: Which options do not go together, C{None} if all do.
    """
    tls = {flag: vars(args)[dest] for dest, flag in TLS.items()}
    if args.cluster is None:
        given = [flag for flag, value in tls.items() if value is not None]
        given += ["--trust-network"] if args.trustNetwork else []
        return f"{given[0]} is about a cluster: give --cluster too" if given else None
    for dest, flag in LOCAL.items():
        if vars(args)[dest] is not None:
            return (
                f"{flag} does not go with --cluster: it is about processes of this "
                "machine. The cluster has as many as were started there"
            )
    lacking = [flag for flag, value in tls.items() if value is None]
    if 0 < len(lacking) < len(tls):
        return f"TLS takes all of {', '.join(TLS.values())}: {lacking[0]} is missing"
    return None


def prepare(args: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """
    @return: A queue whose calls a cluster makes, and keywords for a
        L{MapJob<asynqueue.mapping.MapJob>}.
    @raise Unusable: if there is none by these options.
    """
    queue = makeQueue(args)

    from asynqueue.printing import NodeTimes

    worker = queue.worker
    return queue, {
        "report": NodeTimes(worker) if args.stats else None,
        "whenUp": queue.d,
        "cluster": worker,
    }


def makeQueue(args: argparse.Namespace) -> Any:
    """
    Makes a L{ClusterQueue<asynqueue.cluster.ClusterQueue>}.

    @raise Unusable: if that cannot be.
    """
    try:
        from asynqueue.cluster import ClusterQueue
    except ImportError as error:
        raise Unusable(f"{error}") from error
    from asynqueue.clusteraddress import InsecureAddress

    security = None
    if args.tlsCA is not None:
        from distributed import Security

        security = Security(
            require_encryption=True,
            tls_ca_file=args.tlsCA,
            tls_client_cert=args.tlsCert,
            tls_client_key=args.tlsKey,
        )
    try:
        # When the reactor stops before the job is over, there is nothing to wait for.
        return ClusterQueue(
            args.cluster,
            security=security,
            trustNetwork=args.trustNetwork,
            callStats=args.stats,
            grace=0.0,
        )
    except InsecureAddress as error:
        raise Unusable(f"{error}. {SAFELY}") from error
    except (OSError, ValueError) as error:
        raise Unusable(f"{error}") from error
