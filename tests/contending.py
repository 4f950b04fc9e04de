"""
A contender without processes, and what has to do with it.
"""

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock

from asynqueue import chores
from asynqueue.contender import Contender
from asynqueue.exercises import Setting


class Calls(Contender):
    """
    I call functions here: at once, or when the test says so. Naps take no time, and
    those who tell who they are do so by turns.

    @ivar made: The functions that were called, and their arguments.
    @ivar waiting: The Deferreds of calls that have not ended, and how to end them.
    @ivar holds: C{True} to wait with calls of what does nothing.
    """

    title = "in memory"

    def __init__(self, workers, method="none", holds=False, answering=None):
        """
        @param answering: How many workers answer; all if C{None}.
        """
        super().__init__(workers, method)
        self.isUp = self.isStopped = False
        self.made = []
        self.waiting = []
        self.holds = holds
        self._answering = workers if answering is None else answering

    def start(self):
        self.isUp = True

    def stop(self):
        self.isStopped = True
        return succeed(None)

    def call(self, f, *args):
        if not self.isUp:
            raise AssertionError("not started")
        self.made.append((f, *args))
        if f is chores.identify:
            return succeed(len(self.made) % self._answering)
        if f is chores.nap:
            return succeed(*args)
        if f is chores.nothing and self.holds:
            d = Deferred()
            self.waiting.append(d)
            return d
        return maybeDeferred(f, *args)

    async def read(self, f, *args):
        return len(list(await self.call(f, *args)))

    def count(self, f):
        """
        @return: How often a function was called.
        """
        return sum(call[0] is f for call in self.made)

    def answer(self):
        """
        Ends the call that has waited longest.
        """
        self.waiting.pop(0).callback(None)


class Makers:
    """
    I make contenders.

    @ivar made: A list of them.
    """

    def __init__(self, workers=2, **how):
        self.made = []
        self.clock = Clock()
        self.setting = Setting(self.make, workers, self.clock)
        self._how = how

    def make(self, workers):
        self.made.append(Calls(workers, **self._how))
        return self.made[-1]
