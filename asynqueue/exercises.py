"""
What contenders are put through, and what is measured meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapreplace
from importlib import import_module
from random import Random
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from asynqueue import chores, floor
from asynqueue.contender import Cannot, Contender
from asynqueue.stalls import StallWatch

Measures = dict[str, float]
"""
What was measured, by the names of the measures.
"""

BATCH, SOME = 1000, 10
"""
How many calls are put at once where the cost of one is measured, and of how many such
batches the median is taken.
"""


@dataclass(frozen=True)
class Setting:
    """
    I am what an exercise is done with.

    @ivar make: Makes the contender, with so many workers, not started yet.
    @ivar workers: How many.
    @ivar reactor: The reactor.
    """

    make: Callable[[int], Contender]
    workers: int
    reactor: Any

    async def crew(self, workers: int | None = None) -> Contender:
        """
        @return: The contender, started, all of whose workers have answered.
        """
        pool = self.make(workers or self.workers)
        pool.start()
        await everybody(pool)
        return pool


async def everybody(pool: Contender, tries: int = 100) -> list[int]:
    """
    Calls until each worker has answered.

    @return: The IDs of their processes.
    @raise Cannot: if that does not come about.
    """
    found: set[int] = set()
    for _ in range(tries):
        calls = [pool.call(chores.identify, 0.02) for _ in range(2 * pool.workers)]
        found.update(await gatherResults(calls, consumeErrors=True))
        if len(found) >= pool.workers:
            return sorted(found)
    raise Cannot(f"only {len(found)} of {pool.workers} workers take calls")


def spread(times: list[float]) -> Measures:
    """
    @param times: How long each of some trips took, in seconds.
    @return: Their median, and what only one in a hundred exceeds, in microseconds.
    """
    ordered = sorted(times)
    count = len(ordered)
    return {"p50": 1e6 * ordered[count // 2], "p99": 1e6 * ordered[count * 99 // 100]}


async def oneAtATime(setting: Setting, calls: int) -> Measures:
    """
    Calls what does nothing, each time when the last call has ended. The first tenth
    does not count.
    """
    pool = await setting.crew()
    for _ in range(calls // 10):
        await pool.call(chores.nothing)
    times = []
    for _ in range(calls):
        begun = perf_counter()
        await pool.call(chores.nothing)
        times.append(perf_counter() - begun)
    return spread(times)


async def outstanding(setting: Setting, calls: int, at: int) -> Measures:
    """
    Calls what does nothing, a number of calls at a time: when one has ended, another
    is made.
    """
    pool = await setting.crew()

    async def some() -> None:
        for _ in range(calls // at):
            await pool.call(chores.nothing)

    begun = perf_counter()
    await gatherResults([Deferred.fromCoroutine(some()) for _ in range(at)])
    return {"rate": calls // at * at / (perf_counter() - begun)}


async def burst(setting: Setting, calls: int) -> Measures:
    """
    Calls what does nothing, all at once.
    """
    pool = await setting.crew()
    begun = perf_counter()
    await gatherResults([pool.call(chores.nothing) for _ in range(calls)])
    return {"rate": calls / (perf_counter() - begun)}


def schedule(workers: int, each: int, shortest: float, longest: float) -> list[float]:
    """
    @param each: How many naps for each worker, or some more.
    @return: The lengths of naps in seconds, evenly spread and shuffled, always in
        the same way. The last ones are such that all workers end at the same time
        if each takes the next nap when it is through with one.
    """
    count = workers * each
    step = (longest - shortest) / max(1, count - 1)
    naps = [shortest + step * place for place in range(count)]
    Random(count).shuffle(naps)
    ends = [0.0] * workers
    for nap in naps:
        heapreplace(ends, ends[0] + nap)
    rests = [max(ends) - end for end in sorted(ends)]
    return naps + [rest for rest in rests if rest > 1e-6]


async def working(
    setting: Setting, each: int, shortest: float, longest: float
) -> Measures:
    """
    Calls what takes its time, all at once: which share of their time do the workers
    work, and how much of it is lost with each call?
    """
    naps = schedule(setting.workers, each, shortest, longest)
    pool = await setting.crew()
    begun = perf_counter()
    worked = sum(await gatherResults([pool.call(chores.nap, nap) for nap in naps]))
    could = setting.workers * (perf_counter() - begun)
    return {
        "efficiency": 100 * worked / could,
        "overhead": 1000 * (could - worked) / len(naps),
    }


def doublings(most: int) -> list[int]:
    """
    @return: 1, 2, 4 and so on, and the most.
    """
    counts = [2**power for power in range(most.bit_length())]
    return counts if counts[-1] == most else [*counts, most]


async def speedUp(setting: Setting, most: int, each: int, seconds: float) -> Measures:
    """
    Calls what keeps a core busy, by more and more workers: how much more do they
    get done than one?

    @param most: How many workers at most.
    @param each: How many calls for each worker.
    @param seconds: About how long one takes.
    @return: For each number of workers but 1, how many times as much.
    """
    turns = 100_000
    begun = perf_counter()
    chores.spin(turns)
    turns = int(turns * seconds / (perf_counter() - begun))
    rates = {}
    for workers in doublings(most):
        pool = await setting.crew(workers)
        calls = each * workers
        begun = perf_counter()
        await gatherResults([pool.call(chores.spin, turns) for _ in range(calls)])
        rates[workers] = calls / (perf_counter() - begun)
        await pool.stop()
    return {str(workers): rates[workers] / rates[1] for workers in rates if workers > 1}


async def volume(setting: Setting, calls: int, size: int) -> Measures:
    """
    Sends bytes and gets them back, one call at a time: how fast, and how long does
    the reactor stall?
    """
    pool = await setting.crew()
    data = b"x" * size
    await pool.call(chores.echo, data)
    with StallWatch(setting.reactor) as watch:
        begun = perf_counter()
        for _ in range(calls):
            if len(await pool.call(chores.echo, data)) != size:
                raise Cannot("returns something else")
        seconds = perf_counter() - begun
    return {"rate": 2 * size * calls / seconds / 1e6, "stall": 1000 * watch.longest}


async def items(setting: Setting, count: int) -> Measures:
    """
    Reads from a generator in a worker.
    """
    pool = await setting.crew()
    begun = perf_counter()
    found = await pool.read(chores.count, count)
    if found != count:
        raise Cannot(f"gives {found} items instead of {count}")
    return {"rate": count / (perf_counter() - begun)}


async def startUp(setting: Setting) -> Measures:
    """
    Starts from nothing, but with the library imported, and waits for a first answer.
    """
    pool = setting.make(setting.workers)
    begun = perf_counter()
    pool.start()
    await pool.call(chores.nothing)
    return {"first": 1000 * (perf_counter() - begun)}


async def memory(setting: Setting, calls: int) -> Measures:
    """
    Makes some calls: how large are the workers then?

    @raise Cannot: if it cannot be told here.
    """
    psutil = _psutil()
    pool = await setting.crew()
    for _ in range(calls):
        await pool.call(chores.nothing)
    sizes = [psutil.Process(pid).memory_full_info() for pid in await everybody(pool)]
    return {
        name: sum(getattr(size, name) for size in sizes) / len(sizes) / 2**20
        for name in ("uss", "rss")
    }


def _psutil() -> Any:
    """
    The ancestor can do without it.
    """
    try:
        return import_module("psutil")
    except ImportError:
        raise Cannot("its interpreter lacks psutil") from None


async def waiting(setting: Setting, calls: int, ahead: int) -> Measures:
    """
    Keeps all workers busy and makes more and more calls, which wait: what does one
    cost, and the last more than the first?

    @param ahead: For how many calls a worker may have room, at most.
    @raise Cannot: if it cannot be told here.
    """
    psutil = _psutil()
    pool = await setting.crew()
    kept = [pool.call(chores.nap, 3600.0) for _ in range(setting.workers * ahead)]
    await deferLater(setting.reactor, 0.5)
    process = psutil.Process()
    before = process.memory_info().rss
    times = []
    for _ in range(calls // BATCH):
        begun = perf_counter()
        kept += [pool.call(chores.nothing) for _ in range(BATCH)]
        times.append(perf_counter() - begun)
        await deferLater(setting.reactor, 0)
    size = (process.memory_info().rss - before) / calls
    first, last = (
        1e6 / BATCH * sorted(some)[len(some) // 2]
        for some in (times[:SOME], times[-SOME:])
    )
    return {"size": size, "first": first, "last": last, "growth": last / first}


def floorTrips(method: str, calls: int) -> Measures:
    """
    Plays ping-pong.
    """
    return spread(floor.pingPong(calls, method=method))


def floorVolume(method: str, calls: int, size: int) -> Measures:
    """
    Plays ping-pong with a large ball.
    """
    return {"rate": 2 * size * calls / sum(floor.pingPong(calls, size, method)) / 1e6}


def floorStart(method: str) -> Measures:
    """
    Starts a process and waits for it to send something back.
    """
    begun = perf_counter()
    with floor.bareProcess(method) as pipe:
        pipe.send_bytes(b"x")
        pipe.recv_bytes()
        return {"first": 1000 * (perf_counter() - begun)}
