"""
Workers with real processes keep the contract, however those are started.
"""

import os
import signal

from twisted.trial.unittest import TestCase

from asynqueue.process import ProcessWorker
from tests.contract import WorkerContract


class ProcessWorkerMixin(WorkerContract):
    method = "forkserver"
    useReactor = False

    def makeWorker(self, **kw):
        return ProcessWorker(context=self.method, useReactor=self.useReactor, **kw)

    def kill(self, worker):
        os.kill(worker.process.pid, signal.SIGKILL)


class ForkserverTests(ProcessWorkerMixin, TestCase):
    """
    By the fork server, which is the default.
    """


class SpawnTests(ProcessWorkerMixin, TestCase):
    """
    By starting a fresh interpreter.
    """

    method = "spawn"


class ForkTests(ProcessWorkerMixin, TestCase):
    """
    By a copy of the parent, where a user asks for it.
    """

    method = "fork"


class ReactorTests(ProcessWorkerMixin, TestCase):
    """
    With a reactor in the process.
    """

    useReactor = True
