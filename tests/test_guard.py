"""
Main modules that worker processes cannot import.
"""

import multiprocessing
import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.guard import (
    UNGUARDED,
    aboutGuard,
    refuseInBootstrap,
    refuseNoFile,
    tellOnce,
)

THREE = "    if __name__ == '__main__':\n        main()\n"


class Exited(BaseException):
    """The process would have ended."""


class BootstrapTests(SynchronousTestCase):
    def bootstrap(self, name):
        process: Any = multiprocessing.current_process()
        self.patch(process, "_inheriting", True)
        self.patch(process, "_name", name)

    def setUp(self):
        process: Any = multiprocessing.current_process()
        process._inheriting = False
        self.addCleanup(delattr, process, "_inheriting")

    def test_not(self):
        """Who does not import his parent's main module may start workers."""
        refuseInBootstrap()

    def test_other(self):
        """A process of somebody else that does is told of the guard."""
        self.bootstrap("Process-1")
        error = self.assertRaises(RuntimeError, refuseInBootstrap)
        self.assertIn(THREE, str(error))

    def test_worker(self):
        """A worker process ends at once, with a code by which its parent knows."""
        self.bootstrap("asynqueue worker 1")
        codes = []

        def leave(code):
            codes.append(code)
            raise Exited

        self.patch(os, "_exit", leave)
        self.assertRaises(Exited, refuseInBootstrap)
        self.assertEqual(codes, [UNGUARDED])


class NoFileTests(SynchronousTestCase):
    def main(self, path, spec=None):
        main: Any = ModuleType("__main__")
        main.__spec__ = spec
        if path is not None:
            main.__file__ = path
        return main

    def test_standardInput(self):
        """A program from standard input is told to be put into a file."""
        main = self.main("<stdin>")
        for method in ("spawn", "forkserver"):
            error = self.assertRaises(RuntimeError, refuseNoFile, method, main)
            self.assertIn("into a file", str(error))
        refuseNoFile("fork", main)

    def test_others(self):
        """Scripts, modules and interactive sessions are no obstacle."""
        refuseNoFile("spawn")
        refuseNoFile("spawn", self.main(None))
        refuseNoFile("spawn", self.main("script.py"))
        refuseNoFile("spawn", self.main("<stdin>", SimpleNamespace(name="module")))


class AboutTests(SynchronousTestCase):
    def test_names(self):
        """The script is named, and the lines to add are shown."""
        text = aboutGuard(SimpleNamespace(__file__="/home/somebody/wave.py"))
        self.assertIn("the program, wave.py, and", text)
        self.assertIn(THREE, text)
        self.assertIn("the program and", aboutGuard(SimpleNamespace()))

    def test_once(self):
        """It is in the log once, where it is seen even if nothing is logged."""
        tellOnce.cache_clear()
        self.addCleanup(tellOnce.cache_clear)
        with capturedLogs() as events:
            tellOnce()
            tellOnce()
        (event,) = events
        self.assertEqual(event["log_level"].name, "critical")
        self.assertIn(aboutGuard(sys.modules["__main__"]), formatEvent(event))
