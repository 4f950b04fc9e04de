"""
Workers without a process that run several tasks at a time: a test decides how many.
"""

from zope.interface import implementer

from asynqueue.errors import WorkerDied
from asynqueue.interfaces import IConcurrent, IElastic, IUpdatable
from asynqueue.messages import Status
from tests.memory import MemoryWorker


@implementer(IConcurrent, IElastic)
class CrewWorker(MemoryWorker):
    """
    I begin as many tasks at a time as I have hands. Others that I am given wait.

    @ivar prefetch: How many hands I have beside the first.
    @ivar running: The tasks that I have begun, in order.
    @ivar whenGiven: Is called, with a task, in the middle of L{begin}.
    """

    def __init__(self, *args, hands=1, **kw):
        super().__init__(*args, **kw)
        self.prefetch = hands - 1
        self.running = []
        self.whenGiven = lambda task: None
        self._listeners = []

    # --- What a worker does.

    def setListener(self, callableObject):
        self._listeners.append(callableObject)

    def begin(self, task, ready):
        self.whenGiven(task)
        self.run(task).addCallback(lambda _: ready())

    def cancel(self, task):
        if task in self.running:
            self.cancelled.append(task)
        else:
            super().cancel(task)

    def crash(self):
        self.running = []
        return super().crash()

    # --- What a test has me do.

    def tell(self):
        """
        Tells that something has changed.
        """
        for listener in self._listeners:
            listener()

    def have(self, hands):
        """
        Has so many hands from now on, and tells of it.
        """
        self.prefetch = hands - 1
        self.tell()
        self._work()

    def finish(self, *outcome, which=0):
        """
        Ends one of the tasks that I have begun, as L{MemoryWorker.finish} does.

        @param which: Which of L{running}.
        """
        self.inHand = self.running.pop(which)
        return super().finish(*outcome)

    def die(self, read=True, exitCode=-9):
        """
        Ends the tasks that I have begun, and resigns.
        """
        running, self.running = self.running, []
        self.inHand = next(iter(running), None)
        for task in running[1:]:
            del self._tasks[task]
            task.callback((Status.ERROR, WorkerDied("The worker died", 1, -9)))
        super().die(read, exitCode)

    def _work(self):
        if self._working:
            return
        self._working = True
        while self.isUp and (task := self._next()) is not None:
            self.running.append(task)
            task.startTimer()
            self.note(task)
            if self.instant and task.callTuple[0] not in self.held:
                self.finish(which=-1)
        self._working = False

    def _next(self):
        waiting = [task for task in self._tasks if task not in self.running]
        # An update is for all hands, and runs if there is one.
        hasRoom = len(self.running) <= max(self.prefetch, 0)
        return waiting[0] if waiting and hasRoom else None


@implementer(IUpdatable)
class LedWorker(CrewWorker):
    """
    I see to it myself that all my hands are up to date.

    @ivar updates: The arguments of each update that I was given, and whether it
        lasts.
    @ivar whenUpdated: Is called, with a task, before L{update} returns.
    """

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.updates = []
        self.whenUpdated = lambda task: None

    def update(self, task, isLasting):
        self.updates.append((*task.callTuple[1], isLasting))
        self.run(task)
        self.whenUpdated(task)
