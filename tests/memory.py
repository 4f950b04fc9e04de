"""
Workers in memory that a test steps, and a queue of them.
"""

from collections.abc import Hashable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from zope.interface import implementer, implementer_only

from asynqueue import memory
from asynqueue.base import TaskQueue
from asynqueue.interfaces import IRenewable, IWorker
from asynqueue.task import Task
from tests.fakes import Reactor


class MemoryWorker(memory.MemoryWorker):
    """
    I am one as users have it, but I pickle nothing, and die only if the test says so.

    @ivar lingers: C{True} if I am not gone before L{vanish} is called.
    """

    cQualified: ClassVar[list[Hashable]] = ["memory", "local"]
    iQualified: Any

    def __init__(self, series=(), raw=False, lingers=False, **kw):
        super().__init__(series, raw, pickler=None, **kw)
        self.lingers = lingers

    @property
    def isComingUp(self):
        """
        C{True} if I have been started and am not up yet.
        """
        return bool(self._starters)

    def vanish(self):
        """
        Is gone, having been stopped.
        """
        self.lingers = False
        self._tellIfStopped()

    def _abandon(self, task):
        pass

    def _tellIfStopped(self):
        if not self.lingers:
            super()._tellIfStopped()


@implementer_only(IWorker)
class PlainMemoryWorker(MemoryWorker):
    """
    I cannot be started anew, nor abandon a task.
    """


@implementer(IRenewable)
class RenewableMemoryWorker(MemoryWorker):
    """
    I can be replaced.

    @ivar worn: After how many calls I am worn out, C{None} for never.
    @ivar successors: What I have made, by the I{make} that I was made with.
    """

    def __init__(self, *args, worn=None, make=None, **kw):
        super().__init__(*args, **kw)
        self.worn = worn
        self.successors = []
        self._make = make
        self._settlers = []

    def isWorn(self, calls):
        return self.worn is not None and calls >= self.worn

    def successor(self):
        successor = self._make(self.iQualified)
        self.successors.append(successor)
        return successor

    def settled(self):
        """
        Is for the test to tell, with L{settle}.
        """
        d: Deferred[None] = Deferred()
        self._settlers.append(d)
        return d

    def settle(self):
        """
        Has nothing left that came of its tasks.
        """
        settlers, self._settlers = self._settlers, []
        for d in settlers:
            d.callback(None)


def makeTask(f, *args, **kw):
    """
    @return: A task with a priority of its own.
    """
    return Task(f, args, kw, 1, None)


class SteppedQueue(TaskQueue):
    """
    A L{TaskQueue} on a reactor that a test steps.

    @ivar reactor: That reactor.
    """

    def __init__(self, *workers, **kw):
        self.reactor = Reactor()
        super().__init__(*workers, reactor=self.reactor, **kw)


def stopReactor(reactor):
    """
    Does what a reactor does before it stops.

    @return: A list of the Deferreds that it waits for.
    """
    triggers = list(reactor.triggers.get("before", {}).get("shutdown", []))
    reactor.triggers.clear()
    return [f(*args, **kw) for _, _, f, args, kw in triggers]


class Results:
    """
    I record what Deferreds come to, and how often.

    @ivar all: A list of results for each name.
    """

    def __init__(self):
        self.all = {}

    def watch(self, name, d):
        """
        Records what a Deferred comes to, under a name.
        """
        self.all[name] = []
        d.addBoth(self.all[name].append)
        return d

    def __getitem__(self, name):
        return self.all[name]
