"""
What docs/mistakes.rst says is seen is seen.
"""

import os
import re
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import BOUND, hearInterrupts

TOP = Path(__file__).parent.parent

BLOCK = re.compile(
    r"^\.\. code-block:: (\w+)\n\n((?:    .*\n|\n)+)", flags=re.MULTILINE
)


def programs():
    """
    @return: A list of pairs of a program and what it prints.
    """
    text = (TOP / "docs" / "mistakes.rst").read_text()
    blocks = [(kind, textwrap.dedent(block)) for kind, block in BLOCK.findall(text)]
    return [
        (program, shown)
        for (kind, program), (_, shown) in zip(blocks[::2], blocks[1::2], strict=True)
        if kind == "python"
    ]


def pattern(shown):
    """
    @return: A regular expression for what is shown: three dots for anything, and
        line breaks where they suit the page.
    """
    parts = [re.escape(" ".join(part.split())) for part in shown.split("...")]
    return ".*".join(parts)


def run(program, directory):
    """
    @return: What it prints, its standard error included, each run of white space as
        one space. It is all there when all of its processes have closed their outputs.
    """
    directory.mkdir()
    path = directory / "program.py"
    path.write_text(program)
    # As on a terminal, in the order in which it is printed.
    environment = {**os.environ, "PYTHONPATH": str(TOP), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [sys.executable, str(path)],
        env=environment,
        preexec_fn=hearInterrupts,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BOUND,
    )
    return " ".join(done.stdout.split())


class MistakesTests(SynchronousTestCase):
    def test_shown(self):
        """
        Each program prints what is shown, and ends with all of its processes.
        """
        pairs = programs()
        self.assertEqual(len(pairs), 13)
        top = Path(self.mktemp()).absolute()
        top.mkdir()
        with ThreadPoolExecutor(4) as pool:
            outputs = pool.map(
                lambda i: run(pairs[i][0], top / str(i)), range(len(pairs))
            )
            for (_, shown), output in zip(pairs, outputs, strict=True):
                self.assertRegex(output, pattern(shown))

    def test_pattern(self):
        """Three dots stand for anything, white space is all the same."""
        self.assertEqual(pattern("a\n  b ... (c)"), r"a\ b.*\(c\)")
