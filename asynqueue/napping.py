"""
One setting under one load, in this process, which is fresh.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, process_time
from typing import Any

from twisted.internet.defer import gatherResults

from asynqueue.children import getContext
from asynqueue.chores import nap, nothing
from asynqueue.exercises import Measures, schedule
from asynqueue.floor import bareProcess, napWhenTold
from asynqueue.grid import LOADS, Choice, looks
from asynqueue.process import ProcessQueue
from asynqueue.trials import run

WARMING = [0.01] * 4
"""
Naps for each worker, in seconds, before those that count: the first ones find caches
and processes cold.
"""

Pairs = Sequence[tuple[float, float]]
"""
Call times in seconds, here and there, as of
L{stats<asynqueue.figures.Figures.stats>}.
"""


@dataclass(frozen=True)
class Spent:
    """
    I am what has passed for this process, or has passed meanwhile.

    @ivar wall: Time, in seconds.
    @ivar cpu: Time that its threads ran, in seconds.
    @ivar wakes: How often one of them went to sleep, and was woken.
    """

    wall: float
    cpu: float
    wakes: int

    @classmethod
    def now(cls) -> "Spent":
        """
        @return: What has passed so far.
        """
        return cls(perf_counter(), process_time(), getrusage(RUSAGE_SELF).ru_nvcsw)

    def since(self, before: "Spent") -> "Spent":
        """
        @return: What has passed since.
        """
        return Spent(
            self.wall - before.wall,
            self.cpu - before.cpu,
            self.wakes - before.wakes,
        )


def reckon(pairs: Pairs, workers: int, spent: Spent) -> Measures:
    """
    @param workers: How many worked all the time.
    @param spent: What was spent meanwhile.
    @return: I{efficiency}: how much of their time the workers worked, in percent;
        and for one call, I{overhead}: the time here less that there, in
        milliseconds; I{cpu}: the CPU time spent here, in milliseconds; I{wakes}.
    """
    calls = len(pairs)
    here, there = map(sum, zip(*pairs, strict=True))
    return {
        "efficiency": 100 * there / (workers * spent.wall),
        "overhead": 1000 * (here - there) / calls,
        "cpu": 1000 * spent.cpu / calls,
        "wakes": spent.wakes / calls,
    }


def trial(
    load: str, each: int, workers: int, choice: Mapping[str, Any] | None
) -> dict[str, Any]:
    """
    Measures. What has been started goes on when I return.

    @param load: The name of a load of L{LOADS}.
    @param each: How many naps for each worker, or some more.
    @param choice: The attributes of a L{Choice}; C{None} for bare pipes.
    @return: A dict with an item: I{measures}, or I{failed} with what went wrong.
    """
    naps = schedule(workers, each, LOADS[load].shortest, LOADS[load].longest)
    if choice is None:
        return {"measures": throughPipes(naps, workers)}
    chosen = Choice(**choice)
    return run(lambda: throughQueue(naps, workers, chosen))


async def throughQueue(
    naps: Sequence[float], workers: int, choice: Choice
) -> dict[str, Any]:
    """
    Has the workers of a queue nap.

    @param naps: How long, in seconds.
    """
    queue = ProcessQueue(workers, **choice.keywords())
    await queue.update(nothing, ephemeral=True)
    await gatherResults([queue.call(nap, each) for each in WARMING * workers])
    for worker in queue.workers():
        worker.callStats = True
    before = Spent.now()
    await gatherResults([queue.call(nap, each) for each in naps])
    spent = Spent.now().since(before)
    pairs = await queue.stats()
    measures = reckon(pairs, workers, spent)
    if choice.isPaced:
        counts = [looks(here, choice.interval, choice.backoff) for here, _ in pairs]
        measures["looks"] = sum(counts) / len(counts)
    return {"measures": measures}


def throughPipes(naps: Sequence[float], workers: int) -> Measures:
    """
    Has processes nap at the far ends of bare pipes, each of which has a thread here
    that sends, waits, and sends again.

    @param naps: How long, in seconds.
    """
    method = getContext(None).get_start_method()
    with ExitStack() as ends, ThreadPoolExecutor(workers) as threads:
        pipes = [
            ends.enter_context(bareProcess(method, napWhenTold)) for _ in range(workers)
        ]
        list(threads.map(lambda pipe: nextNaps(pipe, deque(WARMING)), pipes))
        waiting = deque(naps)
        before = Spent.now()
        found = list(threads.map(lambda pipe: nextNaps(pipe, waiting), pipes))
        spent = Spent.now().since(before)
        return reckon([pair for pairs in found for pair in pairs], workers, spent)


def nextNaps(pipe: Any, waiting: "deque[float]") -> Pairs:
    """
    Sends one nap after another, from the left, as long as some wait.

    @return: How long they have taken.
    """
    pairs = []
    with suppress(IndexError):
        while True:
            length = waiting.popleft()
            begun = perf_counter()
            pipe.send_bytes(str(length).encode())
            there = float(pipe.recv_bytes())
            pairs.append((perf_counter() - begun, there))
    return pairs
