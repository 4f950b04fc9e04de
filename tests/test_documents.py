"""
Every code block of README.rst and docs/*.rst does what its text says.
"""

import logging
import sys
import textwrap
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.documents import RUN, SHOWN, TOP, blocks, texts
from tests.reading import Reading

ELSEWHERE = {"docs/mistakes.rst"}
"""
Texts whose blocks are run by others: that one's by C{tests.test_mistakes}, because most
of its programs are to fail.
"""


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


for _name in set(texts()) - ELSEWHERE:
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


class ReadingTests(TestCase):
    """
    What is wrong with a text is found.
    """

    def read(self, source):
        directory = Path(self.mktemp()).absolute()
        reading = Reading("a text", directory, reactor, textwrap.dedent(source))
        return Deferred.fromCoroutine(reading.run())

    async def test_order(self):
        """Blocks see what those before them have made, files and programs too."""
        await self.read(
            """
            .. invisible-code-block: python

               x = 6

            .. code-block:: python

                async def twice(n):
                    return 2 * n

                print(await twice(x))

            .. output:

            .. code-block:: text

                12

            .. file: data.txt

            .. code-block:: text

                seven

            .. code-block:: console

                $ cat data.txt
                se...n
                $ test -d asynqueue
            """
        )

    async def test_wrong(self):
        """Output that is another, an error and a command that fails are told of."""
        session = "::\n\n    $ "
        for block, said in [
            ("python\n\n    1 / 0", "line 3: ZeroDivisionError"),
            ("python\n\n    exit(0)", "line 3: SystemExit"),
            ("console\n\n    $ exit 3", "line 3: ValueError: Exit status 3"),
            ("console\n\n    $ echo a\n    b", "It prints\na\nand not\nb\n"),
            ("console\n\n    echo a", "a session begins with"),
        ]:
            failed = self.assertFailure(
                self.read(f".. code-block:: {block}\n"), AssertionError
            )
            self.assertIn(said, str(await failed))
        self.assertEqual([b.kind for b in blocks(f"{session}ls")], [None])
        self.assertEqual([b.kind for b in blocks(">>> 1")], [None])

    async def test_left(self):
        """What a text has set is as before after it."""
        level, path = logging.root.level, list(sys.path)
        await self.read(
            """
            .. code-block:: python

                import logging, sys
                logging.basicConfig(level=logging.DEBUG)
                sys.path.append("elsewhere")
            """
        )
        self.assertEqual((logging.root.level, sys.path), (level, path))
