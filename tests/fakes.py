"""
A worker process that is none: a child that does as a test says, and a poller whose
far side is answered one packet at a time, in the same process.
"""

import multiprocessing
from collections import deque
from multiprocessing.connection import Connection
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from asynqueue.interfaces import IPoller
from asynqueue.memory import SteppedReactor
from asynqueue.messages import Call, unpack
from asynqueue.processworker import ProcessWorker
from asynqueue.task import Task
from asynqueue.tickets import Gate, Tickets, makePipe
from asynqueue.universe import ProcessUniverse
from tests.support import crossed

Reactor = SteppedReactor


def double(x):
    return 2 * x


def count(n):
    yield from range(n)


def brittle(n):
    yield from range(n)
    raise ZeroDivisionError("enough")


def makeTask(f, *args, raw=None):
    """A task as a queue would make it."""
    task = Task(f, args, {}, 0, None)
    task.raw = raw
    return task


class FakeChild:
    """
    What L{asynqueue.children.Child} is to its worker.

    @ivar asked: What was asked of it: "terminate", "kill".
    """

    pids = iter(range(1000, 10**9))

    def __init__(self, context, settings, reactor):
        self.settings = settings
        self.started: Any = Deferred()
        self.died: Any = Deferred()
        self.pid = None
        self.exitcode: Any = None
        self.stack: str | None = None
        self.near: Any = "the near end"
        self.tickets: Any = None
        self.sharing: Any = None
        if settings is not None and settings.prefetch:
            # The poller's universe, too, has the read end.
            self.near, writer = makePipe(multiprocessing)
            self.tickets = Tickets(self.near, writer)
        self.asked: list[str] = []
        self.begun = False

    def start(self):
        self.begun = True

    def is_alive(self):
        return self.pid is not None and self.exitcode is None

    def catchUp(self):
        pass

    def terminate(self):
        self.asked.append("terminate")

    def kill(self):
        self.asked.append("kill")

    def come(self):
        """The process is started."""
        self.pid = next(self.pids)
        self.started.callback(self.near)

    def die(self, exitcode):
        """The process is found to have ended."""
        self.exitcode = exitcode
        self.died.callback(exitcode)


class StepGate(Gate):
    """
    A gate at which a process can begin with a call and not yet be done with it.
    """

    def __init__(self, reader):
        super().__init__(reader)
        self._admitted: bool | None = None

    def begin(self):
        """The process comes to the next call, and begins with it if it may."""
        if self._admitted is None:
            self._admitted = super().admit()
        return self._admitted

    def admit(self):
        admitted, self._admitted = self._admitted, None
        return super().admit() if admitted is None else admitted


@implementer(IPoller)
class StepPoller:
    """
    A poller with a universe of its own behind it, which answers when it is told.

    @ivar sent: The envelopes of all packets that were sent.
    @ivar instant: C{True} to answer while a packet is still being sent.
    @ivar answerAtHangUp: C{True} if the answers are in the pipe when I hang up.
    @ivar stopped: C{True} when it was stopped.
    @ivar most: The largest number of packets that were in the pipe at a time.
    """

    def __init__(self, interval, backoff, reactor):
        self.interval = interval
        self.backoff = backoff
        self.universe = ProcessUniverse()
        self.gate: Any = None
        self.sent: list[Any] = []
        self.instant = False
        self.answerAtHangUp = False
        self.connection = None
        self.stopped = False
        self.most = 0
        self._asked: deque[Any] = deque()

    @property
    def asked(self):
        """The packet that was sent first of those not answered, C{None} if none."""
        return self._asked[0] if self._asked else None

    def connect(self, connection, answered, lost):
        if self.connection is not None:
            raise RuntimeError("There is a connection already")
        self.connection = connection
        self._answered, self._lost = answered, lost
        gate = StepGate(connection) if isinstance(connection, Connection) else None
        self.universe = ProcessUniverse(gate=gate)
        self.gate = gate

    def ask(self, packet):
        if self.connection is None:
            raise RuntimeError("Asked without a connection")
        asked = crossed(packet)
        self._asked.append(asked)
        self.most = max(self.most, len(self._asked))
        # Of a copy, because opening a packet uses it up.
        self.sent.append(unpack(list(asked))[0])
        if self.instant:
            self.answer()

    def begin(self):
        """
        The far side begins with the next call, unless it was taken back.

        @return: The call's first argument if it begins, C{None} if it does not.
        """
        if not self._asked:
            return None
        envelope, load = unpack(list(self.asked))
        begins = isinstance(envelope, Call) and self.gate.begin()
        return load()[1][0] if begins else None

    def answer(self, packet=None):
        """The far side answers, by itself or with the packet given."""
        asked = self._asked.popleft()
        if packet is None:
            packet = self.universe.answer(asked)[1]
        self._answered([crossed(packet)])

    def answerAll(self):
        """The far side answers until nothing is asked any more."""
        while self._asked:
            self.answer()

    def lose(self, error, unsent=0):
        """The pipe breaks, when it has not taken the last ones yet."""
        asked, self._asked = self._asked, deque()
        if asked:
            self._lost(Failure(error), unsent)

    def hangUp(self):
        self.connection = None
        if self.answerAtHangUp:
            self.answerAll()
        self.lose(EOFError("Hung up"))
        return succeed(None)

    def stop(self):
        self.stopped = True
        return self.hangUp()


class Bench:
    """
    A L{ProcessWorker} on fakes.

    @ivar children: The children that it has started, in order.
    """

    def __init__(self, **kw):
        self.reactor = Reactor()
        self.children = []
        self.worker = ProcessWorker(
            poller=self._makePoller, launch=self._launch, reactor=self.reactor, **kw
        )

    def _makePoller(self, **kw):
        self.poller = StepPoller(**kw)
        return self.poller

    def _launch(self, *args):
        self.children.append(FakeChild(*args))
        return self.children[-1]

    @property
    def child(self):
        """The child that it has or had last."""
        return self.children[-1]

    def up(self):
        """Has the worker's process come up."""
        self.worker.start()
        self.child.come()
        self.poller.answer()
        return self
