"""
What to set, told from made-up figures.
"""

from twisted.trial.unittest import SynchronousTestCase

from asynqueue.advice import Comparison, advise, inWords
from asynqueue.grid import DEFAULTS, LOADS, Choice
from asynqueue.results import Results, Sample

SLOWER = Choice(interval=0.01, backoff=1.10)
SLOWEST = Choice(interval=0.1, backoff=1.10)
OTHER = Choice("other")
MIXED = LOADS["mixed"]


class AdviceTests(SynchronousTestCase):
    def setUp(self):
        self.results = Results()
        self.choices = []

    def add(self, choice, efficiency, cpu, load="mixed", spread=0.1, rounds=3):
        """
        Has a choice have figures, those of its rounds I{spread} apart altogether.
        """
        if choice not in self.choices:
            self.choices.append(choice)
        for number in range(rounds):
            off = spread * (number / max(1, rounds - 1) - 0.5)
            measures = {"efficiency": efficiency + off, "cpu": cpu + off}
            self.results.samples.append(
                Sample(number + 1, load, choice.title, measures)
            )

    def compare(self, *loads):
        chosen = [LOADS[name] for name in loads or ("mixed",)]
        return Comparison(self.results, self.choices, chosen)

    def advised(self, *loads):
        advice = advise(self.compare(*loads))
        if advice is None:
            return None
        return advice.paced, advice.best

    def words(self):
        return "\n".join(inWords(self.compare()))

    def test_figures(self):
        """A figure is the median over rounds of the mean over loads."""
        for load, values in (("mixed", (1.0, 9.0, 4.0)), ("nap100", (3.0, 5.0, 0.0))):
            for number, value in enumerate(values, 1):
                measures = {"efficiency": 90.0, "cpu": value}
                self.results.samples.append(
                    Sample(number, load, DEFAULTS.title, measures)
                )
        self.choices.append(DEFAULTS)
        compared = self.compare("mixed", "nap100")
        self.assertEqual(compared.rounds(DEFAULTS, "cpu"), [2.0, 7.0, 2.0])
        self.assertEqual(compared.figure(DEFAULTS, "cpu"), 2.0)
        self.assertEqual(compared.noise("cpu"), 10.0)

    def test_noise(self):
        """It is twice what rounds are usually apart: one wild setting is no measure."""
        self.add(DEFAULTS, 99, 2, spread=0.1)
        self.add(SLOWER, 99, 2, spread=0.2)
        self.add(SLOWEST, 99, 2, spread=7.0)
        self.assertAlmostEqual(self.compare().noise("efficiency"), 0.4)

    def test_alike(self):
        """If nothing is better than noise, the defaults are left."""
        self.add(DEFAULTS, 98.9, 2.1)
        self.add(SLOWER, 99.0, 2.0)
        self.add(OTHER, 99.0, 1.95)
        self.assertEqual(self.advised(), (DEFAULTS, DEFAULTS))
        self.assertIn("Leave interval and backoff as they are", self.words())
        self.assertIn("Leave the poller as it is", self.words())

    def test_cheaper(self):
        """What is as efficient and spends less CPU time is taken."""
        self.add(DEFAULTS, 99.0, 3.0)
        self.add(SLOWER, 98.9, 2.0)
        self.assertEqual(self.advised(), (SLOWER, SLOWER))
        self.assertEqual(
            self.words(),
            "Set interval=0.01, backoff=1.1:\n"
            "  it takes less CPU time, and is as efficient but for noise\n"
            "  thread, 1 ms, 1.10: efficiency 99.00 %, 3.00 ms of CPU time per call\n"
            "  thread, 10 ms, 1.10: efficiency 98.90 %, 2.00 ms of CPU time per call\n"
            "(Means over the loads. Up to 0.20 % of efficiency and 0.20 ms of CPU time "
            "are noise.)",
        )

    def test_lessEfficient(self):
        """What is less efficient is not taken, however little it spends."""
        self.add(DEFAULTS, 99.0, 3.0)
        self.add(SLOWER, 98.7, 0.1)
        self.assertEqual(self.advised(), (DEFAULTS, DEFAULTS))

    def test_moreEfficient(self):
        """What is more efficient is taken, even if it spends more."""
        self.add(DEFAULTS, 98.0, 1.0)
        self.add(SLOWER, 99.0, 2.0)
        self.assertEqual(self.advised(), (SLOWER, SLOWER))
        self.assertIn("backoff=1.1:\n  it is more efficient\n", self.words())

    def test_between(self):
        """What is taken for the sake of the best is not said to spend less."""
        self.add(DEFAULTS, 98.7, 1.0)
        self.add(SLOWER, 98.85, 1.0)
        self.add(SLOWEST, 99.0, 1.0)
        self.assertEqual(self.advised(), (SLOWER, SLOWER))
        self.assertIn("backoff=1.1:\n  it is more efficient\n", self.words())

    def test_nearest(self):
        """Of several that are as good, that is taken which is nearest what is set."""
        self.add(DEFAULTS, 99.0, 3.0)
        self.add(Choice(interval=0.01, backoff=1.05), 99.0, 1.0)
        self.add(SLOWER, 99.0, 1.1)
        self.add(SLOWEST, 99.0, 1.0)
        self.assertEqual(self.advised(), (SLOWER, SLOWER))

    def test_poller(self):
        """Another poller has to be better than the best pace."""
        self.add(DEFAULTS, 98.5, 3.0)
        self.add(SLOWEST, 98.5, 1.0)
        self.add(OTHER, 98.5, 0.9)
        self.assertEqual(self.advised(), (SLOWEST, SLOWEST))
        self.results.samples.clear()
        self.add(DEFAULTS, 98.5, 3.0)
        self.add(SLOWEST, 98.5, 1.0)
        self.add(OTHER, 99.2, 1.0)
        self.assertEqual(self.advised(), (SLOWEST, OTHER))
        self.assertIn(
            'Better still is poller="other":\n  it is more efficient\n', self.words()
        )

    def test_allLoads(self):
        """All loads count: what is gained under one can be lost under another."""
        for load, efficiency in (("mixed", 99.9), ("nap1000", 97.0)):
            self.add(DEFAULTS, 99.0, 2.0, load)
            self.add(SLOWER, efficiency, 2.0, load)
        self.assertEqual(self.advised("mixed"), (SLOWER, SLOWER))
        self.assertEqual(self.advised("mixed", "nap1000"), (DEFAULTS, DEFAULTS))

    def test_fewRounds(self):
        """Too few rounds tell nothing, however clear they seem."""
        self.add(DEFAULTS, 90.0, 9.0, rounds=2)
        self.add(SLOWER, 99.0, 1.0, rounds=2)
        self.assertIsNone(self.advised())
        self.assertIn("Nothing is advised: that takes 3 rounds", self.words())

    def test_failed(self):
        """What has failed under a load is not taken; without defaults nothing is."""
        self.add(DEFAULTS, 98.0, 3.0)
        self.add(SLOWER, 99.0, 1.0)
        self.results.samples.append(Sample(4, "mixed", SLOWER.title, failed="no"))
        self.assertEqual(self.advised(), (DEFAULTS, DEFAULTS))
        self.results.samples.append(Sample(4, "mixed", DEFAULTS.title, failed="no"))
        self.assertIsNone(self.advised())
