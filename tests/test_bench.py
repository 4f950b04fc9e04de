"""
The command C{bench}, as its users run it.
"""

import json
from pathlib import Path
from xml.etree import ElementTree

from asynqueue.__main__ import parse, runBench
from tests.measuring import MeasuringTestCase
from tests.test_main import ArgumentsTestCase


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


class ProgramTests(MeasuringTestCase):
    name = "bench"

    def test_measured(self):
        """A quick run of some loads has a table, JSON and a chart to show."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        out, err, status = self.measure(
            "--quick --rounds 1 --contenders asynqueue,executor,ancestor,pipe "
            "--loads one,items "
            f"--json {place / 'x.json'} --chart {place / 'x.svg'}"
        )
        self.assertEqual((err, status), ("", 0))
        for text in (
            "workers: 2, rounds: 1, start method: ",
            "left out: the ancestor: ",
            "no-op calls, one at a time\n",
            "    bare pipe ",
            "  ProcessPoolExecutor: has no remote iterators\n",
            "bounds ",
            "asynqueue / ProcessPoolExecutor ",
        ):
            self.assertIn(text, out)
        told = json.loads((place / "x.json").read_text())
        self.assertEqual(len(told["samples"]), 3 + 1 + 1)
        for sample in told["samples"]:
            self.assertEqual(sample["failed"], "")
            for value in sample["measures"].values():
                self.assertGreater(value, 0)
        self.assertEqual({each["load"] for each in told["bounds"]}, {"one"})
        texts = ElementTree.fromstring((place / "x.svg").read_bytes()).itertext()
        self.assertIn("asynqueue", {text.strip() for text in texts})

    def test_json(self):
        """JSON takes the place of the table if no file is named."""
        out, err, status = self.measure(
            "--quick --rounds 1 --contenders pipe --loads start --json"
        )
        self.assertEqual((err, status), ("", 0))
        (sample,) = json.loads(out)["samples"]
        self.assertEqual((sample["load"], sample["contender"]), ("start", "pipe"))

    def test_list(self):
        """What there is to choose can be listed."""
        out, err, status = self.measure("--list")
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
            out, err, status = self.measure(text)
            self.assertEqual((out, status), ("", 2))
            self.assertIn(told, err)

    def test_interrupted(self):
        """Ctrl-C ends it at once, in the middle of a trial, and leaves nothing."""
        # A trial, the fork server or the like, and two workers.
        self.interrupt("--contenders asynqueue --loads nap1000", 4)
