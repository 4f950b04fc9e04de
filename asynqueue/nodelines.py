"""
What the iterators on a node of a cluster are asked through.
"""

import itertools
from collections.abc import Callable
from time import perf_counter

from twisted.internet.defer import Deferred

from asynqueue.errors import WorkerDied
from asynqueue.packets import Packet
from asynqueue.readings import parts
from asynqueue.replies import Reply, openReply
from asynqueue.requests import Line

Ask = Callable[[str, list[bytes]], "Deferred[list[bytes]]"]
"""
Sends the parts of a packet to the node with an address. The Deferred fires with those
of the packet that answers it.
"""


class NodeLine:
    """
    I am to one node what a L{Channel<asynqueue.channel.Channel>} is to a process, as
    far as its iterators need one.
    """

    def __init__(self, address: str, ask: Ask, numbers: "itertools.count[int]") -> None:
        """
        @param numbers: Gives numbers to requests.
        """
        self._address = address
        self._ask = ask
        self._numbers = numbers

    def number(self) -> int:
        """
        @return: A number for a request.
        """
        return next(self._numbers)

    def inquire(
        self, number: int, packet: Packet, line: Line, call: str | None = None
    ) -> "Deferred[Reply]":
        """
        Asks for an answer.

        @return: A Deferred that fires with it.
        """
        start = perf_counter()
        d = self._ask(self._address, parts(packet))
        return d.addCallback(
            lambda answer: openReply([*answer], number, perf_counter() - start)
        )

    def died(self, doing: str) -> WorkerDied:
        """
        @param doing: What came to nothing by it, as the end of a sentence.
        @return: An error that tells of the node's end.
        """
        return WorkerDied(f"The node {self._address} is gone{doing}")
