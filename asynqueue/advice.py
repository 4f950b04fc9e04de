"""
What is to be set, as far as it can be told from noise.

Settings are compared by two figures, I{efficiency} and I{cpu}, each of which is in each
round the mean over all loads. The median of the rounds is what counts. Two settings
differ if their medians are further apart than the noise, which is twice as far as a
setting's rounds usually lie apart: twice the median, over all settings, of how much
the largest figure of a setting exceeds its smallest. So less than three rounds tell
nothing, and an idle machine tells more than a busy one.

Of some settings one is chosen so:

  1. Left out are those that are less efficient than the most efficient one by more
     than the noise.
  2. Left out of the others are those that spend more CPU time here than the one
     that spends least by more than the noise.
  3. Of the others that is chosen which is set already, or else is least far from
     that: the one with the shortest interval, and of these with the nearest backoff.

First an interval and a backoff are chosen, and then a poller: whether another is better
than the one that looks at that pace.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from asynqueue.grid import DEFAULTS, Choice, Naps
from asynqueue.results import Results

CERTAIN = 2
"""
How many times as far apart as a setting's rounds two settings have to be. If ten are
in fact alike, and the figures of three rounds are spread normally, the defaults are
about once in a hundred times that far below the best. (So it was when 20,000 such
tables were drawn at random; with two rounds it was once in five times.)
"""

ROUNDS = 3
"""
How many rounds it takes to tell anything.
"""


class Comparison:
    """
    I compare settings.

    @ivar choices: A list of those of which there are figures for all loads.
    """

    def __init__(
        self, results: Results, choices: Sequence[Choice], loads: Sequence[Naps]
    ) -> None:
        self._results = results
        self._loads = loads
        self.choices = [
            choice for choice in choices if self.rounds(choice, "efficiency")
        ]

    def rounds(self, choice: Choice, measure: str) -> list[float]:
        """
        @return: What was measured in each round, the mean over the loads; nothing if
            there is a load that the setting has failed under.
        """
        values = [
            self._results.values(load.name, measure, choice.title)
            for load in self._loads
        ]
        if any(self._results.trouble(load.name, choice.title) for load in self._loads):
            return []
        return [fmean(each) for each in zip(*values, strict=True)]

    def figure(self, choice: Choice, measure: str) -> float:
        """
        @return: The median of the rounds.
        """
        return median(self.rounds(choice, measure))

    def noise(self, measure: str) -> float:
        """
        @return: What two figures may differ by and mean the same.
        """
        rounds = [self.rounds(choice, measure) for choice in self.choices]
        return CERTAIN * median(max(each) - min(each) for each in rounds)

    def best(self, among: Sequence[Choice], usual: Choice) -> Choice:
        """
        @param among: Some of my settings, with the one that is set already.
        @param usual: That one.
        @return: The one to choose.
        """
        efficiency = {each: self.figure(each, "efficiency") for each in among}
        least = max(efficiency.values()) - self.noise("efficiency")
        cpu = {
            each: self.figure(each, "cpu")
            for each in among
            if efficiency[each] >= least
        }
        most = min(cpu.values()) + self.noise("cpu")
        good = [each for each in cpu if cpu[each] <= most]
        if usual in good:
            return usual
        return min(good, key=lambda it: (it.interval, abs(it.backoff - usual.backoff)))


@dataclass(frozen=True)
class Advice:
    """
    I am what to set.

    @ivar paced: The best setting of the poller that looks.
    @ivar best: The best setting of all.
    """

    paced: Choice
    best: Choice


def advise(comparison: Comparison) -> Advice | None:
    """
    @return: What to set; C{None} if that cannot be told, because there were less than
        L{ROUNDS} rounds, or the defaults have failed.
    """
    choices = comparison.choices
    if len(comparison.rounds(DEFAULTS, "cpu")) < ROUNDS:
        return None
    paced = comparison.best([each for each in choices if each.isPaced], DEFAULTS)
    others = [each for each in choices if not each.isPaced]
    return Advice(paced, comparison.best([paced, *others], paced))


def inWords(comparison: Comparison) -> list[str]:
    """
    @return: Lines that say what to set.
    """
    advice = advise(comparison)
    if advice is None:
        return [f"Nothing is advised: that takes {ROUNDS} rounds, with the defaults."]
    if advice.paced == DEFAULTS:
        lines = ["Leave interval and backoff as they are: nothing else is better."]
    else:
        paced = advice.paced
        lines = [
            f"Set interval={paced.interval:g}, backoff={paced.backoff:g}:",
            *_reasons(comparison, DEFAULTS, paced),
        ]
    if advice.best != advice.paced:
        lines += [
            f'Better still is poller="{advice.best.poller}":',
            *_reasons(comparison, advice.paced, advice.best),
        ]
    elif not all(each.isPaced for each in comparison.choices):
        lines.append("Leave the poller as it is: no other is better.")
    lines.append(
        "(Means over the loads. Up to "
        f"{comparison.noise('efficiency'):.2f} % of efficiency and "
        f"{comparison.noise('cpu'):.2f} ms of CPU time are noise.)"
    )
    return lines


def _reasons(comparison: Comparison, before: Choice, after: Choice) -> list[str]:
    figure = comparison.figure
    gained, spent = (
        figure(after, measure) - figure(before, measure)
        for measure in ("efficiency", "cpu")
    )
    if gained <= comparison.noise("efficiency") and -spent > comparison.noise("cpu"):
        reason = "it takes less CPU time, and is as efficient but for noise"
    else:
        reason = "it is more efficient"
    return [
        f"  {reason}",
        *(
            f"  {each.title}: efficiency {figure(each, 'efficiency'):.2f} %, "
            f"{figure(each, 'cpu'):.2f} ms of CPU time per call"
            for each in (before, after)
        ),
    ]
