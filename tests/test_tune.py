"""
The command C{tune}, as its users run it.
"""

import json
from pathlib import Path
from xml.etree import ElementTree

from asynqueue.__main__ import runTune
from asynqueue.machine import cores
from asynqueue.pollers import POLLERS
from asynqueue.tuning import FULL, QUICK, prepare
from tests.measuring import MeasuringTestCase
from tests.test_main import ArgumentsTestCase


class ArgumentsTests(ArgumentsTestCase):
    def extent(self, text):
        """
        @return: How many settings and loads there are, rounds, seconds and workers.
        """
        survey, about = prepare(self.parse(text))
        return (
            len(survey.choices),
            len(survey.loads),
            *(about[name] for name in ("rounds", "seconds", "workers")),
        )

    def test_defaults(self):
        """Without options there is what the help says."""
        others = len(POLLERS) - 1
        self.assertIs(self.parse("tune").run, runTune)
        self.assertEqual(self.extent("tune"), (9 + others, 3, 3, 1.5, cores()))
        self.assertEqual(self.extent("tune --quick"), (2 + others, 3, 1, 0.2, cores()))
        with self.assertRaises(SystemExit):
            self.parse("tune --help")
        told = self.stdout.getvalue()
        for values in (FULL.intervals, FULL.backoffs, [FULL.rounds], [FULL.seconds]):
            self.assertIn(f"({','.join(map(str, values))})", told)
        self.assertLess(len(QUICK.intervals), len(FULL.intervals))

    def test_options(self):
        """Each option is understood, and is stronger than --quick."""
        args = self.parse(
            "tune --quick --intervals 0.002,0.05,.5 --backoffs 1,1.3 --pollers thread "
            "--loads mixed --workers 3 --seconds 2.5 --rounds 4 --json --chart x.png"
        )
        self.assertEqual((args.json, args.chart), ("-", "x.png"))
        survey, about = prepare(args)
        # And the defaults.
        self.assertEqual(len(survey.choices), 7)
        self.assertEqual([load.name for load in survey.loads], ["mixed"])
        self.assertEqual(
            (about["workers"], about["seconds"], about["rounds"]), (3, 2.5, 4)
        )

    def test_refused(self):
        """What cannot be is refused, with its name and status 2."""
        for text, culprit in [
            ("tune --workers 0", "--workers: it has to be at least 1"),
            ("tune --intervals 1,x", "--intervals: invalid numbers value: '1,x'"),
            ("tune --seconds 0", "--seconds: it has to be a number of seconds"),
            ("tune more", "unrecognized arguments: more"),
        ]:
            self.assertIn(culprit, self.refused(text))

    def test_unknown(self):
        """What is not there to choose is refused at once, with what is."""
        for text, told in [
            ("--loads one", "no load is called 'one'. There are: mixed, nap100"),
            ("--pollers me", "no poller is called 'me'. There are: thread"),
            ("--intervals 10", "interval is in seconds, above 0 and at most 1.0"),
            ("--backoffs 2", "backoff has to be from 1.0 to 1.3, not 2.0"),
            ("--chart /no/such/x.svg", "/no/such/x.svg cannot be written"),
        ]:
            self.assertEqual(runTune(self.parse(f"tune {text}")), 2)
            self.assertIn(told, self.stderr.getvalue())


class ProgramTests(MeasuringTestCase):
    name = "tune"

    def test_measured(self):
        """A quick run has a table, JSON and a chart to show."""
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        out, err, status = self.measure(
            "--quick --seconds 0.1 --intervals 0.001 --workers 2 --loads mixed "
            f"--json {place / 'x.json'} --chart {place / 'x.svg'}"
        )
        self.assertEqual((err, status), ("", 0))
        for wanted in ("calls of 0 to 200 ms ", "\n  bare pipe ", "1.10 *", "advised"):
            self.assertIn(wanted, out)
        told = json.loads((place / "x.json").read_text())
        self.assertEqual(len(told["samples"]), 1 + len(POLLERS))
        for sample in told["samples"]:
            self.assertEqual(sample["failed"], "")
            measures = sample["measures"]
            self.assertTrue(0 < measures["efficiency"] <= 100, measures)
            for name in ("overhead", "cpu", "wakes"):
                self.assertGreater(measures[name], 0)
            self.assertEqual("looks" in measures, sample["setting"][:6] == "thread")
        texts = ElementTree.fromstring((place / "x.svg").read_bytes()).itertext()
        self.assertIn("thread, 1 ms, 1.10", {text.strip() for text in texts})

    def test_interrupted(self):
        """Ctrl-C ends it at once, in the middle of a trial, and leaves nothing."""
        # A trial, the fork server or the like, and two workers.
        self.interrupt("--loads nap1000 --workers 2", 4)
