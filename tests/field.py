"""
What the soak program's steps happen on: a queue, and the books on what was done to
it, from which follows which calls may have failed.
"""

import os
from collections import Counter
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import DeferredLock
from twisted.internet.task import deferLater

from asynqueue.errors import WorkerDied, WorkerError
from asynqueue.process import ProcessQueue
from tests import soaking


class Wrong(Exception):
    """Something came out as it must not."""


class Excused(Exception):
    """A call failed because of what was done to its worker."""


def same(found, expected, what):
    """
    @raise Wrong: if they are not the same.
    """
    if found != expected:
        text = f"{what}: {found!r:.300} instead of {expected!r:.300}"
        raise Wrong(text)


class Field:
    """
    @ivar queue: The queue that all is done to.
    @ivar made: How many calls were made.
    @ivar ended: How many of them have had an outcome.
    @ivar endings: A C{Counter} of their outcomes.
    @ivar doomed: The IDs of the processes that were made to end.
    @ivar claims: What calls tell of the ends of processes, by process ID.
    @ivar excused: Of how many processes that were made to end the ID may not be
        known: they had not got so far as to tell it.
    @ivar orphans: How many calls failed because their worker was crashed.
    @ivar givenBack: How many it should be, at most.
    @ivar staff: The workers that are not being replaced.
    @ivar learned: What each process has to know.
    @ivar replaced: How many workers were replaced.
    @ivar reassigned: How many of them had their calls run by others.
    @ivar lock: For what is to go on once at a time.
    """

    def __init__(self, folder, workers, **kw):
        self.queue = ProcessQueue(workers, **kw)
        self.made = self.ended = self.excused = self.orphans = self.givenBack = 0
        self.endings: Counter[str] = Counter()
        self.doomed: set[int] = set()
        self.claims: dict[int, str] = {}
        self._folder = folder
        self._paths = 0
        self.staff: list[Any] = self.queue.workers()
        self.learned: list[Any] = []
        self.replaced = self.reassigned = 0
        self.lock = DeferredLock()

    async def begin(self):
        """
        Gives each worker a series of its own, and something to know by that.
        """
        for k, worker in enumerate(self.staff):
            self.queue.qualifyWorker(worker, k)
            await self.queue.update(soaking.learn, ("series", k), series=k)

    def unexplained(self):
        """
        @return: A list of lines on what ended that was not made to.
        """
        for pid in self.doomed & self.claims.keys():
            del self.claims[pid]
        lines = []
        if len(self.claims) > self.excused:
            lines += [f"Nobody ended {pid}: {t}" for pid, t in self.claims.items()]
        if self.orphans > self.givenBack:
            lines.append(f"{self.orphans} orphans, {self.givenBack} were given back")
        if self.made != self.ended:
            lines.append(f"{self.made - self.ended} calls have had no outcome")
        return lines

    def call(self, f, /, *args, **kw):
        """
        Makes a call of the queue, and counts its outcome.
        """
        self.made += 1
        return self.queue.call(f, *args, **kw).addBoth(self._ended)

    def _ended(self, result):
        self.ended += 1
        value = getattr(result, "value", None)
        name = type(value).__name__ if isinstance(value, Exception) else "a result"
        self.endings[name] += 1
        return result

    async def get(self, d, *errors):
        """
        @param errors: The classes of the errors that are as good as a result.
        @return: What a Deferred comes to.
        @raise Excused: if that is what came of what was done to its worker.
        """
        try:
            return await d
        except errors as error:
            return error
        except WorkerError as error:
            self.excuse(error)
            raise Excused from error

    def excuse(self, error):
        text = str(error)
        if isinstance(error, WorkerDied) and error.pid is not None:
            self.claims[error.pid] = text[:300]
        elif "was let go" in text and self.replaced:
            # An update that its worker has not come to.
            return
        elif "Its worker was ended before" in text:
            self.orphans += 1
        elif "was lost before it began" in text and error.__cause__:
            self.excuse(error.__cause__)
        else:
            raise error

    def path(self):
        """
        @return: That of a file that there is not yet.
        """
        self._paths += 1
        return os.path.join(self._folder, str(self._paths))

    def doom(self, path, least=1):
        """
        Takes the processes that have told their IDs in a ledger for ended.

        @param least: How many it should be.
        """
        pids = soaking.marks(path)
        self.doomed.update(pids)
        self.excused += max(least - len(pids), 0)
        self.clear(path)

    def kill(self, pid, signum):
        """
        Sends a process a signal that it ends by, sooner or later.
        """
        self.doomed.add(pid)
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            # It has ended meanwhile.
            return

    def clear(self, path):
        """
        Removes a ledger.
        """
        if os.path.exists(path):
            os.remove(path)

    async def begun(self, path, d):
        """
        Waits until a ledger has an entry, or a Deferred has fired.

        @return: The entry, C{None} if there is none.
        """
        while not d.called:
            if found := soaking.marks(path):
                return found[-1]
            await deferLater(reactor, 0.003)
        return None


class Turn:
    """
    I am a turn at a lock, for C{async with}.
    """

    def __init__(self, lock):
        self._lock = lock

    async def __aenter__(self):
        await self._lock.acquire()

    async def __aexit__(self, *_):
        self._lock.release()
