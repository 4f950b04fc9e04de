"""
The examples in docs/examples do what docs/examples.rst says that they do.
"""

import ast
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import time
from doctest import ELLIPSIS, OutputChecker
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import png
import psutil
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.documents import blocks
from tests.test_program import BOUND, TOP, left

EXAMPLES = TOP / "docs" / "examples"
PAGE = (TOP / "docs" / "examples.rst").read_text()


def shown(start):
    """
    @return: The literal block of the page that begins with a text.
    """
    (block,) = [b.code for b in blocks(PAGE) if b.code.startswith(start)]
    return block


def session(pid):
    """
    @return: The processes that stem from one that was begun in a session of its own,
        whoever is their parent by now.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.getsid(process.pid) == pid:
                found.append(process)
    return found


def until(condition):
    """
    Waits until something is so.
    """
    deadline = time.monotonic() + BOUND
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited in vain for {BOUND} seconds")
        time.sleep(0.01)


def stays(point):
    """
    @return: C{True} if a point of the plane does not leave the Mandelbrot set in a
        hundred steps.
    """
    z = 0j
    for _ in range(100):
        z = z * z + point
        if abs(z) > 2:
            return False
    return True


class ExampleCase(SynchronousTestCase):
    """
    Runs programs, in a directory of their own.
    """

    def setUp(self):
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def begin(self, *command):
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(TOP)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(process.kill)
        return process

    def end(self, process):
        """
        Waits for a process to end, and sees that it leaves no other.

        @return: What it wrote to standard output and standard error, and its exit
            status.
        """
        with process:
            out, err = process.communicate(timeout=BOUND)
        self.assertEqual(left(session(process.pid)), [])
        return out, err, process.returncode


class ProgramsTests(ExampleCase):
    def example(self, name):
        """
        Runs an example as the page says, and sees that it prints what it has there.
        """
        command, wanted = shown(f"$ python {name}").split("\n", 1)
        _, _, path, *args = shlex.split(command)
        process = self.begin(sys.executable, str(EXAMPLES / path), *args)
        out, err, status = self.end(process)
        self.assertEqual((err, status), ("", 0))
        if not OutputChecker().check_output(wanted, out, ELLIPSIS):
            # For the difference that it shows.
            self.assertEqual(out, wanted)

    def test_priorities(self):
        """Calls end in the order of their urgency, and a series has its worker."""
        self.example("priorities.py")

    def test_remoteGenerator(self):
        """All of a generator's items are in the file, in order."""
        self.example("remote_generator.py")
        wanted = [
            n for n in range(2, 5000) if all(n % k for k in range(2, 71) if k < n)
        ]
        lines = (self.directory / "primes.txt").read_text().splitlines()
        self.assertEqual([int(line) for line in lines], wanted)

    def test_updateState(self):
        """Every process has the updates, also the one that replaces another."""
        self.example("update_state.py")

    def test_tracing(self):
        """The spans of all processes make one tree, and none is lost."""
        if find_spec("opentelemetry") is None:
            raise SkipTest("opentelemetry-sdk is not installed")
        self.example("tracing.py")

    def test_cluster(self):
        """Nodes run calls, updates and a generator, and end with the program."""
        self.example("cluster.py")

    def test_mixed(self):
        """Calls run here or there, by their series."""
        self.example("mixed.py")

    def test_asyncioService(self):
        """Tasks of asyncio await calls, and who hangs up has his call cancelled."""
        self.example("asyncio_service.py")

    def test_mandelbrot(self):
        """The picture can be read, and has each pixel where it belongs."""
        self.example("mandelbrot.py")
        reader = png.Reader(filename=str(self.directory / "mandelbrot.png"))
        width, height, rows, about = reader.read()
        self.assertEqual((width, height, about["planes"]), (240, 160, 3))
        rows = [bytes(row) for row in rows]
        scale = 3 / width
        for y in [0, 1, 40, 79, 80, 81, 150, 159]:
            for x in range(0, width, 7):
                point = complex(-0.75 + (x - 119.5) * scale, (79.5 - y) * scale)
                pixel = rows[y][3 * x : 3 * x + 3]
                self.assertEqual(pixel == bytes(3), stays(point), (x, y))
        # The set is symmetric, and no two rows of a half are alike.
        self.assertEqual(rows, rows[::-1])
        self.assertEqual(len(set(rows)), 80)


