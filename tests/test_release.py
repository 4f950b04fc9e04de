"""
What a release is made of agrees with itself.
"""

import re
from importlib import metadata
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import asynqueue

TOP = Path(__file__).parent.parent
PACKAGE = Path(asynqueue.__file__).parent
PROJECT = (TOP / "pyproject.toml").read_text()
MINORS = range(10, 14)
"""
Those of Python 3 that it is for.
"""


class VersionTests(SynchronousTestCase):
    """
    There is one version.
    """

    def test_changes(self):
        """The changes begin with those of this version, and say whether it is out."""
        text = (TOP / "docs" / "changes.rst").read_text()
        version, when = re.findall(r"^(\d\S*) \((.+)\)\n-+$", text, re.MULTILINE)[0]
        released, development, _ = asynqueue.__version__.partition(".dev")
        self.assertEqual(version, released)
        self.assertRegex(
            when, r"^unreleased$" if development else r"^\d{4}-\d{2}-\d{2}$"
        )

    def test_installed(self):
        """What is installed under the name tells the same, if this is it."""
        try:
            installed = metadata.distribution("asynqueue")
        except metadata.PackageNotFoundError:
            raise SkipTest("it is not installed") from None
        if Path(str(installed.locate_file("asynqueue"))) != PACKAGE:
            raise SkipTest("what is installed is another copy")
        self.assertEqual(installed.version, asynqueue.__version__)


class PythonsTests(SynchronousTestCase):
    """
    Each place that lists the Pythons lists them all.
    """

    def test_classifiers(self):
        """Those that are claimed are these, and no other can install it."""
        found = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', PROJECT)
        self.assertEqual([*map(int, found)], [*MINORS])
        self.assertIn(f'\nrequires-python = ">=3.{MINORS[0]}"\n', PROJECT)

    def test_tried(self):
        """They are what tox and the workflow try."""
        names = ", ".join(f'"3.{minor}"' for minor in MINORS)
        self.assertIn(f"{{ python = [{names}] }}", PROJECT)
        workflow = (TOP / ".github" / "workflows" / "ci.yml").read_text()
        self.assertIn(f"python: [{names}]", workflow)

    def test_said(self):
        """They are what README.rst says."""
        text = (TOP / "README.rst").read_text()
        self.assertIn(f"Python 3.{MINORS[0]} to 3.{MINORS[-1]}", text)
