"""
What the contract of workers is tested with.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest

from asynqueue.assignments import entrust
from asynqueue.interfaces import ICanceller, IRestartable
from asynqueue.task import Task
from tests import calls
from tests.support import BOUND

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase

    _Base = TestCase
else:
    _Base = object


class CountedTask(Task):
    """
    A task that counts how often it is ended.
    """

    endings = 0

    def callback(self, statusResult):
        self.endings += 1
        super().callback(statusResult)


class ContractTools(_Base):
    """
    I am what the tests of L{tests.contract.WorkerContract} use, some of which
    each kind of worker does in its own way.

    @ivar hold: What a worker is kept busy with: takes a path, and returns it when
        L{release} is called with that.
    @cvar takesTurns: C{False} if calls run while iterators are asked, or closed.
    """

    takesTurns = True
    hold = staticmethod(calls.hold)

    def makeWorker(self, **kw):
        """
        Override me.

        @param kw: I{series} or I{raw}.
        @return: A new worker. It is stopped when the test is over.
        """
        raise NotImplementedError

    def release(self, worker, path):
        """
        Lets the call of L{hold} that a worker has in hand end.
        """
        Path(path).touch()

    @inlineCallbacks
    def whenBegun(self, worker, path):
        """
        Waits until the call of L{hold} that a worker has in hand has begun.
        """
        yield self.until(lambda: os.path.exists(path + calls.BEGUN))

    @inlineCallbacks
    def until(self, isSo):
        """
        Waits until something is so that nobody tells of.
        """
        deadline = reactor.seconds() + BOUND
        while not isSo() and reactor.seconds() < deadline:
            yield deferLater(reactor, 0.002)

    def kill(self, worker):
        """
        Ends what a worker runs on. Override me if there is such a thing.
        """
        raise SkipTest("Nothing can be killed here")

    def abandonsAlone(self, worker):
        """
        @return: C{True} if a worker abandons a task that runs without what it runs
            on, and so does not resign. Override me if that cannot be told from
            whether it can begin anew.
        """
        return not IRestartable.providedBy(worker)

    def afterCancel(self, worker):
        """
        Is called when a worker was asked to abandon the task in hand.
        """

    def getWorker(self, **kw):
        """
        @return: A new worker, to be ended when the test is over.
        """
        worker = self.makeWorker(**kw)
        self.addCleanup(worker.stop)
        self.addCleanup(worker.crash)
        return worker

    def getCanceller(self):
        """
        @return: A new worker that can abandon tasks.
        """
        worker = self.getWorker()
        if not ICanceller.providedBy(worker):
            raise SkipTest("A task cannot be abandoned here")
        return worker

    def entrust(self, worker, f, *args, raw=None, **kw):
        """
        @return: A task that a worker has been given, and the Deferred that
            fires when it is ready for another.
        """
        task = CountedTask(f, args, kw, 1, None)
        task.raw = raw
        return task, entrust(task, worker)

    def outcome(self, worker, f, *args, raw=None, **kw):
        """
        @return: A Deferred of the status and result that a call comes to.
        """
        return self.entrust(worker, f, *args, raw=raw, **kw)[0].d

    def whenResigned(self, worker):
        """
        @return: A Deferred that fires when a worker resigns, with whether the
            task in hand was over by then, and the tasks that it gives back.
        """
        d: Deferred[Any] = Deferred()
        inHand = worker.tasks[0]

        def resigned():
            if not d.called:
                d.callback((inHand.isOver(), worker.crash()))

        worker.setResignator(resigned)
        return d

    @inlineCallbacks
    def getBusy(self, worker, others=0):
        """
        Has a worker hold on to a call, and others wait behind it.

        @return: A Deferred of the path to release it by, and of lists of the
            tasks and of the Deferreds of C{run}.
        """
        yield self.entrust(worker, calls.echo)[1]
        path = os.path.abspath(self.mktemp())
        given = [self.entrust(worker, self.hold, path)]
        yield self.whenBegun(worker, path)
        given += [self.entrust(worker, calls.echo, i) for i in range(others)]
        return (path, *map(list, zip(*given, strict=True)))
