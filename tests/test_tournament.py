"""
Trials by turns, with answers that the test gives.
"""

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import asynqueue
from asynqueue.apart import NoAnswer, ask
from asynqueue.loads import theLoads
from asynqueue.tournament import Tournament, ancestorCommand
from tests.test_program import BOUND

OURS = Path(asynqueue.__file__).parent
SETTINGS = {"workers": 2, "cores": 2, "quick": True}


class TournamentTests(SynchronousTestCase):
    def setUp(self):
        self.asked = []
        self.answers = {}

    def ask(self, function, arguments, limit, by):
        """
        Answers as the test wants me to, or as if all were well.
        """
        module, _, name = function.partition(":")
        self.assertEqual(module, "asynqueue.trials")
        who = arguments["contender"]
        what = arguments.get("load", name)
        self.asked.append((what, who))
        self.kept = arguments, limit, by
        answer = self.answers.get((what, who))
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        if name == "probe":
            return {"version": f"1.{len(self.asked)}", "reactor": "FakeReactor"}
        return {"measures": {"rate": float(len(self.asked))}}

    def tournament(self, contenders, loads, rounds=2, ancestor=None):
        known = theLoads(2)
        chosen = [known[name] for name in loads.split()]
        return Tournament(
            contenders.split(), chosen, rounds, "spawn", SETTINGS, ancestor, self.ask
        )

    def test_byTurns(self):
        """All have their turn under a load before the next, and so in each round."""
        held = self.tournament("asynqueue pool", "burst items")
        steps = list(held.run())
        turns = [
            (load, who) for load in ("burst", "items") for who in ("asynqueue", "pool")
        ]
        probes = [("probe", "asynqueue"), ("probe", "pool")]
        self.assertEqual(self.asked, [*probes, *turns, *turns])
        self.assertEqual(len(steps), held.total)
        self.assertEqual(steps[0], "asynqueue: looking")
        self.assertIn("multiprocessing.Pool: 20,000 no-op calls", steps[3])
        self.assertEqual(held.results.values("burst", "rate", "pool"), [4.0, 8.0])
        self.assertEqual(held.versions, {"asynqueue": "1.1", "pool": "1.2"})
        self.assertEqual(held.reactor, "FakeReactor")

    def test_whatIsAsked(self):
        """A trial is told all that it has to know, and has its load's time."""
        for _ in self.tournament("pool", "waiting", 1).run():
            pass
        told = {"contender": "pool", "load": "waiting", "method": "spawn", **SETTINGS}
        self.assertEqual(self.kept, (told, theLoads(2)["waiting"].limit, None))

    def test_leftOut(self):
        """A contender that cannot be had is left out, and why is kept."""
        self.answers["probe", "loky"] = {"failed": "ImportError: none"}
        self.answers["probe", "pebble"] = NoAnswer("no answer within 30 seconds")
        held = self.tournament("loky pebble pool", "burst", 1)
        for _ in held.run():
            pass
        self.assertEqual(self.asked[3:], [("burst", "pool")])
        self.assertEqual(
            held.leftOut,
            {"loky": "ImportError: none", "pebble": "no answer within 30 seconds"},
        )

    def test_failing(self):
        """One that fails or hangs, or cannot, is told of, and not tried again."""
        self.answers["burst", "loky"] = NoAnswer("no answer within 60 seconds")
        self.answers["burst", "pool"] = {"failed": "ValueError: bad"}
        self.answers["items", "pool"] = {"cannot": "has none"}
        held = self.tournament("loky pool", "burst items", 3)
        for _ in held.run():
            pass
        for turn, times in [
            (("burst", "loky"), 1),
            (("burst", "pool"), 1),
            (("items", "pool"), 1),
            (("items", "loky"), 3),
        ]:
            self.assertEqual(self.asked.count(turn), times)
        self.assertEqual(
            [held.results.trouble(*turn) for turn in self.answers],
            [
                "failed in round 1: no answer within 60 seconds",
                "failed in round 1: ValueError: bad",
                "has none",
            ],
        )

    def test_floor(self):
        """The bare pipe needs no introduction, and is asked what it can do only."""
        for _ in self.tournament("pipe", "one burst start", 1).run():
            pass
        self.assertEqual(self.asked, [("one", "pipe"), ("start", "pipe")])

    def test_ancestor(self):
        """The ancestor is asked in its own interpreter, if that is told."""
        held = self.tournament("ancestor", "burst", 1)
        self.assertEqual(len(list(held.run())), 2)
        self.assertEqual(self.asked, [])
        self.assertIn("--ancestor", held.leftOut["ancestor"])
        held = self.tournament("ancestor", "burst", 1, "/there/bin/python3")
        self.assertEqual(len(list(held.run())), 2)
        self.assertEqual(self.kept[2], ancestorCommand("/there/bin/python3"))
        self.assertEqual(self.kept[2][0], "/there/bin/python3")

    def test_noAncestor(self):
        """If there is no such interpreter, that is the reason why it is left out."""
        known = theLoads(2)["burst"]
        held = Tournament(["ancestor"], [known], 1, "spawn", SETTINGS, "/no/such")
        for _ in held.run():
            pass
        self.assertIn("/no/such", held.leftOut["ancestor"])

    def test_environment(self):
        """Of a virtual environment its interpreter is taken."""
        place = Path(self.mktemp())
        place.mkdir()
        self.assertEqual(ancestorCommand(str(place))[0], str(place / "bin" / "python"))


class AncestryTests(SynchronousTestCase):
    """
    In the interpreter of the ancestor there is a package by our name, which has
    modules by the names of ours.
    """

    def setUp(self):
        package = Path(self.mktemp()).absolute() / "asynqueue"
        package.mkdir(parents=True)
        package.joinpath("__init__.py").write_text("")
        package.joinpath("process.py").write_text(
            "from twisted.internet.defer import maybeDeferred, succeed\n"
            "class ProcessQueue:\n"
            "    def __init__(self, N, returnFailure):\n"
            "        self.turns = 0\n"
            "    def call(self, f, *args):\n"
            "        if f.__name__ == 'identify':\n"
            "            self.turns += 1\n"
            "            return succeed(10**9 + self.turns % 2)\n"
            "        if f.__name__ == 'count':\n"
            "            return succeed([succeed(n) for n in f(*args)])\n"
            "        return maybeDeferred(f, *args)\n"
        )
        _, _, option, program = ancestorCommand(sys.executable)
        self.assertEqual(option, "-c")
        found = f"import sys; sys.path[:0] = [{str(package.parent)!r}]; "
        self.command = [sys.executable, "-c", found + program]

    def test_measured(self):
        """It is measured there by our loads, though it cannot see our package."""
        for load, measure in [("one", "p50"), ("items", "rate"), ("memory", "uss")]:
            told = ask(
                "asynqueue.trials:trial",
                {"contender": "ancestor", "load": load, "method": "spawn", **SETTINGS},
                BOUND,
                self.command,
            )
            if load == "memory":
                # There are no processes by these numbers.
                self.assertIn("NoSuchProcess", told["failed"])
            else:
                self.assertGreater(told["measures"][measure], 0)

    def test_itsModules(self):
        """Those modules that it has itself are its own, whatever ours are."""
        program = (
            self.command[-1].partition("; from ")[0]
            + "; import asynqueue.process, asynqueue.trials; "
            + "print(asynqueue.process.__file__, asynqueue.trials.__file__)"
        )
        command = [sys.executable, "-c", program]
        out = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        process, trials = map(Path, out.split())
        self.assertNotEqual(process.parent, OURS)
        self.assertEqual(trials.parent, OURS)
