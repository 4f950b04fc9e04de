"""
All settings under all loads, with answers that the test gives.
"""

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.apart import NoAnswer
from asynqueue.grid import DEFAULTS, LOADS, Choice
from asynqueue.survey import LIMIT, PIPE, Survey

OTHER = Choice("other")


class SurveyTests(SynchronousTestCase):
    def setUp(self):
        self.asked = []
        self.answers = {}

    def ask(self, function, arguments, limit):
        """
        Answers as the test wants me to, or as if all were well.
        """
        self.assertEqual(function, "asynqueue.napping:trial")
        choice = arguments["choice"]
        name = PIPE if choice is None else Choice(**choice).title
        turn = arguments["load"], name
        self.asked.append(turn)
        self.kept = arguments, limit
        answer = self.answers.get(turn, {"measures": {"cpu": float(len(self.asked))}})
        if isinstance(answer, Exception):
            raise answer
        return answer

    def survey(self, loads, rounds, choices=(DEFAULTS, OTHER)):
        chosen = [LOADS[name] for name in loads.split()]
        return Survey(choices, chosen, 3, rounds, 1.5, self.ask)

    def test_byTurns(self):
        """All have their turn under a load before the next, and so in each round."""
        survey = self.survey("mixed nap100", 2)
        steps = list(survey.run())
        names = [PIPE, DEFAULTS.title, OTHER.title]
        turns = [(load, name) for load in ("mixed", "nap100") for name in names]
        self.assertEqual(self.asked, turns * 2)
        self.assertEqual(len(steps), survey.total)
        self.assertEqual(steps[2], "other: calls of 0 to 200 ms")
        values = survey.results.values("nap100", "cpu", DEFAULTS.title)
        self.assertEqual(values, [5.0, 11.0])

    def test_whatIsAsked(self):
        """A trial is told what it has to know, and has more time than it needs."""
        choice = Choice(interval=0.01, backoff=1.2)
        list(self.survey("nap1000", 1, [choice]).run())
        told = {"poller": "thread", "interval": 0.01, "backoff": 1.2}
        self.assertEqual(
            self.kept,
            (
                {"load": "nap1000", "each": 2, "workers": 3, "choice": told},
                LIMIT + 4.0,
            ),
        )

    def test_failing(self):
        """What fails or hangs is told of, and not tried again under that load."""
        self.answers["mixed", "other"] = NoAnswer("no answer within 60 seconds")
        self.answers["nap100", PIPE] = {"failed": "OSError: none"}
        survey = self.survey("mixed nap100", 3)
        self.assertEqual(len(list(survey.run())), survey.total)
        self.assertEqual(
            [survey.results.trouble(*turn) for turn in self.answers],
            [
                "failed in round 1: no answer within 60 seconds",
                "failed in round 1: OSError: none",
            ],
        )
        for turn, times in [
            (("mixed", "other"), 1),
            (("nap100", PIPE), 1),
            (("nap100", "other"), 3),
            (("mixed", DEFAULTS.title), 3),
        ]:
            self.assertEqual(self.asked.count(turn), times)
