"""
The command C{bench}, as its users run it.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil
from twisted.trial.unittest import SynchronousTestCase

from asynqueue.__main__ import parse, runBench
from tests.test_main import ArgumentsTestCase
from tests.test_program import BOUND, TOP, left


class ArgumentsTests(ArgumentsTestCase):
    def test_defaults(self):
        """Without options there is what the help says."""
        args = self.parse("bench")
        self.assertEqual((args.run, args.workers, args.rounds), (runBench, 2, 3))
        for chosen in (args.loads, args.contenders, args.ancestor, args.start_method):
            self.assertIsNone(chosen)
        self.assertEqual((args.json, args.chart), (None, None))
        self.assertFalse(args.quick or args.list)

    def test_options(self):
        """Each option is understood."""
        args = self.parse(
            "bench --loads one,burst --contenders pool --ancestor /there --workers 3 "
            "--rounds 5 --start-method spawn --quick --json x.json --chart x.svg"
        )
        self.assertEqual((args.loads, args.contenders), (["one", "burst"], ["pool"]))
        self.assertEqual((args.ancestor, args.start_method), ("/there", "spawn"))
        self.assertEqual((args.workers, args.rounds, args.quick), (3, 5, True))
        self.assertEqual((args.json, args.chart), ("x.json", "x.svg"))
        self.assertEqual(self.parse("bench --json --quick").json, "-")

    def test_refused(self):
        """What cannot be is refused, with its name and status 2."""
        for text, culprit in [
            ("bench --workers 0", "--workers: it has to be at least 1"),
            ("bench --rounds many", "--rounds: invalid integer value"),
            ("bench --chart x.gif", "--chart: its name has to end in .svg or .png"),
            ("bench more", "unrecognized arguments: more"),
            ("bench -- more", "unrecognized arguments: more"),
            ("bench --bogus", "unrecognized arguments: --bogus"),
        ]:
            self.assertIn(culprit, self.refused(text))

    def test_help(self):
        """It tells how long it takes, and what installs the others."""
        self.assertRaises(SystemExit, parse, ["bench", "--help"])
        told = " ".join(self.stdout.getvalue().split())
        self.assertIn("half an hour", told)
        self.assertIn("pip install 'asynqueue[bench]'", told)


class ProgramTests(SynchronousTestCase):
    def command(self, text):
        return [sys.executable, "-m", "asynqueue", "bench", *text.split()]

    def bench(self, text):
        """
        @return: What was written to standard output and standard error, and the
            exit status.
        """
        done = subprocess.run(
            self.command(text),
            capture_output=True,
            encoding="utf-8",
            timeout=BOUND,
            cwd=TOP,
        )
        return done.stdout, done.stderr, done.returncode

    def test_measured(self):
        """A quick run of some loads has a table, JSON and a chart to show."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        out, err, status = self.bench(
            "--quick --rounds 2 --contenders asynqueue,executor,ancestor,pipe "
            "--loads one,items,memory "
            f"--json {place / 'x.json'} --chart {place / 'x.svg'}"
        )
        self.assertEqual((err, status), ("", 0))
        for text in (
            "workers: 2, rounds: 2, start method: ",
            "left out: the ancestor: ",
            "no-op calls, one at a time\n",
            "    bare pipe ",
            "  ProcessPoolExecutor: has no remote iterators\n",
            "bounds ",
            "asynqueue / ProcessPoolExecutor ",
        ):
            self.assertIn(text, out)
        told = json.loads((place / "x.json").read_text())
        self.assertEqual(len(told["samples"]), 2 * 3 + 2 + 1 + 2 * 2)
        for sample in told["samples"]:
            self.assertEqual(sample["failed"], "")
            for value in sample["measures"].values():
                self.assertGreater(value, 0)
        self.assertEqual({each["load"] for each in told["bounds"]}, {"one"})
        texts = ElementTree.fromstring((place / "x.svg").read_bytes()).itertext()
        self.assertIn("asynqueue", {text.strip() for text in texts})

    def test_json(self):
        """JSON takes the place of the table if no file is named."""
        out, err, status = self.bench(
            "--quick --rounds 1 --contenders pipe --loads start --json"
        )
        self.assertEqual((err, status), ("", 0))
        (sample,) = json.loads(out)["samples"]
        self.assertEqual((sample["load"], sample["contender"]), ("start", "pipe"))

    def test_list(self):
        """What there is to choose can be listed."""
        out, err, status = self.bench("--list")
        self.assertEqual((err, status), ("", 0))
        self.assertRegex(out, r"\n +burst +20,000 no-op calls queued at once\n")
        self.assertRegex(out, r"\n +executor +ProcessPoolExecutor\n")

    def test_refused(self):
        """What is not there to choose is refused at once, with what is."""
        for text, told in [
            ("--loads one,two", "no load is called 'two'. There are: one, "),
            ("--contenders me", "no contender is called 'me'. There are: asynqueue, "),
            ("--start-method wish", "'wish'"),
            ("--json /no/such/x.json", "/no/such/x.json cannot be written"),
            ("--chart /no/such/x.svg", "/no/such/x.svg cannot be written"),
        ]:
            out, err, status = self.bench(text)
            self.assertEqual((out, status), ("", 2))
            self.assertIn(told, err)

    def test_interrupted(self):
        """Ctrl-C ends it at once, in the middle of a trial, and leaves nothing."""
        process: Any = subprocess.Popen(
            self.command("--contenders asynqueue --loads nap1000"),
            # Whoever runs the tests in the background ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=TOP,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        found = []
        deadline = time.monotonic() + BOUND
        # A trial, the fork server or the like, and two workers.
        while len(found) < 4:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
            found = psutil.Process(process.pid).children(recursive=True)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(BOUND), 130)
        self.assertLess(time.monotonic() - begun, 2)
        self.assertEqual(process.stderr.read(), b"")
        self.assertEqual(left(found), [])
