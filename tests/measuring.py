"""
Commands that measure, as their users run them.
"""

import signal
import subprocess
import sys
import time
from typing import Any

import psutil
from twisted.trial.unittest import SynchronousTestCase

from tests.support import hearInterrupts
from tests.test_program import BOUND, TOP, left


class MeasuringTestCase(SynchronousTestCase):
    """
    Runs a command, from the top of the sources.

    @cvar name: The name of the command.
    """

    name = ""

    def command(self, text):
        return [sys.executable, "-m", "asynqueue", self.name, *text.split()]

    def measure(self, text):
        """
        @return: What was written to standard output and standard error, and the
            exit status.
        """
        done = subprocess.run(
            self.command(text),
            capture_output=True,
            encoding="utf-8",
            timeout=BOUND,
            cwd=TOP,
        )
        return done.stdout, done.stderr, done.returncode

    def interrupt(self, text, count):
        """
        Sends it Ctrl-C as soon as it has a number of processes below it. It has to
        end at once, without a word, and they have to end too.
        """
        process: Any = subprocess.Popen(
            self.command(text),
            preexec_fn=hearInterrupts,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=TOP,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        found = []
        deadline = time.monotonic() + BOUND
        while len(found) < count:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
            found = psutil.Process(process.pid).children(recursive=True)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(BOUND), 130)
        self.assertLess(time.monotonic() - begun, 2)
        self.assertEqual(process.stderr.read(), b"")
        self.assertEqual(left(found), [])
