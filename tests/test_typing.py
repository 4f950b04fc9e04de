"""
What mypy makes of calls.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

TOP = Path(__file__).parent.parent


class MypyTests(SynchronousTestCase):
    """
    Runs mypy as it is run for the whole package, with the same cache, so that it
    takes seconds only the first time. C{.ci/run} runs it anyway, so whoever has none
    is not held up here.
    """

    if find_spec("mypy") is None or find_spec("mypy_zope") is None:
        skip = "mypy is not installed"

    def test_calls(self):
        """mypy knows the type of each result, and finds each wrong argument."""
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "tests/typed.py"],
            cwd=TOP,
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual((done.stderr, done.returncode), ("", 0), done.stdout)
