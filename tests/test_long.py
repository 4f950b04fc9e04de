"""
Calls and results so long that a thread pickles and loads them, on fakes.
"""

import io
import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.base import TaskQueue
from asynqueue.contents import Contents, Source, TooLong
from asynqueue.errors import PicklingError, WorkerDied
from asynqueue.messages import LONG
from asynqueue.picklers import byName
from tests.fakes import Bench, double, makeTask
from tests.support import StepLooper

LONG_LIST = list(range(LONG))


def longList(n):
    return LONG_LIST[:n]


class SourceTests(SynchronousTestCase):
    @given(st.recursive(st.text() | st.integers() | st.binary(), st.lists))
    def test_loads(self, obj):
        """What is loaded piece by piece is what was pickled."""
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            data = pickle.dumps(obj, protocol)
            self.assertEqual(pickle.Unpickler(Source(data)).load(), obj)

    def test_end(self):
        """A pickle that is cut off is found to be."""
        data = pickle.dumps(LONG_LIST)
        for cut in (0, 1, 100, len(data) - 1):
            source = Source(memoryview(data)[:cut])
            wrong = (EOFError, pickle.UnpicklingError)
            self.assertRaises(wrong, pickle.Unpickler(source).load)

    def test_lines(self):
        """Lines are read one after another, and the rest that is none."""
        for source in (Source(b"a\nbc\nd"), io.BytesIO(b"a\nbc\nd")):
            lines = [source.readline() for _ in range(4)]
            self.assertEqual(lines, [b"a\n", b"bc\n", b"d", b""])


class ContentsTests(SynchronousTestCase):
    def test_tooLong(self):
        """A pickle ends when it has become too long; buffers beside it do not count."""
        for most in (10, LONG):
            contents = Contents(most)
            pickler = byName(contents, contents.staysInBand)
            self.assertRaises(TooLong, pickler.dump, LONG_LIST)
        contents = Contents(100)
        byName(contents, contents.staysInBand).dump(b"x" * LONG)
        self.assertEqual(len(contents.buffers), 1)


class LongTests(SynchronousTestCase):
    def setUp(self):
        self.bench = Bench()
        looper: Any = StepLooper()
        self.looper = self.bench.worker._looper = looper
        self.queue = TaskQueue(self.bench.worker, reactor=self.bench.reactor)
        self.bench.child.come()
        self.poller = self.bench.poller
        self.poller.answerAll()

    def test_call(self):
        """A long call is pickled by the thread, and sent when that is done."""
        d = self.queue.call(len, LONG_LIST)
        self.assertIsNone(self.poller.asked)
        self.looper.step()
        self.poller.answer()
        self.assertEqual(self.successResultOf(d), LONG)
        self.assertFalse(self.looper.jobs)

    def test_short(self):
        """Others are not."""
        d = self.queue.call(double, 1)
        self.poller.answer()
        self.successResultOf(d)
        self.assertFalse(self.looper.jobs)

    def test_result(self):
        """A long result is loaded by the thread; the process goes on meanwhile."""
        first, second = self.queue.call(longList, LONG), self.queue.call(double, 2)
        self.poller.answer()
        self.poller.answer()
        self.assertEqual(self.successResultOf(second), 4)
        self.assertNoResult(first)
        self.looper.step()
        self.assertEqual(self.successResultOf(first), LONG_LIST)

    def test_notPicklable(self):
        """What cannot be pickled by the thread says so, and the next call runs."""
        d = self.queue.call(len, [LONG_LIST, lambda: 1])
        self.looper.step()
        error = self.failureResultOf(d, PicklingError).value
        self.assertIn("its argument 1", str(error))
        d = self.queue.call(double, 1)
        self.poller.answer()
        self.successResultOf(d)

    def test_cancelled(self):
        """A call that is cancelled while it is pickled is never sent."""
        first, second = self.queue.call(len, LONG_LIST), self.queue.call(double, 2)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.looper.step()
        self.poller.answerAll()
        self.assertEqual(self.successResultOf(second), 4)
        self.assertEqual(self.bench.child.asked, [])

    def test_recalled(self):
        """A call that is taken back while it is pickled, and given again, runs once."""
        bench = Bench(prefetch=1)
        looper: Any = StepLooper()
        bench.worker._looper = looper
        bench.up()
        for last in (LONG_LIST, [LONG_LIST, lambda: 1]):
            bench.poller.sent.clear()
            task = makeTask(len, last)
            bench.worker.run(task)
            self.assertEqual(bench.worker.recall(), [task])
            bench.worker.run(task)
            looper.step()
            self.assertEqual((bench.poller.sent, bench.worker.tasks), ([], [task]))
            looper.step()
            bench.poller.answerAll()
            self.successResultOf(task.d)
            self.assertLessEqual(len(bench.poller.sent), 1)

    def test_death(self):
        """One that is pickled when the process dies runs in the next."""
        d = self.queue.call(len, LONG_LIST)
        self.bench.child.die(-9)
        self.looper.step()
        self.bench.child.come()
        self.poller.answer()
        self.looper.step()
        self.poller.answer()
        self.assertEqual(self.successResultOf(d), LONG)

    def test_deathMeanwhile(self):
        """A result that is here is delivered, whatever happens to the process."""
        d = self.queue.call(longList, LONG)
        self.poller.answer()
        other = self.queue.call(double, 1)
        self.bench.child.die(-9)
        self.failureResultOf(other, WorkerDied)
        self.looper.step()
        self.assertEqual(self.successResultOf(d), LONG_LIST)

    def test_stop(self):
        """A worker is not done before the results that it has are delivered."""
        d = self.queue.call(longList, LONG)
        self.poller.answer()
        done = self.queue.shutdown()
        self.poller.answerAll()
        self.assertNoResult(done)
        self.looper.step()
        self.assertEqual(self.successResultOf(d), LONG_LIST)
        self.poller.answerAll()
        self.bench.child.die(0)
        self.successResultOf(done)
        self.assertTrue(self.looper.stopped)

    def test_noThread(self):
        """Without the thread the call fails, and says why."""
        self.looper.stop()
        self.failureResultOf(self.queue.call(len, LONG_LIST))
        d = self.queue.call(longList, LONG)
        self.poller.answer()
        self.failureResultOf(d)
