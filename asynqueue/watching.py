"""
What it costs to be watched.
"""

import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from asynqueue import chores
from asynqueue.contender import Contender
from asynqueue.exercises import Measures, Setting

AT = 64
"""
How many calls are outstanding.
"""

READER = """
import sys, urllib.request
for line in urllib.request.urlopen(sys.argv[1]):
    if line.startswith(b"data"):
        print(flush=True)
"""
"""
A program that reads all events from an address, as a browser does, and writes a line
for each.
"""


class Reader:
    """
    I read the events of a page, in a process of my own.
    """

    def __init__(self, address: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", READER, f"{address}events"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )

    def begun(self) -> "Deferred[Any]":
        """
        @return: A Deferred that fires when the first event has come.
        """
        stream: Any = self._process.stdout
        return deferToThread(stream.readline)

    def stop(self) -> None:
        """
        Ends me.
        """
        self._process.kill()
        self._process.communicate()


async def rate(pool: Contender, seconds: float) -> float:
    """
    Calls what does nothing, for some time.

    @return: How many calls a second.
    """
    begun = perf_counter()
    calls = 0

    async def some() -> None:
        nonlocal calls
        while perf_counter() - begun < seconds:
            await pool.call(chores.nothing)
            calls += 1

    await gatherResults([Deferred.fromCoroutine(some()) for _ in range(AT)])
    return calls / (perf_counter() - begun)


async def watched(
    setting: Setting,
    rounds: int,
    seconds: float,
    makeReader: Callable[[str], Any] = Reader,
) -> Measures:
    """
    Calls what does nothing, by turns without a page, with one that nobody has open, and
    with one that somebody watches.

    @param rounds: How many turns.
    @param seconds: How long each of the three takes in them.
    @return: The calls a second with a page, in percent of those without: medians of
        the rounds.
    """
    pool = await setting.crew()
    await rate(pool, seconds)
    shares: dict[str, list[float]] = {"mounted": [], "watched": []}
    for number in range(rounds):
        rates = {}
        ways = ["bare", "mounted", "watched"]
        # Whoever comes first has no advantage.
        for way in ways[number % 3 :] + ways[: number % 3]:
            rates[way] = await _rateBy(way, pool, seconds, makeReader)
        for name, values in shares.items():
            values.append(100 * rates[name] / rates["bare"])
    return {name: median(values) for name, values in shares.items()}


async def _rateBy(
    way: str, pool: Contender, seconds: float, makeReader: Callable[[str], Any]
) -> float:
    if way == "bare":
        return await rate(pool, seconds)
    address, stop = pool.watch()
    try:
        if way == "mounted":
            return await rate(pool, seconds)
        reader = makeReader(address)
        try:
            await reader.begun()
            return await rate(pool, seconds)
        finally:
            reader.stop()
    finally:
        await stop()
