"""
What came of trials: samples, their medians, and how these compare.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Sample:
    """
    I am what came of one trial.

    @ivar round: In which round it was made, counted from 1.
    @ivar load: The name of the load.
    @ivar contender: The name of the contender.
    @ivar measures: What was measured, by name; nothing if one of the others is set.
    @ivar cannot: Why the contender does not take part, or an empty text.
    @ivar failed: What went wrong, or an empty text.
    """

    round: int
    load: str
    contender: str
    measures: Mapping[str, float] = field(default_factory=dict)
    cannot: str = ""
    failed: str = ""


class Results:
    """
    I keep samples.

    @ivar samples: A list of them, in the order in which they were taken.
    """

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def of(self, load: str, contender: str) -> list[Sample]:
        """
        @return: The samples of a contender under a load.
        """
        return [
            sample
            for sample in self.samples
            if (sample.load, sample.contender) == (load, contender)
        ]

    def values(self, load: str, measure: str, contender: str) -> list[float]:
        """
        @return: What was measured, in the order of the rounds.
        """
        samples = self.of(load, contender)
        return [each.measures[measure] for each in samples if measure in each.measures]

    def median(self, load: str, measure: str, contender: str) -> float | None:
        """
        @return: The median of that, C{None} if there is nothing.
        """
        values = self.values(load, measure, contender)
        return median(values) if values else None

    def ratio(
        self, load: str, measure: str, contender: str, other: str
    ) -> float | None:
        """
        @return: The median of a contender by that of another, C{None} if there is
            none, or the other's is 0.
        """
        mine = self.median(load, measure, contender)
        theirs = self.median(load, measure, other)
        return mine / theirs if mine is not None and theirs else None

    def trouble(self, load: str, contender: str) -> str:
        """
        @return: Why there are no samples, or not as many as there should be; an
            empty text if there is no reason. A contender is not tried again under
            a load that it cannot take or has failed under.
        """
        for sample in self.of(load, contender)[-1:]:
            if sample.failed:
                return f"failed in round {sample.round}: {sample.failed}"
            return sample.cannot
        return ""
