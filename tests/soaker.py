"""
Runs what the soak program does, and tells what came of it.
"""

import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, formatEvent, globalLogBeginner

from asynqueue.process import ProcessQueue
from tests import leftovers
from tests.field import Excused
from tests.injections import KINDS, Injections, choose

AT_ONCE = 16
"""
How many steps, of up to 60 calls each, go on at the same time.
"""

PATIENCE = 60.0
"""
After how long what has not ended is lost, in seconds.
"""

ALLOWANCE = 32 * 2**20
"""
How much more memory the program may have at its end than after the warm-up, in bytes,
however long it has run: the heap has holes, of 4 to 13 MB in runs of a minute.
"""

MOST_LINES = 50
"""
How many lines are printed at most of what was wrong.
"""


class Soaker:
    """
    I make steps until the time is over, or I am interrupted.

    @ivar wrong: A list of lines on what was wrong, lost or left behind.
    @ivar injected: A C{Counter} of the kinds of steps.
    @ivar excused: A C{Counter} of those in which a call fell to what another step
        did to its worker.
    """

    def __init__(self, seed, workers, **options):
        self.wrong: list[str] = []
        self.injected: Counter[str] = Counter()
        self.excused: Counter[str] = Counter()
        self._seed = seed
        self._workers = workers
        self._options = options
        self._loop: Any = reactor
        self._isOver = False
        self._waiting: Deferred[Any] = Deferred()
        self._open: dict[int, str] = {}
        observer: Any = self._logged
        globalLogBeginner.beginLoggingTo(
            [observer], redirectStandardIO=False, discardBuffer=True
        )

    def interrupt(self):
        """
        Makes no more steps, and ends when those that go on are over.
        """
        self._isOver = True
        self._waiting.cancel()

    async def soak(self, minutes):
        """
        Does it all, and prints the report.
        """
        folder = tempfile.mkdtemp(prefix="asynqueue-soak")
        try:
            await self._soak(folder, minutes * 60)
        finally:
            shutil.rmtree(folder)

    async def _soak(self, folder, seconds):
        options = ", ".join(f"{k}={v!r}" for k, v in self._options.items())
        print(
            f"Seed {self._seed}, {self._workers} workers, {options}. Warming up.",
            flush=True,
        )
        warm = Injections(folder, self._workers, **self._options)
        await warm.begin()
        for k, kind in enumerate(list(KINDS) * 2):
            if not self._isOver:
                await self._step(warm, -1 - k, kind, random.Random(k))
        await self._end(warm)
        self.injected.clear()
        self.excused.clear()
        before, memory = leftovers.census(), leftovers.resident()
        print(f"Up to {ALLOWANCE / 2**20:g} MB more memory are allowed for at the end.")
        print(f"Soaking for {seconds:g} seconds.", flush=True)
        field = Injections(folder, self._workers, **self._options)
        await field.begin()
        began = time.monotonic()
        await self._mix(field, began + seconds)
        took = time.monotonic() - began
        await self._end(field)
        after = await leftovers.settled(before)
        self.wrong += leftovers.more(before, after)
        more = leftovers.resident() - memory
        if more > ALLOWANCE:
            self.wrong.append(f"{more / 2**20:.0f} MB more of resident memory")
        self._report(field, took)
        tellOfLeft(before, after, memory, memory + more)

    async def _mix(self, field, deadline):
        turns = DeferredSemaphore(AT_ONCE)
        step = 0
        while not self._isOver and time.monotonic() < deadline:
            self._waiting = turns.acquire().addTimeout(PATIENCE, self._loop)
            try:
                await self._waiting
            except Exception as error:
                if not self._isOver:
                    self.wrong.append(f"No step ends any more: {error!r}")
                return
            kind, dice = choose(self._seed, step)
            d = Deferred.fromCoroutine(self._step(field, step, kind, dice))
            d.addCallback(lambda _: turns.release())
            step += 1

    async def _step(self, field, step, kind, dice):
        self.injected[kind] += 1
        self._open[step] = kind
        try:
            await getattr(field, kind)(dice)
        except Excused:
            self.excused[kind] += 1
        except Exception as error:
            self.wrong.append(f"Step {step}, {kind}: {error!r}")
        del self._open[step]

    async def _end(self, field):
        """
        Waits for what is still going on, and shuts the queue down.
        """
        patience = time.monotonic() + PATIENCE
        while self._open and time.monotonic() < patience:
            await deferLater(reactor, 0.02)
        self.wrong += [f"Step {k}, {kind}: lost" for k, kind in self._open.items()]
        if self._open:
            field.queue.crashWorkers()
        try:
            await field.queue.shutdown().addTimeout(PATIENCE, self._loop)
        except Exception as error:
            self.wrong.append(f"The queue could not be shut down: {error!r}")
        self.wrong += field.unexplained()

    def _logged(self, event):
        # Warnings tell of processes that have ended, which is what is wanted.
        if event["log_level"] >= LogLevel.error:
            text = formatEvent(event)
            if "log_failure" in event:
                text += f"\n{event['log_failure'].getTraceback()}"
            self.wrong.append(f"Logged: {text}")

    def _report(self, field, took):
        print(f"\nIn {took:.1f} seconds there were {field.made} calls in")
        for kind in KINDS:
            words = "".join(f" {c.lower()}" if c.isupper() else c for c in kind)
            line = f"  {self.injected[kind]:7}  {words}"
            if self.excused[kind]:
                line += f" ({self.excused[kind]} with calls that fell to another step)"
            print(line)
        print(f"  {len(field.doomed):7}  processes were made to end in all")
        print("The calls came to")
        for ending, n in field.endings.most_common():
            print(f"  {n:7}  {ending}")
        print(f"{field.made - field.ended} were lost.\n")

    def verdict(self):
        """
        Prints what was wrong.

        @return: The exit status.
        """
        if not self.wrong:
            print("Nothing was lost, wrong or left behind.")
            return 0
        print(f"{len(self.wrong)} things were lost, wrong or left behind:")
        for line in self.wrong[:MOST_LINES]:
            print(f"- {line}")
        return 1

    async def leaks(self, nCalls, nIterators, nRespawns):
        """
        Makes many calls, iterators and respawns, and prints what there was before
        and after.
        """
        uses = [
            (leftovers.makeRespawns, nRespawns),
            (leftovers.makeIterators, nIterators),
            (leftovers.makeCalls, nCalls),
        ]
        await self._useAll([(use, 20) for use, _ in uses])
        before, memory = leftovers.census(), leftovers.resident()
        await self._useAll(uses)
        after = await leftovers.settled(before)
        self.wrong += leftovers.more(before, after)
        tellOfLeft(before, after, memory, leftovers.resident())

    async def _useAll(self, uses):
        queue = ProcessQueue(self._workers, **self._options)
        for use, n in uses:
            began = time.monotonic()
            await use(queue, n)
            took = time.monotonic() - began
            print(f"{use.__name__}: {n} in {took:.1f} seconds", flush=True)
        await queue.shutdown()


