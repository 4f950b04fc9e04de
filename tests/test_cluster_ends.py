"""
How programs that have a cluster of their own come to their end.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import BOUND, hearInterrupts
from tests.test_endings import waitUntilGone

HERE = Path(__file__).parent

DASK = {"MainThread", "Dask-Offload_0"}
"""
The threads that may be left: dask keeps its own one for good.
"""

OURS = ("asynqueue", "KeyboardInterrupt", "Unhandled")
"""
What nobody may say. When nodes are ended in the middle of calls, or slowly, dask has
much to say that cannot be helped.
"""


def run(what, how):
    """
    @return: The completed process.
    """
    return subprocess.run(
        [sys.executable, str(HERE / "cluster_ending.py"), what, how],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        preexec_fn=hearInterrupts,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        text=True,
        timeout=BOUND,
    )


class EndsTests(SynchronousTestCase):
    def check(self, *ways):
        """
        Asserts that programs end with all of their processes, and say nothing of it.

        @param ways: For each, what L{run} takes.
        @return: Of each, the completed process.
        """
        with ThreadPoolExecutor(len(ways)) as threads:
            ran = list(threads.map(lambda way: run(*way), ways))
        for done, way in zip(ran, ways, strict=True):
            for text in OURS:
                self.assertNotIn(text, done.stderr, way)
            pids = json.loads(done.stdout.splitlines()[0])
            self.assertEqual(waitUntilGone(pids), [], way)
        return ran

    def test_shutdown(self):
        """When a queue is shut down, whatever it does, no thread of it is left."""
        ways = [(what, "shutdown") for what in ("idle", "busy", "starting")]
        for done in self.check(*ways):
            self.assertEqual(done.returncode, 0)
            self.assertEqual(set(json.loads(done.stdout.splitlines()[1])) - DASK, set())

    def test_stop(self):
        """A bare reactor.stop() ends the cluster, and does not wait for calls."""
        began = time.monotonic()
        for done in self.check(*[(what, "stop") for what in ("idle", "busy")]):
            self.assertEqual(done.returncode, 0)
        self.assertLess(time.monotonic() - began, 25)

    def test_interrupt(self):
        """Ctrl-C, which all of its processes are told of, does the same."""
        for done in self.check(*[(what, "SIGINT") for what in ("idle", "busy")]):
            self.assertEqual(done.returncode, 0)
