"""
An update on one node of a cluster, and what it came to.

A node imports me. No Twisted.
"""

import pickle

from asynqueue.messages import Status, pack, unpack
from asynqueue.packets import Packet
from asynqueue.readings import parts
from asynqueue.universe import ProcessUniverse


class Update:
    """
    I am an update on one node.

    @ivar hasFailed: C{True} if it raised when it was last tried.
    """

    def __init__(self, call: bytes) -> None:
        self.hasFailed = True
        self._call = call
        self._answer: Packet = []

    def run(self, universe: ProcessUniverse) -> None:
        """
        Makes the call.
        """
        _, answer = universe.answer(pickle.loads(self._call))
        self._answer = parts(answer or [])
        envelope, _ = unpack([*self._answer])
        self.hasFailed = envelope.status is Status.ERROR

    def answer(self, number: int) -> list[bytes]:
        """
        @return: What it came to, as the parts of a packet with that number.
        """
        envelope, load = unpack([*self._answer])
        return parts(pack(envelope._replace(number=number), load()))
