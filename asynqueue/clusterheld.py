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

    @ivar place: What place it took when it first came into the line, 0 before that.
    @ivar asks: C{True} if its node has to ask before it begins.
    @ivar nodes: The nodes that are gone and have begun it, or may have.
    @ivar begunOn: The node that has begun it, as far as that is known.
    @ivar isWanted: C{False} if nobody waits for it any more.
    @ivar bundle: The L{Bundle} that it was handed to dask in; C{None} before that, and
        when it has left it.
    """

    def __init__(self, errand: Errand) -> None:
        self.errand = errand
        self.place = 0
        self.asks = errand.asks
        self.nodes: list[str] = []
        self.begunOn: str | None = None
        self.isWanted = True
        self.bundle: Bundle | None = None

    @property
    def mayBegin(self) -> bool:
        """
        C{True} if it may begin once more.
        """
        return self.isWanted and len(self.nodes) < self.errand.runs

    def lose(self, node: str) -> None:
        """
        A node that had it is gone, or one that had begun it has let it be.
        """
        if self.begunOn is not None or not self.asks:
            self.nodes.append(node)
        self.begunOn = None

    def leave(self) -> None:
        """
        Nothing more is expected of the bundle that it is in, if any.
        """
        if self.bundle is not None:
            del self.bundle.waiting[self.errand.number]
            self.bundle = None


class Bundle:
    """
    I am a task of dask's: one call, or some that are made one after the other.

    @ivar key: What dask calls me: a L{Key<asynqueue.clusterclerk.Key>}, as a plain
        tuple.
    @ivar serial: The serial number in it.
    @ivar asks: C{True} if my node has to ask before it begins.
    @ivar future: What dask has given for me.
    @ivar waiting: The calls that something is still expected of, by their numbers.
    """

    def __init__(self, serial: int, key: tuple[Any, ...], calls: list[Held]) -> None:
        self.serial = serial
        self.key = key
        self.asks = calls[0].asks
        self.future: Future | None = None
        self.waiting = {held.errand.number: held for held in calls}

    def begin(self, future: Future) -> None:
        """
        I am with dask.
        """
        self.future = future
        for held in self.waiting.values():
            held.bundle = self

    def calls(self) -> list[bytes]:
        """
        @return: The calls, as of L{perform<asynqueue.clusternode.perform>}.
        """
        return [held.errand.call for held in self.waiting.values()]

    def end(self) -> list[Held]:
        """
        Nothing more is expected of me.

        @return: What was.
        """
        left = list(self.waiting.values())
        for held in left:
            held.leave()
        return left

    def unwanted(self) -> list[Held]:
        """
        @return: The calls that nobody waits for any more.
        """
        return [held for held in self.waiting.values() if not held.isWanted]
