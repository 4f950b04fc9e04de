"""
Functions called in fresh processes.
"""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import psutil
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.apart import NoAnswer, ask
from tests.test_program import BOUND, TOP, left


def alive(pids):
    """
    @return: The processes of some IDs that do not end within a few seconds.
    """
    processes = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(int(pid)))
    return left(processes)


class AskTests(SynchronousTestCase):
    def ask(self, name, limit=BOUND, **arguments):
        return ask(f"tests.asked:{name}", arguments, limit)

    def noAnswer(self, name, limit=BOUND, **arguments):
        error = self.assertRaises(NoAnswer, self.ask, name, limit, **arguments)
        return str(error)

    def test_answer(self):
        """What a function returns comes back, and nothing that it has printed."""
        self.assertEqual(self.ask("add", a=[1], b=["two"]), [1, "two"])

    def test_raises(self):
        """One that raises has no answer, and what it raised is told."""
        text = self.noAnswer("fail")
        self.assertEqual(text, "ValueError: out of order (exit status 1)")

    def test_ends(self):
        """One that ends its process has none; how that has ended is told."""
        text = self.noAnswer("leave", status=7)
        self.assertEqual(text, "nothing was said (exit status 7)")
        self.assertEqual(self.noAnswer("killSelf"), "killed by SIGKILL")

    def test_hangs(self):
        """One that takes too long is killed, with what it has started."""
        path = self.mktemp()
        text = self.noAnswer("linger", limit=2, path=str(Path(path).absolute()))
        self.assertEqual(text, "no answer within 2 seconds")
        self.assertEqual(alive(Path(path).read_text().split()), [])

    def test_nothingLeft(self):
        """What one has left running when it answers ends."""
        pids = self.ask("startAnother")
        self.assertEqual(len(pids), 2)
        self.assertEqual(alive(pids), [])

    def test_otherCommand(self):
        """Another interpreter can be asked, if told how."""
        program = "import json; print(json.dumps('mine'))"
        found = ask("any:thing", {}, BOUND, [sys.executable, "-c", program])
        self.assertEqual(found, "mine")

    def test_askerKilled(self):
        """When the process that asks is killed, what it asked ends."""
        path = Path(self.mktemp()).absolute()
        program = (
            "from asynqueue.apart import ask\n"
            f"ask('tests.asked:linger', {{'path': {str(path)!r}}}, {BOUND})\n"
        )
        asker = subprocess.Popen([sys.executable, "-c", program], cwd=TOP)
        self.addCleanup(asker.wait)
        self.addCleanup(asker.kill)
        deadline = time.monotonic() + BOUND
        while not path.exists():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        asker.kill()
        self.assertEqual(alive(path.read_text().split()), [])
