"""
The workers that other tests step keep the contract themselves.
"""

from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import TestCase

from asynqueue import memory
from tests import calls
from tests.contract import WorkerContract
from tests.crew import CrewWorker, LedWorker
from tests.memory import MemoryWorker


class Stepped(WorkerContract):
    """
    What the tests below have in common.
    """

    make: Any = None

    def makeWorker(self, **kw):
        return self.make(instant=True, held=[calls.hold], **kw)

    def whenBegun(self, worker, path):
        return succeed(None)

    def release(self, worker, path):
        super().release(worker, path)
        if worker.tasks:
            worker.finish()

    def kill(self, worker):
        worker.die()


class MemoryWorkerTests(Stepped, TestCase):
    """
    L{asynqueue.memory.MemoryWorker} is a worker like any other.
    """

    make: Any = memory.MemoryWorker


class DirectTests(MemoryWorkerTests):
    """
    So it is if it copies nothing.
    """

    def makeWorker(self, **kw):
        return super().makeWorker(pickler=None, **kw)


class OwnMemoryWorkerTests(Stepped, TestCase):
    """
    So is the one that other tests here use.
    """

    make = MemoryWorker

    def afterCancel(self, worker):
        worker.die()


class CrewWorkerTests(Stepped, TestCase):
    """
    So is L{CrewWorker}, which can be started anew, but goes on when it abandons a
    task.
    """

    make = CrewWorker

    def abandonsAlone(self, worker):
        return True


class LedWorkerTests(CrewWorkerTests):
    """
    And L{LedWorker}.
    """

    make = LedWorker
