"""
Trials of all contenders under all loads, by turns.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asynqueue import apart
from asynqueue.contenders import CONTENDERS
from asynqueue.loads import Load
from asynqueue.results import Results, Sample
from asynqueue.trials import FLOOR

PROBE_LIMIT = 30.0
"""
How long a contender may take to introduce itself, in seconds.
"""

TITLES = {
    **{name: contender.title for name, contender in CONTENDERS.items()},
    FLOOR: "bare pipe",
}
"""
What all that can be measured is called, by the names it is chosen by.
"""

USUAL = {
    **{name: contender.isUsual for name, contender in CONTENDERS.items()},
    FLOOR: True,
}
"""
Whether each of them is measured unless something else is asked for.
"""

ANCESTOR = "ancestor"
"""
The contender that has an interpreter of its own.
"""


def ancestorCommand(path: str) -> list[str]:
    """
    Where AsynQueue is installed, the package C{asynqueue} is another one. There it
    also looks for modules in ours: those that it has itself come first.

    @param path: The interpreter, or the virtual environment that has it.
    @return: The command by which that runs L{answer<asynqueue.apart.answer>}.
    """
    if os.path.isdir(path):
        path = os.path.join(path, "bin", "python")
    here = str(Path(__file__).parent.absolute())
    # -I: what tells this interpreter where its modules are does not tell that one.
    program = f"import asynqueue; asynqueue.__path__.append({here!r}); {apart.ANSWER}"
    return [path, "-I", "-c", program]


class Tournament:
    """
    I have contenders tried under loads, each time in a process of its own, in rounds
    in which all have their turn.

    @ivar results: What came of it so far.
    @ivar versions: The versions of those that take part, by their names.
    @ivar leftOut: The reasons why others do not, by their names.
    @ivar reactor: The class of the reactor that calls were made from.
    """

    def __init__(
        self,
        contenders: Sequence[str],
        loads: Sequence[Load],
        rounds: int,
        method: str,
        settings: Mapping[str, Any],
        ancestor: str | None = None,
        ask: Callable[..., Any] = apart.ask,
    ) -> None:
        """
        @param contenders: Names, of L{TITLES}.
        @param method: The start method of the processes.
        @param settings: Further arguments of L{trial<asynqueue.trials.trial>}.
        @param ancestor: A path as of L{ancestorCommand}.
        @param ask: Calls a function elsewhere, as L{ask<asynqueue.apart.ask>} does.
        """
        self.results = Results()
        self.versions: dict[str, str] = {}
        self.leftOut: dict[str, str] = {}
        self.reactor = ""
        self._contenders = contenders
        self._loads = loads
        self._rounds = rounds
        self._method = method
        self._settings = settings
        self._ancestor = ancestor
        self._ask = ask

    @property
    def total(self) -> int:
        """
        How many steps L{run} takes at most.
        """
        return len(self._contenders) * (1 + self._rounds * len(self._loads))

    def run(self) -> Iterator[str]:
        """
        Runs everything.

        @return: An iterator over what I am about to do, step by step: I do it when
            the next is asked for.
        """
        for contender in self._contenders:
            yield f"{TITLES[contender]}: looking"
            self._introduce(contender)
        for number in range(1, self._rounds + 1):
            for load in self._loads:
                for contender in self._contenders:
                    yield f"{TITLES[contender]}: {load.title}"
                    if self._isToBeTried(contender, load):
                        self._try(number, contender, load)

    def _introduce(self, contender: str) -> None:
        if contender == FLOOR:
            return
        if contender == ANCESTOR and self._ancestor is None:
            self.leftOut[contender] = "its environment is told by --ancestor"
            return
        arguments = {"contender": contender, "method": self._method}
        told = self._tell("probe", arguments, contender, PROBE_LIMIT)
        if "failed" in told:
            self.leftOut[contender] = told["failed"]
        else:
            self.versions[contender] = told["version"]
            self.reactor = told["reactor"]

    def _isToBeTried(self, contender: str, load: Load) -> bool:
        if contender == FLOOR and load.floor is None:
            return False
        return contender not in self.leftOut and not self.results.trouble(
            load.name, contender
        )

    def _try(self, number: int, contender: str, load: Load) -> None:
        arguments = {
            "contender": contender,
            "load": load.name,
            "method": self._method,
            **self._settings,
        }
        told = self._tell("trial", arguments, contender, load.limit)
        self.results.samples.append(Sample(number, load.name, contender, **told))

    def _tell(
        self, function: str, arguments: dict[str, Any], contender: str, limit: float
    ) -> dict[str, Any]:
        """
        @return: What a function of L{asynqueue.trials} returns.
        """
        by = None
        if contender == ANCESTOR and self._ancestor is not None:
            by = ancestorCommand(self._ancestor)
        try:
            told = self._ask(f"asynqueue.trials:{function}", arguments, limit, by)
        except (apart.NoAnswer, OSError) as error:
            return {"failed": str(error)}
        found: dict[str, Any] = told
        return found