def tellOfLeft(before, after, memory, memoryAfter):
    """
    Prints a table of two censuses, and of the resident memory, in bytes.
    """
    print(f"{'':15} {'before':>9} {'after':>9}")
    for kind in before:
        print(f"{kind:15} {before[kind].total():9} {after[kind].total():9}")
    print(f"{'resident, MB':15} {memory / 2**20:9.1f} {memoryAfter / 2**20:9.1f}")


def run(seed, workers, minutes, figures, **options):
    """
    Runs the reactor until all is done.

    @param minutes: How long to soak.
    @param figures: What L{Soaker.leaks} takes, C{None} to soak.
    @param options: Further keywords of the queues.
    @return: The exit status.
    """
    leftovers.useOneArena()
    soaker = Soaker(seed, workers, **options)
    loop: Any = reactor

    def begin():
        def interrupted(signum, frame):
            # The second one ends the program in the usual way.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            loop.callFromThread(soaker.interrupt)

        signal.signal(signal.SIGINT, interrupted)
        work = soaker.leaks(*figures) if figures else soaker.soak(minutes)
        d: Deferred[Any] = Deferred.fromCoroutine(work)
        d.addErrback(lambda failure: soaker.wrong.append(failure.getTraceback()))
        d.addCallback(lambda _: loop.stop())

    loop.callWhenRunning(begin)
    loop.run()
    return soaker.verdict()
