"""
Calls on their way to a cluster, and what is told of them.

A link to the cluster lives in a thread of its own; who has given it calls lives in the
reactor's. These are what they know of each other.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

try:
    from distributed import Future
except ImportError as e:
    # Here, because all that has to do with clusters imports me first.
    raise ImportError(
        "A cluster takes dask.distributed, which cannot be imported here: "
        f"{e}. pip install 'asynqueue[cluster]' installs it",
        name=e.name,
    ) from e


class NodeInfo(NamedTuple):
    """
    What is known of a node.

    @ivar address: Where it is reached: C{"tcp://10.0.0.2:41234"}.
    @ivar name: What it is called.
    @ivar threads: How many calls it runs at a time.
    @ivar resources: The names of the resources that it offers.
    @ivar memory: The resident set of its process, in kilobytes (1024 bytes).
    """

    address: str
    name: str
    threads: int
    resources: tuple[str, ...]
    memory: int


class Errand(Protocol):
    """
    A call that is to be made, and who is told what comes of it, always in the reactor's
    thread.

    @ivar number: What no other call has.
    @ivar name: What it is called where people see it.
    @ivar call: As of L{perform<asynqueue.clusternode.perform>}.
    @ivar urgency: What is more urgent has a higher number.
    @ivar resource: What its node has to offer, C{None} for nothing.
    @ivar asks: C{True} if the node has to ask before it begins.
    @ivar runs: How often it may begin.
    """

    number: int
    name: str
    call: bytes
    urgency: int
    resource: str | None
    asks: bool
    runs: int

    def begun(self) -> None:
        """
        A node that had to ask begins.
        """

    def answered(self, node: str, parts: list[bytes]) -> None:
        """
        It is over.

        @param node: The address of the node.
        @param parts: The packet that answers it.
        """

    def failed(self, error: Exception) -> None:
        """
        It could not be made.
        """

    def died(self, nodes: Sequence[str], why: str) -> None:
        """
        It has begun as often as it may.

        @param nodes: Where.
        @param why: What became of the last one.
        """

    def returned(self, runs: int) -> None:
        """
        The scheduler is gone, and I let go of it.

        @param runs: How often it may still begin.
        """

    def released(self) -> None:
        """
        It was cancelled, and takes up no place any more.
        """


class Listener(Protocol):
    """
    Who is told of the cluster, in the reactor's thread.
    """

    def nodesChanged(self, nodes: list[NodeInfo]) -> None:
        """
        @param nodes: All that there are.
        """

    def nodeGone(self, address: str) -> None:
        """
        A node is gone.
        """

    def lost(self, why: str) -> None:
        """
        The scheduler is gone. What became of each errand has been told before.
        """


class Held:
    """
    I am an errand that is with the cluster.

    @ivar nodes: The nodes that are gone and have begun it, or may have.
    @ivar begunOn: The node that has begun it, as far as that is known.
    @ivar isWanted: C{False} if nobody waits for it any more.
    @ivar future: What it was submitted by when that was done last.
    @ivar answered: The one whose answer has come already.
    @ivar key: What dask calls it: a L{Key<asynqueue.clusterclerk.Key>}, as a plain
        tuple, which is empty before it is submitted.
    """

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.asks = errand.asks
        self.nodes: list[str] = []
        self.begunOn: str | None = None
        self.isWanted = True
        self.key: tuple[Any, ...] = ()
        self.future: Future | None = None
        self.answered: Future | None = None

    @property
    def mayBegin(self) -> bool:
        """
        C{True} if it may begin once more.
        """
        return self.isWanted and len(self.nodes) < self.errand.runs

    def lose(self, node: str) -> None:
        """
        A node that had it is gone.
        """
        if self.begunOn is not None or not self.asks:
            self.nodes.append(node)
        self.begunOn = None
        # The clerk tells the next node to.
        self.asks = True
