"""
What the soak program does to a queue: one kind of thing in each method, which sees
to it that all comes out as it has to.
"""

import random
import signal
from collections import Counter
from functools import partial
from importlib.util import find_spec
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from asynqueue.errors import QueueRunError, TimeoutError, WorkerDied, WorkerError
from asynqueue.process import ProcessQueue, ProcessWorker
from asynqueue.producers import ListConsumer
from tests import calls, soaking
from tests.field import Excused, Field, Turn, Wrong, same

HUGE = 100 * 2**20
"""
How large the largest payload is, in bytes.
"""

PERSISTENT = 8
"""
How many updates are made at most that each new process has to run.
"""


class Injections(Field):
    """
    I do it to my queue, as the dice say that each is given.
    """

    async def _burst(self, f, n, expected, *more, **kw):
        path, before, ds = self.path(), self.reassigned, []
        for k in range(n):
            ds.append(self.call(f, path, k, *more, **kw))
        lost = set()
        wrong = None
        for k, d in enumerate(ds):
            try:
                result = await self.get(d, LookupError)
                found = result.args if isinstance(result, LookupError) else result
                same(found, expected(k), f"what call {k} came to")
            except Excused:
                lost.add(k)
            except Exception as error:
                # The others are waited for all the same.
                wrong = error
        ran = Counter(soaking.marks(path))
        self.clear(path)
        if wrong:
            raise wrong
        for k in range(n):
            most = 1 + self.reassigned - before
            if ran[k] > most or (k not in lost and not ran[k]):
                raise Wrong(f"call {k} ran {ran[k]} times")
        if lost:
            raise Excused

    async def instantCalls(self, dice):
        n = dice.randrange(1, 60)
        await self._burst(soaking.square, n, lambda k: k * k)

    async def slowCalls(self, dice):
        seconds = dice.uniform(0, 0.05)
        await self._burst(soaking.slow, dice.randrange(1, 6), lambda k: -k, seconds)

    async def urgentCalls(self, dice):
        kw = dice.choice([{"niceness": -20}, {"niceness": 20}, {"doNext": True}])
        await self._burst(soaking.square, dice.randrange(1, 20), lambda k: k * k, **kw)

    async def errors(self, dice):
        await self._burst(soaking.fail, dice.randrange(1, 20), lambda k: (k,))

    async def payloads(self, dice):
        await self._payload(dice, int(10 ** dice.uniform(1, 6.7)))

    async def hugePayloads(self, dice):
        async with Turn(self.lock):
            await self._payload(dice, HUGE)

    async def _payload(self, dice, size):
        seed = dice.randrange(2**30)
        data = soaking.blob(seed, size)
        found = await self.get(self.call(soaking.reversedBlob, seed, data))
        if found != data[::-1]:
            raise Wrong(f"A payload of {size} bytes came back changed")

    async def arrays(self, dice):
        if find_spec("numpy") is None:
            return
        import numpy

        array = numpy.arange(int(10 ** dice.uniform(0, 6)))
        found = await self.get(self.call(soaking.doubled, array))
        if not numpy.array_equal(found, array * 2):
            raise Wrong(f"An array of {len(array)} came back changed")

    async def _read(self, n, most, error=False):
        iterator = await self.get(self.call(soaking.items, n, error))
        found: list[Any] = []
        try:
            while len(found) < most:
                found.append(await iterator.__anext__())
        except (StopAsyncIteration, LookupError) as end:
            same(type(end) is LookupError, error, "the iterator's error")
            same(len(found), n, "the iterator's length")
        except WorkerError as gone:
            if "is not open any more" in str(gone) and found:
                self.claims[found[0][0]] = str(gone)[:300]
            else:
                self.excuse(gone)
            raise Excused from gone
        pids = {pid for pid, _ in found}
        same([k for _, k in found], list(range(min(most, n))), "items")
        same(len(pids) < 2, True, "one process for all items")
        return iterator

    async def iteratorsRead(self, dice):
        await self._read(dice.randrange(50), 1000)

    async def iteratorsAbandoned(self, dice):
        await self._read(50, dice.randrange(50))

    async def iteratorsStopped(self, dice):
        iterator = await self._read(50, dice.randrange(50))
        iterator.stop()
        same(await iterator.d, False, "whether a stopped iterator is complete")

    async def iteratorsFailing(self, dice):
        await self._read(dice.randrange(1, 50), 1000, True)

    async def consumers(self, dice):
        n = dice.randrange(50)
        consumer = ListConsumer()
        await self.get(self.call(calls.count, n, consumer=consumer))
        same(await consumer(), list(range(n)), "what a consumer got")

    async def cancelsOfWaiting(self, dice):
        # Nobody is qualified for it.
        path, series = self.path(), object()
        ds = [self.call(soaking.square, path, k, series=series) for k in range(9)]
        if dice.random() < 0.5:
            same(self.queue.cancelSeries(series), len(ds), "how many were cancelled")
        else:
            for d in ds:
                d.cancel()
        for d in ds:
            same(type(await self.get(d, CancelledError)), CancelledError, "a cancel")
        same(soaking.marks(path), [], "which cancelled calls ran")

    async def cancelsOfRunning(self, dice):
        await self._cancel(lambda path, d: self.begun(path, d))

    async def cancelsAtAnyTime(self, dice):
        pause = dice.uniform(0, 0.01)
        await self._cancel(lambda path, d: deferLater(reactor, pause))

    async def _cancel(self, wait):
        path = self.path()
        d = self.call(soaking.hang, path)
        await wait(path, d)
        d.cancel()
        try:
            same(type(await self.get(d, CancelledError)), CancelledError, "a cancel")
        finally:
            self.doom(path)

    async def timeouts(self, dice):
        retries = dice.randrange(2)
        await self._timeOut(dice.uniform(0.1, 0.5), retries)

    async def stoppedProcesses(self, dice):
        await self._timeOut(0.5, 0, signal.SIGSTOP)

    async def _timeOut(self, timeout, retries, signum=None):
        path = self.path()
        d = self.call(soaking.hang, path, timeout=timeout, retries=retries)
        if signum:
            pid = await self.begun(path, d)
            if pid and not d.called:
                self.kill(pid, signum)
        try:
            same(type(await self.get(d, TimeoutError)), TimeoutError, "a timeout")
        finally:
            self.doom(path, 1 + retries)

    async def exits(self, dice):
        await self._die(0, 3)

    async def suicides(self, dice):
        await self._die(signal.SIGKILL, -signal.SIGKILL)

    async def faults(self, dice):
        await self._die(signal.SIGSEGV, -signal.SIGSEGV)

    async def _die(self, how, exitCode):
        path = self.path()
        d = self.call(soaking.die, path, how)
        try:
            error = await self.get(d, WorkerDied)
        finally:
            self.doom(path)
        same(type(error), WorkerDied, "the error of a call that ends its process")
        self.excuse(error)
        # Unless somebody else was quicker.
        if error.exitCode not in (exitCode, -signal.SIGKILL, -signal.SIGTERM):
            raise Wrong(f"A process that was to end by {how} told {error.exitCode}")

    async def killsFromOutside(self, dice):
        child = dice.choice(self.staff).process
        if child is not None and child.is_alive():
            self.kill(child.pid, signal.SIGKILL)

    async def updates(self, dice):
        what = dice.random()
        isKept = len(self.learned) < PERSISTENT
        how = {"ephemeral": not isKept, "sequential": what < 0.3}
        results = await self.get(self.queue.update(soaking.learn, what, **how))
        same(set(results), {what}, "the results of an update")
        if isKept:
            self.learned.append(what)

    async def knowledge(self, dice):
        series = dice.choice([None, *range(len(self.staff))])
        known = list(self.learned)
        if series is not None:
            known.append(("series", series))
        found = await self.get(self.call(soaking.known, series=series))
        same([each for each in known if each not in found], [], "what is not known")

    async def workersReplaced(self, dice):
        crash, reassign = dice.random() < 0.5, dice.random() < 0.5
        place = dice.randrange(len(self.staff))
        async with Turn(self.lock):
            old = self.staff[place]
            new = ProcessWorker(series=old.iQualified)
            await self.get(self.queue.attachWorker(new))
            self.staff[place] = new
            if old.process is not None and old.process.pid is not None:
                self.doomed.add(old.process.pid)
            self.replaced += 1
            self.reassigned += reassign
        tasks = await self.queue.detachWorker(old, reassign, crash)
        self.givenBack += len(tasks)

    async def queuesOfOne(self, dice):
        """
        A queue with one worker shows the order in which calls run, and how a
        shutdown ends those that wait.
        """
        queue, path = ProcessQueue(1), self.path()
        gate = queue.call(soaking.gate, path, 0)
        await self.begun(path, gate)
        kinds: list[Any] = [{"doNext": True}, {}, {"doLast": True}]
        chosen = [dice.randrange(3) for _ in range(dice.randrange(1, 12))]
        call = partial(queue.call, soaking.square, path)
        ds = [call(k + 1, **kinds[kind]) for k, kind in enumerate(chosen)]
        isShut = dice.random() < 0.5
        over = queue.shutdown() if isShut else None
        soaking.mark(path + ".open", 0)
        for k, d in enumerate(ds):
            d.addErrback(lambda failure: failure.trap(QueueRunError) and None)
            same(await d, None if isShut else (k + 1) ** 2, "a queue of one's result")
        await gate
        await (over or queue.shutdown())
        order = sorted(range(len(chosen)), key=chosen.__getitem__)
        ran = [0] if isShut else [0, *[k + 1 for k in order]]
        same(soaking.marks(path), ran, "the order of calls")
        self.clear(path)
        self.clear(path + ".open")


KINDS = {
    "instantCalls": 30,
    "slowCalls": 8,
    "urgentCalls": 6,
    "errors": 8,
    "payloads": 8,
    "hugePayloads": 0.1,
    "arrays": 6,
    "iteratorsRead": 5,
    "iteratorsAbandoned": 5,
    "iteratorsStopped": 3,
    "iteratorsFailing": 3,
    "consumers": 5,
    "cancelsOfWaiting": 4,
    "cancelsOfRunning": 2,
    "cancelsAtAnyTime": 2,
    "timeouts": 1,
    "stoppedProcesses": 0.5,
    "exits": 1,
    "suicides": 1,
    "faults": 1,
    "killsFromOutside": 2,
    "updates": 2,
    "knowledge": 8,
    "workersReplaced": 0.7,
    "queuesOfOne": 0.5,
}
"""
The names of L{Injections}' kinds, and how often each comes, as a weight.
"""


def choose(seed, step):
    """
    @return: What a step is: a kind's name, and the dice for all that it leaves to
        chance, the same for the same seed and step.
    """
    dice = random.Random(f"{seed}/{step}")
    return dice.choices(list(KINDS), list(KINDS.values()))[0], dice
