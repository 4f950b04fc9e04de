"""
The worker that other tests step keeps the contract itself.
"""

from twisted.internet.defer import succeed
from twisted.trial.unittest import TestCase

from tests import calls
from tests.contract import WorkerContract
from tests.memory import MemoryWorker


class MemoryWorkerTests(WorkerContract, TestCase):
    """
    L{MemoryWorker} is a worker like any other.
    """

    def makeWorker(self, **kw):
        return MemoryWorker(instant=True, held=[calls.hold], **kw)

    def whenBegun(self, worker, path):
        return succeed(None)

    def release(self, worker, path):
        super().release(worker, path)
        if worker.tasks:
            worker.finish()

    def kill(self, worker):
        worker.die()

    afterCancel = kill
