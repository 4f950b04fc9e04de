"""
A connection to a cluster that is a test's own, and who has a life with it.
"""

import pickle
from typing import Any

from twisted.internet.defer import Deferred, succeed

from asynqueue.clusterlife import ClusterLife
from asynqueue.clusterpacker import Packer
from asynqueue.messages import unpack
from asynqueue.picklers import findPickler
from asynqueue.readings import parts
from asynqueue.universe import ProcessUniverse
from tests.fakes import Reactor
from tests.support import StepLooper


class StepConnection:
    """
    A connection whose nodes make calls when a test says so.

    @ivar opened: Fires when it is open.
    @ivar sent: The errands that it was given.
    @ivar cancelled: The numbers of those that were cancelled.
    @ivar updates: Of each update, a tuple of its number, its call, whether it is
        lasting, and the Deferred of what it comes to.
    @ivar isClosed: C{True} when it was closed.
    """

    def __init__(self):
        self.opened: Deferred[None] = Deferred()
        self.sent: list[Any] = []
        self.cancelled: list[int] = []
        self.updates: list[tuple[int, bytes, bool, Deferred[Any]]] = []
        self.inquiries: list[tuple[str, Any]] = []
        self.isClosed = False
        self.universe = ProcessUniverse()

    def open(self, listener, timeout):
        self.listener = listener
        return self.opened

    def submit(self, errand):
        self.sent.append(errand)

    def cancel(self, errand):
        self.cancelled.append(errand.number)

    def update(self, number, call, isLasting):
        d: Deferred[Any] = Deferred()
        self.updates.append((number, call, isLasting, d))
        return d

    def inquire(self, node, packet):
        self.inquiries.append((node, unpack([*packet])[0]))
        return succeed(self._answer(packet))

    def close(self):
        self.isClosed = True
        return succeed(None)

    # --- What a test has a node do.

    def answer(self, errand, node="A"):
        """
        Makes the call of an errand, on a node.
        """
        errand.answered(node, self.made(errand.call))

    def made(self, call):
        """
        @return: The parts of the packet that answers a call.
        """
        return self._answer(pickle.loads(call))

    def _answer(self, packet):
        return parts(self.universe.answer([*packet])[1] or [])


class Owner:
    """
    Who has a life, and writes down what it is told.
    """

    def __init__(self):
        self.told: list[tuple[Any, ...]] = []
        self.times: list[tuple[float, float]] = []

    def nodesChanged(self, nodes):
        self.told.append(("nodes", nodes))

    def lost(self, life, why):
        self.told.append(("lost", why))

    def record(self, task, here, there, node=""):
        self.times.append((here, there))


class Lives:
    """
    I am a life with all that it has.
    """

    def __init__(self):
        self.connection = StepConnection()
        self.owner = Owner()
        self.looper = StepLooper()
        self.reactor = Reactor()
        self.life = self._make(self.connection, self.looper)

    def _make(self, connection, looper):
        pickler = findPickler("cloudpickle")
        packer = Packer(pickler, looper)
        return ClusterLife(connection, self.owner, looper, packer, self.reactor)