class ServiceTests(ExampleCase):
    LINE = '10.0.0.1 - - [25/Nov/2026:13:39:01 +0000] "{} HTTP/1.1" {} {}\n'

    def drop(self, name, text):
        """
        Has a log appear where the service looks, complete.
        """
        path = self.directory / name
        path.write_text(text)
        path.rename(self.directory / "incoming" / name)

    def summary(self):
        path = self.directory / "summary.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def test_service(self):
        """Logs are summarized as they come, until SIGTERM ends it all in time."""
        twistd = Path(sysconfig.get_path("scripts")) / "twistd"
        tac = EXAMPLES / "logs.tac"
        process = self.begin(sys.executable, str(twistd), "-ny", str(tac))
        incoming = self.directory / "incoming"
        until(incoming.exists)

        monday = [("GET /", 200, 1000), ("GET /favicon.ico", 404, "-")]
        monday += [("GET /", 200, 1048)]
        self.drop("monday.log", "".join(self.LINE.format(*m) for m in monday) + "?\n")
        until(self.summary)
        wanted = shown("{")
        self.assertEqual((self.directory / "summary.json").read_text(), wanted)

        # One that cannot be read does not keep others.
        (incoming / "broken.log").mkdir()
        self.drop("tuesday.log", self.LINE.format("GET /", 500, 1) * 5001)
        until(lambda: self.summary()["failed"] and self.summary()["logs"][1:])
        found = self.summary()
        self.assertEqual(found["failed"], ["broken.log"])
        self.assertEqual(found["logs"], ["monday.log", "tuesday.log"])
        self.assertEqual((found["requests"], found["bytes"]), (5004, 7049))
        self.assertEqual(found["statuses"], {"200": 2, "404": 1, "500": 5001})

        # One without end, which is written to once it is read.
        os.mkfifo(incoming / "wednesday.log")
        endless = subprocess.Popen(
            ["sh", "-c", 'exec yes "$0" > incoming/wednesday.log', self.LINE.strip()],
            cwd=self.directory,
        )
        self.addCleanup(endless.wait)
        self.addCleanup(endless.kill)
        until(lambda: psutil.Process(endless.pid).name() == "yes")
        process.terminate()
        out, err, status = self.end(process)
        self.assertEqual((err, status), ("", -signal.SIGTERM))
        self.assertIn("Server Shut Down.", out)
        self.assertEqual(
            re.findall(r"^\t(?:\w+\.)*(\w+Error)", out, re.M), ["IsADirectoryError"]
        )
        # The generator was closed, and its file with it.
        self.assertEqual(endless.wait(BOUND), -signal.SIGPIPE)
        self.assertEqual(self.summary(), found)


class RulesTests(SynchronousTestCase):
    """
    What examples have to be, whatever they show.
    """

    def setUp(self):
        self.modules = {
            path.name: ast.parse(path.read_text()) for path in EXAMPLES.glob("*.py")
        }

    def test_introduced(self):
        """The page introduces each file, and each is short enough to be read."""
        for path in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.tac")]:
            self.assertIn(path.name, PAGE)
            self.assertLess(len(path.read_text().splitlines()), 120, path)

    def test_guarded(self):
        """To import one does nothing, so a worker process can."""
        harmless = {"Import", "ImportFrom", "FunctionDef", "AsyncFunctionDef"}
        harmless |= {"ClassDef", "Assign", "AnnAssign"}
        for name, module in self.modules.items():
            for node in module.body:
                text = ast.unparse(node)
                if type(node).__name__ not in harmless and text[0] not in "'\"":
                    self.assertTrue(text.startswith("if __name__ == '__main__':"), name)

    def test_public(self):
        """They use nothing of the package, or of others, that is not for all."""
        for name, module in self.modules.items():
            for node in ast.walk(module):
                if isinstance(node, ast.ImportFrom) and "asynqueue" in str(node.module):
                    imported = {alias.name for alias in node.names}
                    public = import_module(str(node.module)).__all__
                    self.assertLessEqual(imported, set(public), name)
                if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
                    whose = ast.unparse(node.value)
                    self.assertTrue(whose == "self" or node.attr[:2] == "__", name)
