"""
The command line: its arguments, and the function that it names.
"""

import os
import signal
import sys
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import asynqueue
from asynqueue.__main__ import NotFound, findFunction, main, parse, runMap
from tests import mapped


class ArgumentsTestCase(SynchronousTestCase):
    """
    Parses what would be on the command line.
    """

    def setUp(self):
        self.stderr = StringIO()
        self.stdout = StringIO()
        self.patch(sys, "stderr", self.stderr)
        self.patch(sys, "stdout", self.stdout)

    def parse(self, text):
        return parse(text.split())

    def refused(self, text):
        error = self.assertRaises(SystemExit, self.parse, text)
        self.assertEqual(error.code, 2)
        return self.stderr.getvalue()


class ArgumentsTests(ArgumentsTestCase):
    def test_defaults(self):
        """Without options there is what the help says."""
        args = self.parse("map f:g")
        self.assertEqual((args.function, args.items, args.run), ("f:g", [], runMap))
        self.assertEqual((args.workers, args.timeout, args.retries), (None, None, 1))
        self.assertFalse(args.unordered or args.json or args.stats)

    def test_options(self):
        """Each option is understood."""
        args = self.parse(
            "map -n 3 --timeout 1.5 --retries 0 --unordered --json --stats f:g a b"
        )
        self.assertEqual((args.workers, args.timeout, args.retries), (3, 1.5, 0))
        self.assertTrue(args.unordered and args.json and args.stats)
        self.assertEqual(args.items, ["a", "b"])

    def test_anyOrder(self):
        """Options may stand anywhere, and items that look like some after --."""
        for text in (
            "map --json f:g a -1 -.5 -",
            "map f:g --json a -1 -.5 -",
            "map f:g a --json -1 -.5 -",
            "map f:g a -1 -.5 - --json",
        ):
            args = self.parse(text)
            self.assertEqual((args.items, args.json), (["a", "-1", "-.5", "-"], True))
        for text in ("map f:g a -- -x --json", "map f:g --stats a -- -x --json"):
            args = self.parse(text)
            self.assertEqual((args.items, args.json), (["a", "-x", "--json"], False))

    def test_refused(self):
        """What cannot be is refused, with its name and status 2."""
        for text, culprit in [
            ("", "COMMAND"),
            ("dance", "dance"),
            ("map", "FUNCTION"),
            ("map -n 0 f:g", "-n: it has to be at least 1"),
            ("map -n many f:g", "-n: invalid integer value: 'many'"),
            ("map --timeout 0 f:g", "--timeout"),
            ("map --timeout nan f:g", "--timeout"),
            ("map --timeout inf f:g", "--timeout"),
            ("map --timeout soon f:g", "--timeout"),
            ("map --retries -1 f:g", "--retries"),
            ("map --monitor -1 f:g", "--monitor: it has to be at least 0"),
            ("map --monitor 65536 f:g", "--monitor: it has to be at most 65535"),
            ("map f:g --bogus", "--bogus"),
            ("map f:g a --bogus b", "--bogus"),
        ]:
            self.assertIn(culprit, self.refused(text))

    def test_help(self):
        """Help, and the version, are there for the asking."""
        for text, told in [
            ("--help", "map"),
            ("map --help", "standard input"),
            ("--version", f"asynqueue {asynqueue.__version__}\n"),
        ]:
            error = self.assertRaises(SystemExit, self.parse, text)
            self.assertIn(error.code, (None, 0))
            self.assertIn(told, self.stdout.getvalue())


class FunctionTests(SynchronousTestCase):
    def notFound(self, path):
        return str(self.assertRaises(NotFound, findFunction, path))

    def test_found(self):
        """A function is found by its module and its name, dots and all."""
        self.assertIs(findFunction("os.path:join"), os.path.join)
        self.assertIs(findFunction("tests.mapped:Nest.double"), mapped.Nest.double)
        self.assertIs(findFunction("builtins:str.upper"), str.upper)

    def test_noPath(self):
        """What is not written as one is told how it should be."""
        for path in ("", "f", "f:", ":f", ".f:g", "f..g:h", "f:g.", "f:g:h"):
            self.assertIn(f"not {path!r}", self.notFound(path))

    def test_noModule(self):
        """A module that is not there is named."""
        for path in ("nosuch:f", "nosuch.module:f"):
            self.assertIn("No module named 'nosuch'", self.notFound(path))
        self.assertIn("No module named 'tests.nosuch'", self.notFound("tests.nosuch:f"))

    def test_noAttribute(self):
        """So is a name that its module lacks, and the module."""
        text = self.notFound("tests.mapped:Nest.triple")
        self.assertEqual(
            text, "'Nest' in the module 'tests.mapped' has no attribute 'triple'"
        )

    def test_noFunction(self):
        """What cannot be called, or not in a worker process, is told so."""
        self.assertIn("cannot be called: it is 3.14", self.notFound("tests.mapped:PI"))
        text = self.notFound("tests.mapped:nameless")
        self.assertIn("'nameless' in the module 'tests.mapped'", text)
        self.assertIn("cannot be sent to a worker process", text)

    def test_brokenModule(self):
        """An error inside a module is shown, and where, not taken for its absence."""
        directory = Path(self.mktemp())
        directory.mkdir()
        self.patch(sys, "path", [str(directory), *sys.path])
        for name, line, told in [
            (
                "lacking",
                "import nosuch",
                "ModuleNotFoundError: No module named 'nosuch'",
            ),
            ("badImport", "from os import nosuch", "ImportError: cannot import name"),
            ("badSyntax", "def f(:", "SyntaxError"),
            ("leaving", "raise SystemExit('bye')", "SystemExit: bye"),
        ]:
            directory.joinpath(f"{name}.py").write_text(line)
            text = self.notFound(f"{name}:f")
            self.assertIn(f"the module '{name}' cannot be imported", text)
            self.assertIn(told, text)
            self.assertIn(f"{name}.py", text)
            self.assertNotIn("importlib", text)

    def test_refusedAtOnce(self):
        """The command line refuses it with status 2, before it reads any input."""
        stderr = StringIO()
        self.patch(sys, "stderr", stderr)
        self.patch(sys, "stdin", None)
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.patch(sys, "path", list(sys.path))
        self.assertEqual(main(["map", "nosuch:f"]), 2)
        self.assertIn("asynqueue: No module named 'nosuch'", stderr.getvalue())
