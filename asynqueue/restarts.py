"""
How often, and after which pause, a worker that dies may begin anew.
"""

from collections import deque
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from asynqueue.errors import CrashLoop, WorkerDied, aboutExit
from asynqueue.messages import describe
from asynqueue.reactors import theReactor

MAX_DEATHS = 6
"""
How many deaths in a row, with nothing finished between them, a worker is given
up after, unless its queue says otherwise.
"""

MERCY = 10
"""
How many deaths in the middle of calls count as one. Each is the fault of its call
first, and fails it. Only if very many come in a row, and nothing is finished
between them, is the worker to blame.
"""

PAUSE = 0.1
"""
How long to wait, in seconds, before beginning anew after the second death in a
row; twice as long after each further one. After the first there is no pause.
"""

LONGEST = 30.0
"""
The longest pause, in seconds.
"""

STABLE = 60.0
"""
How long a process has to be up, in seconds, to count as one that has finished
something, though it was asked nothing.
"""

REMEMBERED = 5
"""
How many of the last deaths are told of.
"""


class Restarts:
    """
    I count how often a worker has died, or could not come up, since it last
    finished a call.
    """

    def __init__(self, maxDeaths: int | None, reactor: Any) -> None:
        """
        @param maxDeaths: How many such deaths are too many; C{None} if none are.
        """
        self._maxDeaths = maxDeaths
        self._reactor = reactor
        self._last: deque[BaseException] = deque(maxlen=REMEMBERED)
        self._upSince: float | None = None
        self._startAfresh()

    @property
    def deaths(self) -> int:
        """
        How many deaths there were in a row; those in the middle of calls count
        by the L{MERCY}.
        """
        return self._early + self._inCalls // MERCY

    @property
    def tooMany(self) -> bool:
        """
        C{True} if the worker is to be given up.
        """
        return self._maxDeaths is not None and self.deaths >= self._maxDeaths

    @property
    def pause(self) -> float:
        """
        How long to wait before beginning anew, in seconds.
        """
        if self.deaths < 2:
            return 0.0
        # The power would overflow some day.
        return min(PAUSE * 2.0 ** min(self.deaths - 2, 60), LONGEST)

    def cameUp(self) -> None:
        """
        The worker is up, and has run the updates.
        """
        self._upSince = theReactor(self._reactor).seconds()

    def finished(self) -> None:
        """
        The worker has finished a call.
        """
        if self._early or self._inCalls:
            self._startAfresh()

    def died(self, why: BaseException, inCall: bool = False) -> None:
        """
        The worker has died, or could not come up.

        @param why: What tells of it.
        @param inCall: C{True} if it was in the middle of a call.
        """
        upSince, self._upSince = self._upSince, None
        if (
            upSince is not None
            and theReactor(self._reactor).seconds() - upSince >= STABLE
        ):
            self._startAfresh()
        self._last.append(why)
        if inCall:
            self._inCalls += 1
        else:
            self._early += 1

    def error(self, worker: Any) -> CrashLoop:
        """
        @return: An exception that tells what the worker is given up for. Its
            cause is what told of the last death.
        """
        last = self._last[-1]
        times = self._early + self._inCalls
        error = CrashLoop(
            f"The worker {worker!r} was given up: {times} times in a row it died, or "
            "could not come up, before it had finished a call. The last of these: "
            f"{_endings(self._last)}. Look at what its processes "
            "wrote to standard error, at what the program's main module does when "
            "it is imported, at the queue's saved updates, and at the machine's "
            "memory (SIGKILL may come from there)",
            last.pid if isinstance(last, WorkerDied) else None,
            last.exitCode if isinstance(last, WorkerDied) else None,
            times,
            [why.exitCode for why in self._last if isinstance(why, WorkerDied)],
        )
        error.__cause__ = last
        return error

    def _startAfresh(self) -> None:
        self._early = self._inCalls = 0
        self._last.clear()


def _endings(last: Iterable[BaseException]) -> str:
    """
    @return: How the last deaths came about, in words: "exit code 3 (4 times), then
        signal 9 (SIGKILL)".
    """
    endings = []
    for ending, same in groupby(map(_ending, last)):
        n = len(list(same))
        endings.append(ending if n == 1 else f"{ending} ({n} times)")
    return ", then ".join(endings)


def _ending(why: BaseException) -> str:
    if isinstance(why, WorkerDied):
        return aboutExit(why.exitCode)
    return f"{type(why).__qualname__}: {describe(why)}"
