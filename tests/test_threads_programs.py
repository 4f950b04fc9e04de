"""
Threads in the real reactor, and in programs of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase, TestCase

from asynqueue.threads import ThreadQueue
from tests import calls
from tests.support import BOUND
from tests.test_base_floods import N, depth


class FloodTests(TestCase):
    """
    However many calls there are, and however quickly they end, all come to their
    end, without recursion.
    """

    def setUp(self):
        self.queue = ThreadQueue()
        self.addCleanup(self.queue.shutdown)
        self.deepest = 0

    def call(self, i):
        return self.queue.call(calls.echo, i).addCallback(self.check, i)

    def check(self, result, i):
        self.assertEqual(result, i)
        self.deepest = max(self.deepest, depth())
        return i

    @inlineCallbacks
    def test_atOnce(self):
        """Thousands of instant calls that are made at once."""
        base = depth()
        yield gatherResults([self.call(i) for i in range(N)])
        self.assertLess(self.deepest, base + 100)

    @inlineCallbacks
    def test_oneAfterAnother(self):
        """Thousands of them one after another."""
        base = depth()
        for i in range(N):
            yield self.call(i)
        self.assertLess(self.deepest, base + 100)


PROGRAM = """
import threading
from twisted.internet import reactor
from asynqueue import threads

queue = threads.ThreadQueue(grace=0.1)
threads.GRACE = 0.1

def told(result):
    print("got", result, flush=True)
    {busy}
    {end}

queue.call(int, "7").addCallback(told)
threads.deferToThread(int)
reactor.run()
"""


class ExitTests(SynchronousTestCase):
    """
    Threads never keep the interpreter from exiting.
    """

    def test_exit(self):
        """
        A program that never shuts down its queue exits, idle or with a call that
        never ends, by reactor.stop() or by leaving the reactor altogether.
        """
        never = "threading.Event().wait"
        busy = f"queue.call({never}).addErrback(lambda _: None); "
        busy += f"threads.deferToThread({never}).addErrback(lambda _: None)"
        for what in ("pass", busy):
            for end in ("reactor.stop()", "reactor.crash()"):
                program = PROGRAM.format(busy=what, end=end)
                done = subprocess.run(
                    [sys.executable, "-c", program],
                    env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=BOUND,
                )
                self.assertEqual(done.stdout, "got 7\n")
                self.assertEqual((done.stderr, done.returncode), ("", 0))
