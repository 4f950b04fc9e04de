"""
A worker process that is none: a child that does as a test says, and a poller whose
far side is answered one packet at a time, in the same process.
"""

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from asynqueue.interfaces import IPoller
from asynqueue.messages import unpack
from asynqueue.processworker import ProcessWorker
from asynqueue.task import Task
from asynqueue.universe import ProcessUniverse
from tests.support import crossed


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


class Reactor(MemoryReactorClock):
    """
    A reactor that a test steps.
    """

    def callFromThread(self, f, *args, **kw):
        self.callLater(0, f, *args, **kw)

    def addSystemEventTrigger(  # type: ignore[override]
        self, phase, event, f, *args, **kw
    ):
        trigger = (phase, event, f, args, kw)
        self.triggers.setdefault(phase, {}).setdefault(event, []).append(trigger)
        return trigger

    def removeSystemEventTrigger(self, trigger):
        self.triggers[trigger[0]][trigger[1]].remove(trigger)


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
        self.tickets: Any = None
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
        self.started.callback("the near end")

    def die(self, exitcode):
        """The process is found to have ended."""
        self.exitcode = exitcode
        self.died.callback(exitcode)


@implementer(IPoller)
class StepPoller:
    """
    A poller with a universe of its own behind it, which answers when it is told.

    @ivar asked: The packet that was sent and not answered, C{None} if none.
    @ivar sent: The envelopes of all packets that were sent.
    @ivar instant: C{True} to answer while a packet is still being sent.
    @ivar answerAtHangUp: C{True} if the answer is in the pipe when I hang up.
    @ivar stopped: C{True} when it was stopped.
    """

    def __init__(self, interval, backoff, reactor):
        self.interval = interval
        self.backoff = backoff
        self.universe = ProcessUniverse()
        self.asked: Any = None
        self.sent: list[Any] = []
        self.instant = False
        self.answerAtHangUp = False
        self.connection = None
        self.stopped = False
        self._d: Any = None

    def connect(self, connection):
        if self.connection is not None:
            raise RuntimeError("There is a connection already")
        self.connection = connection
        self.universe = ProcessUniverse()

    def ask(self, packet):
        if self.asked is not None:
            raise RuntimeError("Asked before the last packet was answered")
        if self.connection is None:
            raise RuntimeError("Asked without a connection")
        self.asked = crossed(packet)
        # Of a copy, because opening a packet uses it up.
        self.sent.append(unpack(list(self.asked))[0])
        d = self._d = Deferred()
        if self.instant:
            self.answer()
        return d

    def answer(self, packet=None):
        """The far side answers, by itself or with the packet given."""
        asked, self.asked = self.asked, None
        if packet is None:
            packet = self.universe.answer(asked)[1]
        self._d.callback(crossed(packet))

    def answerAll(self):
        """The far side answers until nothing is asked any more."""
        while self.asked is not None:
            self.answer()

    def lose(self, error):
        """The pipe breaks."""
        self.asked = None
        self._d.errback(error)

    def hangUp(self):
        self.connection = None
        if self.answerAtHangUp:
            self.answerAll()
        if self.asked is not None:
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
