"""
What a program has, before and after it has used queues much, and using them much.
"""

import ctypes
import gc
import threading
from collections import Counter
from typing import Any

import psutil
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from asynqueue.errors import WorkerDied
from tests import calls, deeds
from tests.support import BOUND, descriptors, processes

M_ARENA_MAX = -8
"""
The number of an option of glibc's C{mallopt}.
"""

AT_ONCE = 200
"""
How many calls are made before the first of them has to be over.
"""


def census():
    """
    @return: What this process has: for each kind of thing, a C{Counter} of texts.
    """
    loop: Any = reactor
    return {
        "descriptors": Counter(descriptors().values()),
        "threads": Counter(thread.name for thread in threading.enumerate()),
        "processes": Counter(processes().values()),
        "delayed calls": Counter(repr(call.func) for call in loop.getDelayedCalls()),
        "readers": Counter(map(repr, loop.getReaders())),
        "writers": Counter(map(repr, loop.getWriters())),
        "triggers": Counter(map(str, loop._eventTriggers["shutdown"].before)),
    }


def numbers(found):
    """
    @return: How many there are of each kind in a census: a census of its own, in
        which all are alike.
    """
    return {kind: Counter(any=things.total()) for kind, things in found.items()}


def more(before, after):
    """
    @return: A list of lines on what there is after and was not before.
    """
    return [
        f"{count} more of the {kind}: {what}"
        for kind in before
        for what, count in (after[kind] - before[kind]).items()
    ]


async def settled(before, regard=dict):
    """
    Waits until there is no more than there was, but not for ever: a process that
    has been told to end takes its time.

    @param regard: Makes of a census what is to be compared with I{before}.
    @return: The census then.
    """
    loop: Any = reactor
    deadline = loop.seconds() + BOUND / 3
    while True:
        await deferLater(reactor, 0.05)
        after = census()
        if not more(before, regard(after)) or loop.seconds() > deadline:
            return after


def useOneArena():
    """
    Has the C library keep one heap for all threads, if it can be asked to, so that
    the resident memory tells what is in use, not how threads met. To be called
    before there are any.
    """
    if setOption := getattr(ctypes.CDLL(None), "mallopt", None):
        setOption(M_ARENA_MAX, 1)


def resident():
    """
    @return: The resident memory of this process, in bytes, when what is not needed
        has been given back, as far as the C library can be asked to.
    """
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    return psutil.Process().memory_info().rss


async def makeCalls(queue, n):
    """
    Makes calls, and sees to it that each has its own result.
    """
    for first in range(0, n, AT_ONCE):
        numbers = list(range(first, min(first + AT_ONCE, n)))
        results = await gatherResults([queue.call(calls.echo, k) for k in numbers])
        if results != numbers:
            raise AssertionError(f"{numbers} came back as {results}")


async def makeIterators(queue, n):
    """
    Iterates, every other time to the end; what is left is let go of.
    """
    for k in range(n):
        iterator = await queue.call(calls.count, 4)
        found = []
        async for item in iterator:
            found.append(item)
            if k % 2 and item:
                break
        if found != list(range(2 if k % 2 else 4)):
            raise AssertionError(f"Iterator {k} gave {found}")
        del iterator


async def makeRespawns(queue, n):
    """
    Makes calls that end their processes, by turns in different ways.
    """
    for k in range(n):
        try:
            if k % 2:
                await queue.call(deeds.exitWith, 3)
            else:
                await queue.call(deeds.killSelf, 9)
        except WorkerDied as error:
            if error.exitCode not in (3, -9):
                raise
        else:
            raise AssertionError("A call that ended its process gave a result")
        if await queue.call(calls.echo, k) != k:
            raise AssertionError("The worker that came after gave a wrong result")
