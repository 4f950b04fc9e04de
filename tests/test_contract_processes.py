"""
Workers with real processes keep the contract, however those are started.
"""

import os
import signal
from pathlib import Path

from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import TestCase

from asynqueue.contents import OUT_OF_BAND
from asynqueue.process import ProcessWorker
from tests import calls
from tests.contract import WorkerContract


class ProcessWorkerMixin(WorkerContract):
    method = "forkserver"
    useReactor = False

    def makeWorker(self, **kw):
        return ProcessWorker(context=self.method, useReactor=self.useReactor, **kw)

    def kill(self, worker):
        os.kill(worker.process.pid, signal.SIGKILL)

    @inlineCallbacks
    def test_itemsBeforeSlowOne(self):
        """
        All items of a burst come while the process is busy with the one after them,
        and that comes as soon as it is there.
        """
        path, items = os.path.abspath(self.mktemp()), []
        _, dr = yield self.outcome(self.getWorker(), calls.burst, 100, path)
        for d in dr:
            # The last of them waits for what is known of the next.
            if len(items) == 99:
                self.assertFalse(d.called)
                Path(path).touch()
            items.append((yield d))
        self.assertEqual(items, 2 * list(range(100)))

    @inlineCallbacks
    def test_sameItem(self):
        """An item comes as it was, whatever the generator does with it later."""
        _, dr = yield self.outcome(self.getWorker(), calls.growing, 50)
        lengths = []
        for d in dr:
            lengths.append(len((yield d)))
        self.assertEqual(lengths, list(range(1, 51)))

    @inlineCallbacks
    def test_itemsOfAllSizes(self):
        """Small and large items may follow one another."""
        sizes = [0, 1, 70_000, 3, 300_000, *[10_000] * 50, 1_000_000, 2]
        _, dr = yield self.outcome(self.getWorker(), calls.blobs, sizes)
        for i, d in enumerate(dr):
            item = yield d
            self.assertTrue(item == bytes((i,)) * sizes[i], i)
        self.assertEqual(i, len(sizes) - 1)


class ForkserverTests(ProcessWorkerMixin, TestCase):
    """
    By the fork server, which is the default.
    """


class AheadTests(ProcessWorkerMixin, TestCase):
    """
    With calls that wait in the pipe, arrays that are shared, and no thread.
    """

    def makeWorker(self, **kw):
        return super().makeWorker(
            prefetch=3, shareAbove=OUT_OF_BAND, poller="reactor", **kw
        )


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
