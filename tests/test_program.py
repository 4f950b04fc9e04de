"""
The command line as its users run it.
"""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
from twisted.trial.unittest import SynchronousTestCase

import asynqueue
from tests import mapped

TOP = Path(__file__).parent.parent
BOUND = 60
"""
How long a program may take at most, in seconds: far more than any does.
"""


def left(processes):
    """
    @return: Those of some processes that do not end within a few seconds.
    """
    deadline = time.monotonic() + 5
    while processes and time.monotonic() < deadline:
        _, alive = psutil.wait_procs(processes, 0.05)
        # Not everywhere does somebody reap orphans.
        processes = [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
    return processes


class ProgramTestCase(SynchronousTestCase):
    """
    Runs the program, from the top of the sources.
    """

    def map(self, *args, input=b""):
        """
        @return: What was written to standard output and standard error, as
            bytes, and the exit status.
        """
        done = subprocess.run(
            [sys.executable, "-m", "asynqueue", "map", *args],
            input=input,
            capture_output=True,
            timeout=BOUND,
            cwd=TOP,
        )
        return done.stdout, done.stderr, done.returncode

    def begin(self, *args, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE):
        """
        @return: A process that runs the program.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "asynqueue", "map", *args],
            # Whoever runs the tests in the background ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=TOP,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                self.addCleanup(stream.close)
        return process


class ProgramTests(ProgramTestCase):
    def test_files(self):
        """The first command of README.rst compiles files, and tells the times."""
        package = Path(asynqueue.__file__).parent
        files = [str(package / name) for name in ("__init__.py", "errors.py")]
        out, err, status = self.map("--stats", "py_compile:compile", *files)
        self.assertEqual(status, 0)
        wanted = [Path(name).stem for name in files]
        self.assertEqual(
            [Path(line).name.split(".")[0] for line in out.decode().splitlines()],
            wanted,
        )
        rows = [line.split() for line in err.decode().splitlines()[1:]]
        self.assertEqual(rows[-1][:2], ["all", "2"])
        for row in rows:
            self.assertEqual(len(row), 6)
        self.assertGreater(float(rows[-1][-1]), 1)

    def test_lines(self):
        """Items are lines of standard input, any file name among them."""
        names = [b"a b", b"", b"caf\xc3\xa9", b"\xff\xfe", b"last"]
        out, err, status = self.map("builtins:str", input=b"\n".join(names))
        self.assertEqual((out, err, status), (b"\n".join(names) + b"\n", b"", 0))

    def test_nothing(self):
        """No input gives no output, and is no error."""
        self.assertEqual(self.map("builtins:str"), (b"", b"", 0))

    def test_json(self):
        """JSON goes in and comes out, what fails included; what is no JSON too."""
        out, err, status = self.map("--json", "math:sqrt", input=b'4\n-1\n"x"\n{\n9')
        self.assertEqual(status, 1)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([line["item"] for line in lines], [4, -1, "x", "{", 9])
        self.assertEqual(
            [line.get("result") for line in lines], [2, None, None, None, 3]
        )
        self.assertEqual(lines[1]["error"], "ValueError: math domain error")
        for line in lines:
            self.assertLess(line["seconds"], 5)
        self.assertEqual(err.count(b"asynqueue: item "), 3)

    def test_failing(self):
        """An item that fails is told with its traceback, and the others go on."""
        out, err, status = self.map("tests.mapped:failThree", *"12345")
        self.assertEqual((out, status), (b"1\n2\n4\n5\n", 1))
        text = err.decode()
        self.assertTrue(
            text.startswith("asynqueue: item '3': ValueError: failed on 3\n")
        )
        self.assertIn('mapped.py", line', text)
        self.assertIn("in fail\n", text)

    def test_dying(self):
        """A process that dies is one item's failure, and so is one that is late."""
        out, err, status = self.map("-n", "1", "tests.mapped:die", "x", "y")
        self.assertEqual((out, status), (b"", 1))
        self.assertEqual(err.count(b"WorkerDied"), 2)
        self.assertIn(b"exit code 3", err)
        out, err, status = self.map(
            "--timeout", "0.2", "--retries", "0", "time:sleep", "--json", "0", "60"
        )
        self.assertEqual(status, 1)
        first, second = map(json.loads, out.splitlines())
        self.assertIsNone(first["result"])
        self.assertIn("TimeoutError", second["error"])
        self.assertGreaterEqual(second["seconds"], 0.2)

    def test_unordered(self):
        """Results come in the order of the items, or as they come."""
        items = ["first", "second", "third"]
        for option, wanted in (((), items[:2]), (("--unordered",), items[1::-1])):
            out, err, status = self.map("-n2", *option, "tests.mapped:patient", *items)
            self.assertEqual((err, status), (b"", 0))
            # Nobody knows when the third ends.
            self.assertEqual([x for x in out.decode().split() if x in wanted], wanted)

    def test_iterator(self):
        """What an iterator gives is printed as a list."""
        self.assertEqual(
            self.map("tests.mapped:count", "3", "0"), (b"[0, 1, 2]\n[]\n", b"", 0)
        )

    def test_script(self):
        """The console script looks in the current directory, and the workers it
        starts import no more than they need."""
        script = Path(self.mktemp())
        script.write_text(
            "import sys\n"
            "from asynqueue.__main__ import main\n"
            "if __name__ == '__main__':\n"
            "    sys.exit(main())\n"
        )
        directory = Path(self.mktemp())
        directory.mkdir()
        directory.joinpath("here.py").write_bytes(Path(mapped.__file__).read_bytes())
        done = subprocess.run(
            [sys.executable, script.absolute(), "map", "here:loaded", "x"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=BOUND,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(TOP)},
        )
        self.assertEqual((done.stdout, done.stderr), (b"[]\n", b""))


class EndsTests(ProgramTestCase):
    def interrupt(self, number):
        process = self.begin("-n", "2", "tests.mapped:forever", *"abc")
        pids = [json.loads(process.stdout.readline()) for _ in range(2)]
        family = psutil.Process(process.pid).children(recursive=True)
        self.assertLessEqual(
            {pid for pair in pids for pid in pair}, {p.pid for p in family}
        )
        process.send_signal(number)
        out, err = process.communicate(timeout=BOUND)
        self.assertEqual((out, err), (b"", b""))
        self.assertEqual(left(family), [])
        return process.returncode

    def test_interrupt(self):
        """Ctrl-C ends it, quietly, and what the calls had started too."""
        self.assertEqual(self.interrupt(signal.SIGINT), 130)

    def test_terminate(self):
        """So does SIGTERM."""
        self.assertEqual(self.interrupt(signal.SIGTERM), 143)

    def test_interruptUnread(self):
        """Ctrl-C ends it though nobody reads what it writes."""
        process = self.begin("tests.mapped:long", *"123")
        self.assertEqual(process.stdout.read(3), b"111")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(BOUND), 130)

    def test_outputClosed(self):
        """It ends quietly when nobody reads its output any more."""
        process = self.begin("builtins:str", *["x" * 99] * 999)
        process.stdout.read(1)
        process.stdout.close()
        self.assertEqual(process.wait(BOUND), 141)
        self.assertEqual(process.stderr.read(), b"")


class TerminalTests(ProgramTestCase):
    def test_bar(self):
        """On a terminal there is a bar, and errors are not mixed up with it."""
        near, far = pty.openpty()
        fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.addCleanup(os.close, near)
        process = self.begin("tests.mapped:failThree", *"1234", stderr=far)
        os.close(far)
        written = b""
        while chunk := _read(near):
            written += chunk
        self.assertEqual(process.stdout.read(), b"1\n2\n4\n")
        self.assertIn(b"4/4", written)
        self.assertRegex(written, rb"\r *\rasynqueue: item '3'")


def _read(fd):
    try:
        return os.read(fd, 4096)
    except OSError:
        # How Linux says that nobody has the terminal open any more.
        return b""
