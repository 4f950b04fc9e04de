"""
Tests of L{asynqueue.processbase}.
"""

import copy
import os
import pickle
import threading

from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue import processbase
from asynqueue.process import ProcessBase, ProcessQueue, ProcessUniverse
from asynqueue.universe import ProcessUniverse as home
from tests.bases import Other, Tally


class HereTests(SynchronousTestCase):
    """
    Tests of L{ProcessBase} in one process.
    """

    def setUp(self):
        self.patch(processbase, "_data", {})

    def test_addresses(self):
        """
        It and L{ProcessUniverse} are at the addresses that the ancestor had.
        """
        self.assertIs(ProcessBase, processbase.ProcessBase)
        self.assertIs(ProcessUniverse, home)

    def test_shared(self):
        """
        All objects derived from it share their data, whatever their class; what
        they have as attributes is their own and goes first.
        """
        a, b = Tally(), Other()
        a.data["total"] = 7
        self.assertEqual((a.total, b.total), (7, 7))
        vars(b)["total"] = 8
        self.assertEqual((a.total, b.total), (7, 8))
        self.assertIs(a.data, b.data)
        self.assertEqual(a.pid, os.getpid())

    def test_forked(self):
        """
        A process that is a copy of its parent has nothing of the parent's data,
        which is not ended with it.
        """
        tally = Tally()
        tally.begin(7)
        pid = os.getpid()
        self.patch(os, "getpid", lambda: pid + 1)
        self.assertEqual(tally.data, {})
        self.assertEqual(tally.pid, pid + 1)
        self.patch(os, "getpid", lambda: pid)
        self.assertEqual(tally.total, 7)

    def test_threads(self):
        """
        Threads of one process share the data, whichever is the first.
        """
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(Tally().data))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len({id(data) for data in found}), 1)

    def test_missing(self):
        """
        An attribute that there is not is an error that says where it was looked for
        and how it gets there.
        """
        tally = Tally()
        tally.data.update(total=7, more=8)
        with self.assertRaises(AttributeError) as raised:
            tally.missing()
        for part in ("Tally", "'nothing'", str(os.getpid()), "'total'", "update()"):
            self.assertIn(part, str(raised.exception))
        self.assertEqual(getattr(tally, "nothing", 7), 7)

    def test_copies(self):
        """
        They can be copied and pickled: attributes go along, the data stays.
        """
        tally = Tally(3)
        tally.begin(7)
        for made in (
            copy.copy(tally),
            copy.deepcopy(tally),
            pickle.loads(pickle.dumps(tally)),
        ):
            self.assertEqual(made.__dict__, {"step": 3})
            self.assertEqual(made.total, 7)


class ProcessTests(TestCase):
    """
    Tests of L{ProcessBase} in worker processes.
    """

    def makeQueue(self, N, **kw):
        queue = ProcessQueue(N, **kw)
        self.addCleanup(queue.shutdown)
        return queue

    @inlineCallbacks
    def test_update(self):
        """
        What an update sets is there for all later calls in each process, and what
        these make of it for those after them.
        """
        queue = self.makeQueue(2)
        tally = Tally(2)
        yield queue.update(tally.begin, 10)
        looks = yield queue.update(Tally().look, ephemeral=True)
        for said, pid, data in looks:
            self.assertEqual(said, pid)
            self.assertNotEqual(pid, os.getpid())
            self.assertEqual(data, {"total": 10})
        yield gatherResults([queue.call(tally.count) for _ in range(6)])
        totals = yield queue.update(Other().look, ephemeral=True)
        self.assertEqual(sum(totals), 2 * 10 + 6 * 2)
        self.assertEqual(ProcessBase().data, {})

    @inlineCallbacks
    def test_forked(self):
        """
        A forked process has none of its parent's data.
        """
        self.patch(processbase, "_data", {})
        Tally().begin(7)
        queue = self.makeQueue(1, context="fork")
        _, pid, data = yield queue.call(Tally().look)
        self.assertNotEqual(pid, os.getpid())
        self.assertEqual(data, {})

    @inlineCallbacks
    def test_missing(self):
        """
        What is missing is told in the calling process as well.
        """
        queue = self.makeQueue(1)
        failure = None
        try:
            yield queue.call(Tally().missing)
        except AttributeError as e:
            failure = e
        self.assertIn("'nothing'", str(failure))
