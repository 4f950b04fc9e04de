"""
What README.rst and the how-to print runs, and the mistakes that people make are met.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TOP = Path(__file__).parent.parent


def programs(name):
    """
    @return: The programs that stand in a text as literal blocks: those that have
        the guard.
    """
    blocks, block = [], None
    for line in [*(TOP / name).read_text().splitlines(), "end"]:
        if block is not None and (line.startswith("    ") or not line):
            block.append(line)
        else:
            if block:
                blocks.append(textwrap.dedent("\n".join(block)).strip() + "\n")
            block = [] if line.endswith("::") else None
    return [block for block in blocks if "__name__" in block]


class ProgramsTests(SynchronousTestCase):
    def run_(self, text):
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
        """The ten lines of README.rst do what they say."""
        (text,) = programs("README.rst")
        self.assertEqual(len([line for line in text.splitlines() if line]), 10)
        done = self.run_(text)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        first, rest = done.stdout.split("\n", 1)
        self.assertEqual(int(first), 2**100)
        self.assertEqual(rest, (TOP / "README.rst").read_text())

    def test_howto(self):
        """The first call of the how-to does what it says."""
        (text,) = programs("docs/howto.rst")
        done = self.run_(text)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        self.assertIn("1.414", done.stdout)

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
            self.assertIn("if __name__ == '__main__':", done.stderr)
            self.assertIn("exit code 1 before it was ready for calls", done.stdout)
            self.assertEqual(done.stderr.count("Traceback"), 1)

    def test_forgotten(self):
        """A program that forgets its queue ends all the same."""
        done = self.run_(
            "from asynqueue import ProcessQueue\n"
            "if __name__ == '__main__':\n"
            "    queue = ProcessQueue(1)\n"
            "    queue.call(abs, -1)\n"
        )
        self.assertEqual((done.stderr, done.returncode), ("", 0))
