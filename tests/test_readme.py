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


def literals(name):
    """
    @return: The literal blocks of a text.
    """
    blocks, block = [], None
    for line in [*(TOP / name).read_text().splitlines(), "end"]:
        if block is not None and (line.startswith("    ") or not line):
            block.append(line)
        else:
            if block:
                blocks.append(textwrap.dedent("\n".join(block)).strip() + "\n")
            block = [] if line.endswith("::") else None
    return blocks


def programs(name):
    """
    @return: The programs among them: those that have the guard.
    """
    return [block for block in literals(name) if "__name__" in block]


class ProgramsTests(SynchronousTestCase):
    def run_(self, text, work="", name="work"):
        """
        Runs a program.

        @param work: The source of a module that it may import, of this name.
        """
        path = Path(self.mktemp() + ".py")
        path.write_text(text)
        path.with_name(f"{name}.py").write_text(work)
        return subprocess.run(
            [sys.executable, str(path.absolute())],
            cwd=TOP,
            env={
                **os.environ,
                "PYTHONPATH": f"{TOP}{os.pathsep}{path.parent.absolute()}",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_readme(self):
        """The program of README.rst is short, and prints what is shown there."""
        blocks = literals("README.rst")
        (text,) = programs("README.rst")
        self.assertLess(len(text.splitlines()), 18)
        done = self.run_(text)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        self.assertEqual(done.stdout, blocks[blocks.index(text) + 1])

    def test_howto(self):
        """The first call of the how-to does what it says."""
        (text,) = programs("docs/howto.rst")
        done = self.run_(text)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        self.assertIn("1.414", done.stdout)

    def test_cluster(self):
        """So do the first programs of the page on clusters, with what it changes."""
        first, queue = programs("docs/cluster.rst")
        (work,) = [b for b in literals("docs/cluster.rst") if "def grind" in b]
        other = "from asynqueue.cluster import ClusterQueue"
        (changed,) = [b for b in literals("docs/cluster.rst") if b.startswith(other)]
        self.assertEqual(changed.splitlines()[-1].strip(), "queue = ClusterQueue()")
        embedded = queue.replace("from asynqueue import ProcessQueue", other)
        embedded = embedded.replace("ProcessQueue()", "ClusterQueue(nodes=2)")
        results = "".join(f"{x * x}\n" for x in range(20))
        for text, wanted in [(first, "49\n"), (queue, results), (embedded, results)]:
            done = self.run_(text, work)
            self.assertEqual((done.stderr, done.returncode), ("", 0))
            self.assertEqual(done.stdout, wanted)

    def test_tracing(self):
        """The program of the page on context prints what it says, and the hooks shown
        there are those of the example."""
        (text,) = programs("docs/tracing.rst")
        blocks = literals("docs/tracing.rst")
        (module,) = [block for block in blocks if "def greeting(" in block]
        done = self.run_(text, module, "webapp")
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        self.assertEqual(done.stdout, "Hello Ann Hello Bob\nGood Bob\nBye Bob\n")
        example = (TOP / "docs/examples/tracing.py").read_text()
        for block in blocks[2:]:
            for line in block.splitlines():
                self.assertIn(line.strip(), example)

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
