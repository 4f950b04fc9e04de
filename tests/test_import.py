"""
Tests of what importing the package does, and of the names that it hands out.
"""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import asynqueue

SOURCE = Path(asynqueue.__file__)

TIMED = """
import time
start = time.perf_counter()
import {}
print(time.perf_counter() - start)
"""

LOADED = """
import sys
before = set(sys.modules)
import {}
print(*set(sys.modules) - before)
"""


def run(program):
    """
    Runs a program in a fresh interpreter that can find this package.

    @return: What it prints, in words.
    """
    found = f"import sys; sys.path.insert(0, {str(SOURCE.parent.parent)!r})\n"
    command = [sys.executable, "-c", found + program]
    return subprocess.run(command, capture_output=True, check=True).stdout.split()


class ImportTests(SynchronousTestCase):
    """
    Tests of C{import asynqueue}.
    """

    def test_light(self):
        """
        It loads neither Twisted, and so no reactor, nor zope, psutil or
        multiprocessing, nor any module of the package.
        """
        loaded = {name.decode() for name in run(LOADED.format("asynqueue"))}
        for package in ("twisted", "zope", "psutil", "multiprocessing", "threading"):
            found = [name for name in loaded if name.split(".")[0] == package]
            self.assertEqual(found, [])
        self.assertEqual([n for n in loaded if n.startswith("asynqueue.")], [])
        self.assertIn("asynqueue", loaded)

    def test_quick(self):
        """
        It takes less than half the time of importing the reactor, best of five
        turns each.
        """
        best = {
            module: min(float(run(TIMED.format(module))[0]) for _ in range(5))
            for module in ("asynqueue", "twisted.internet.reactor")
        }
        self.assertLess(2 * best["asynqueue"], best["twisted.internet.reactor"])

    def test_noReactor(self):
        """
        Nor does any name of the package, or any module of it, install a
        reactor by being imported.
        """
        program = (
            "import sys, asynqueue, pkgutil, importlib\n"
            "for name in asynqueue.__all__: getattr(asynqueue, name)\n"
            "for module in pkgutil.iter_modules(asynqueue.__path__):\n"
            "    importlib.import_module(f'asynqueue.{module.name}')\n"
            "print('twisted.internet.reactor' in sys.modules)\n"
        )
        self.assertEqual(run(program), [b"False"])

    def test_farSide(self):
        """
        What a worker process imports brings neither Twisted nor zope.
        """
        loaded = {name.decode() for name in run(LOADED.format("asynqueue.entry"))}
        packages = {name.split(".")[0] for name in loaded}
        self.assertEqual(packages & {"twisted", "zope", "psutil"}, set())
        self.assertIn("asynqueue.universe", loaded)


class NamesTests(SynchronousTestCase):
    """
    Tests of the names that the package hands out.
    """

    def test_all(self):
        """
        Each public name is there, and is what its module has under that name.
        """
        self.assertEqual({*asynqueue.__all__, "__version__"}, set(asynqueue._HOMES))
        for name, home in asynqueue._HOMES.items():
            module = import_module(f"asynqueue.{home}")
            self.assertIs(getattr(asynqueue, name), getattr(module, name), name)

    def test_homes(self):
        """
        It comes from the module that it is made in, or that says that it is its
        address.
        """
        for name in asynqueue.__all__:
            module = import_module(f"asynqueue.{asynqueue._HOMES[name]}")
            madeIn = getattr(asynqueue, name).__module__
            if madeIn != module.__name__:
                self.assertIn(name, module.__all__)

    def test_dir(self):
        """
        All are listed.
        """
        self.assertLessEqual(set(asynqueue._HOMES), set(dir(asynqueue)))
        self.assertEqual(dir(asynqueue), sorted(set(dir(asynqueue))))

    def test_star(self):
        """
        And imported by a star.
        """
        names: dict[str, object] = {}
        exec("from asynqueue import *", names)
        self.assertLessEqual(set(asynqueue.__all__), set(names))

    def test_unknown(self):
        """
        There are no others.
        """
        with self.assertRaises(AttributeError) as raised:
            asynqueue.nothing  # noqa: B018
        self.assertIn("'nothing'", str(raised.exception))

    def test_typeChecking(self):
        """
        What type checkers and editors are told is what is handed out.
        """
        told = {}
        for node in ast.parse(SOURCE.read_text()).body:
            if isinstance(node, ast.If):
                for each in ast.walk(node):
                    if isinstance(each, ast.ImportFrom) and each.module:
                        home = each.module.removeprefix("asynqueue.")
                        told.update({alias.name: home for alias in each.names})
        self.assertEqual(told, asynqueue._HOMES)
