"""
The program in README.rst runs, and the mistakes that people make are met.
"""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.documents import TOP, blocks


class ProgramsTests(SynchronousTestCase):
    def run_(self, text):
        """
        Runs a program.
        """
        path = Path(self.mktemp() + ".py")
        path.write_text(text)
        return subprocess.run(
            [sys.executable, str(path.absolute())],
            cwd=TOP,
            env={**os.environ, "PYTHONPATH": str(TOP)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_readme(self):
        """The program of README.rst is short, and prints what is shown there."""
        found = blocks((TOP / "README.rst").read_text())
        (text,) = [block.code for block in found if block.isProgram]
        self.assertLess(len(text.splitlines()), 18)
        done = self.run_(text)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        (shown,) = [block.code for block in found if block.said == "output"]
        self.assertEqual(done.stdout, shown)

    def test_noGuard(self):
        """A program without the guard ends, and is told what it lacks."""
        for method in ("forkserver", "spawn"):
            done = self.run_(
                "from twisted.internet import reactor\n"
                "from asynqueue import ProcessQueue\n"
                f"queue = ProcessQueue(1, context={method!r})\n"
                "d = queue.call(abs, -1)\n"
                "d.addErrback(lambda failure: print(failure.getErrorMessage()))\n"
                "d.addBoth(lambda _: queue.shutdown())\n"
                "d.addBoth(lambda _: reactor.stop())\n"
                "reactor.run()\n"
            )
            self.assertEqual(done.returncode, 0)
            for output in (done.stderr, done.stdout):
                self.assertEqual(output.count("if __name__ == '__main__':"), 1)
            self.assertIn("exit code 78 before it was ready for calls", done.stdout)
            self.assertEqual(done.stderr.count("Traceback"), 0)

    def test_forgotten(self):
        """A program that forgets its queue ends all the same."""
        done = self.run_(
            "from asynqueue import ProcessQueue\n"
            "if __name__ == '__main__':\n"
            "    queue = ProcessQueue(1)\n"
            "    queue.call(abs, -1)\n"
        )
        self.assertEqual((done.stderr, done.returncode), ("", 0))
