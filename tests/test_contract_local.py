"""
Workers without a process keep the contract too.
"""

import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from asynqueue.asyncworker import AsyncWorker
from asynqueue.reactors import theReactor
from asynqueue.threads import ThreadWorker
from tests.contract import WorkerContract
from tests.support import BOUND, threads


class AsyncWorkerTests(WorkerContract, TestCase):
    """
    In the reactor's thread.
    """

    def setUp(self):
        self.gate: Deferred[object] = Deferred()
        self.begun: Deferred[None] = Deferred()

    def makeWorker(self, **kw):
        return AsyncWorker(**kw)

    def hold(self, path):
        self.begun.callback(None)
        return self.gate

    def whenBegun(self, worker, path):
        return self.begun

    def release(self, worker, path):
        self.gate.callback(path)


class ThreadWorkerTests(WorkerContract, TestCase):
    """
    In a thread.
    """

    def setUp(self):
        before = threads()
        self.addCleanup(lambda: self.assertEqual(threads(), before))
        self.gate = threading.Event()
        self.begun: Deferred[None] = Deferred()

    def makeWorker(self, **kw):
        worker = ThreadWorker(**kw)
        self.addCleanup(self.join, worker)
        return worker

    def join(self, worker):
        """
        Waits for the thread of a worker that has crashed, and that is let go.
        """
        self.gate.set()
        if worker.t.thread is not None:
            worker.t.thread.join(BOUND)

    def hold(self, path):
        theReactor(reactor).callFromThread(self.begun.callback, None)
        self.gate.wait(BOUND)
        return path

    def whenBegun(self, worker, path):
        return self.begun

    def release(self, worker, path):
        self.gate.set()
