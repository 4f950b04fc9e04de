"""
Every code block of README.rst and docs/*.rst does what its text says.
"""

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.documents import RUN, SHOWN, TOP, Reading, blocks, texts


class BlocksTests(TestCase):
    """
    I have a test for each text that has something to be run, see below.
    """

    timeout = 120


def _method(name):
    def test(self):
        reading = Reading(name, Path(self.mktemp()).absolute(), reactor)
        return Deferred.fromCoroutine(reading.run())

    test.__doc__ = f"All that {name} shows runs, and prints what it says."
    return test


for _name in texts():
    if any(block.kind in RUN for block in blocks((TOP / _name).read_text())):
        _word = "".join(c if c.isalnum() else "_" for c in _name.removesuffix(".rst"))
        setattr(BlocksTests, f"test_{_word}", _method(_name))


class KindsTests(SynchronousTestCase):
    """
    What has to be so of blocks, whether they run or not.
    """

    def all(self):
        for name in texts():
            for block in blocks((TOP / name).read_text()):
                yield f"{name}, line {block.line}", block

    def test_kinds(self):
        """Each block says what it is."""
        wrong = [where for where, b in self.all() if b.kind not in RUN | SHOWN]
        self.assertEqual(wrong, [])

    def test_notRun(self):
        """What is not run is little, and each says why."""
        found = {where: b.more for where, b in self.all() if b.said == "not run"}
        self.assertEqual([where for where, why in found.items() if len(why) < 10], [])
        few = len([block for _, block in self.all() if block.kind in RUN]) // 3
        self.assertLessEqual(len(found), few, "\n".join(found))
