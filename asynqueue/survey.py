"""
Trials of all settings under all loads, by turns.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from asynqueue import apart
from asynqueue.grid import Choice, Naps
from asynqueue.results import Results, Sample

PIPE = "bare pipe"
"""
What the floor under all settings is called.
"""

LIMIT = 60.0
"""
How long one trial may take besides the time that the calls do, in seconds: many times
what it takes on a machine that has other things to do too.
"""


class Survey:
    """
    I have settings tried under loads, each time in a process of its own, in rounds in
    which all have their turn; and the same calls made over bare pipes, to tell what
    is the machine's.

    @ivar choices: A list of the settings.
    @ivar loads: A list of the loads.
    @ivar results: What came of it so far, by the titles of the settings, and L{PIPE}.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        loads: Sequence[Naps],
        workers: int,
        rounds: int,
        seconds: float,
        ask: Callable[..., Any] = apart.ask,
    ) -> None:
        """
        @param workers: How many workers there are each time.
        @param seconds: About how long they are busy each time.
        @param ask: Calls a function elsewhere, as L{ask<asynqueue.apart.ask>} does.
        """
        self.results = Results()
        self.choices = choices
        self.loads = loads
        self._workers = workers
        self._rounds = rounds
        self._seconds = seconds
        self._ask = ask

    @property
    def total(self) -> int:
        """
        How many steps L{run} takes.
        """
        return self._rounds * len(self.loads) * (len(self.choices) + 1)

    def run(self) -> Iterator[str]:
        """
        Runs everything.

        @return: An iterator over what I am about to do, step by step: I do it when
            the next is asked for.
        """
        for number in range(1, self._rounds + 1):
            for load in self.loads:
                yield f"{PIPE}: {load.title}"
                self._try(number, load, None, PIPE)
                for choice in self.choices:
                    yield f"{choice.title}: {load.title}"
                    self._try(number, load, choice, choice.title)

    def _try(self, number: int, load: Naps, choice: Choice | None, name: str) -> None:
        """
        One that has failed under a load is not tried under it again.
        """
        if self.results.trouble(load.name, name):
            return
        each = load.each(self._seconds)
        arguments = {
            "load": load.name,
            "each": each,
            "workers": self._workers,
            "choice": None if choice is None else asdict(choice),
        }
        limit = LIMIT + 2 * each * load.longest
        try:
            told = self._ask("asynqueue.napping:trial", arguments, limit)
        except (apart.NoAnswer, OSError) as error:
            told = {"failed": str(error)}
        self.results.samples.append(Sample(number, load.name, name, **told))
