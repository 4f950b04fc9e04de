"""
Where what waits is kept in order.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from asynqueue.about import aboutCall
from asynqueue.errors import QueueRunError
from asynqueue.heaps import Heap, taskKey
from asynqueue.load import LoadInfoProducer
from asynqueue.priority import Priority

__all__ = ["Handler", "Queue"]


class Handler(Protocol):
    """
    What I{Queue} needs of whoever takes its tasks.
    """

    def assign(self, task: Any) -> Any:
        """
        @param task: A task for somebody who is ready for its series.
        """

    def isReadyFor(self, series: Hashable) -> bool:
        """
        @return: C{True} if somebody is ready for a task of a series.
        """

    def roster(self, series: Hashable) -> list[Any]:
        """
        @return: A list of those who are qualified for a series.
        """


class Queue:
    """
    I keep tasks until somebody is ready for them.

    Each series has a heap of its own, so a task that nobody is ready for never
    stands in another's way. Of all tasks that somebody is ready for, the one
    with the lowest I{key} goes first.

    I may have a bound. It is for those who ask whether I am full, or have a task
    wait in a line until I am not; a task that is L{put} is kept all the same.
    From the line, too, the one with the lowest I{key} comes first.

    @ivar handler: Whoever takes the tasks. It is assigned one only while its
        C{isReadyFor(series)} is true for the task's series.
    @ivar heaps: The L{Heap} of each series in which tasks wait.
    @ivar refused: Why the tasks of some series are not kept, an exception for
        each such series.
    @ivar loadInfoProducer: A L{LoadInfoProducer}.
    @ivar maxWaiting: How many tasks I keep before I am full, C{None} if I never am.
    @ivar line: The L{Priority} of the tasks that wait until I have room.
    @ivar watchers: What is called when tasks may have gone.
    """

    def __init__(self, handler: Handler, maxWaiting: int | None = None) -> None:
        self.handler = handler
        self.heaps: dict[Hashable, Heap] = {}
        self.refused: dict[Hashable, BaseException] = {}
        self.loadInfoProducer = LoadInfoProducer()
        self.maxWaiting = maxWaiting
        self.line: Priority[Any] = Priority(taskKey)
        # How many tasks are in it, by series and urgency.
        self._inLine: defaultdict[tuple[Hashable, float], int] = defaultdict(int)
        self._waiters: deque[Deferred[None]] = deque()
        self.watchers: list[Callable[[], Any]] = []
        self._running = True
        self._dispatching = False

    def __len__(self) -> int:
        return self.loadInfoProducer.queued

    def isRunning(self) -> bool:
        """
        @return: C{True} until I am shut down.
        """
        return self._running

    def put(self, task: Any) -> None:
        """
        Keeps a task until somebody is ready for it, perhaps at once. It fails if
        nobody ever will be.

        @raise QueueRunError: if I was shut down.
        """
        if not self._accepts(task):
            return
        if self.line or self.loadInfoProducer.isHeard():
            self._keep(task)
            self.dispatch()
        elif self._dispatching or not self.handler.isReadyFor(task.series):
            self._keep(task)
        elif self.heaps:
            self._keep(task)
            self.dispatch()
        else:
            self._dispatch(task)

    def putWhenRoom(self, task: Any) -> None:
        """
        Does what L{put} does as soon as I have room, perhaps at once.

        @raise QueueRunError: if I was shut down.
        """
        if self._accepts(task):
            task.holder = self
            self.line.put(task)
            self._inLine[task.series, task.urgency] += 1
            self.dispatch()

    def whenRoom(self) -> "Deferred[None]":
        """
        @return: A Deferred that fires when I have room that no task in the line
            is to have. It fails with L{QueueRunError} if I am shut down first.
        @raise QueueRunError: if I was shut down.
        """
        if not self._running:
            raise QueueRunError("The queue was shut down and will never have room")
        d: Deferred[None] = Deferred(self._waiters.remove)
        self._waiters.append(d)
        self.dispatch()
        return d

    def waiting(self) -> dict[tuple[Hashable, float], int]:
        """
        Tells how many tasks wait, in the line too, without a look at each.

        @return: A C{dict} of the numbers, from 1, by series and urgency, the most
            urgent of each series first.
        """
        counts = defaultdict(int, self._inLine)
        for series, heap in self.heaps.items():
            for urgency, n in heap.urgencies.items():
                counts[series, urgency] += n
        order = {series: i for i, (series, _) in enumerate(counts)}
        keys = sorted(counts, key=lambda key: (order[key[0]], key[1]))
        return {key: counts[key] for key in keys if counts[key]}

    def isFull(self) -> bool:
        """
        @return: C{True} if there is no room for one more task, with those in the
            line counted.
        """
        return not self._hasRoom(len(self.line))

    def dispatch(self) -> None:
        """
        Hands over tasks as long as somebody is ready for one, and takes others
        from the line as long as there is room. To be called whenever that may
        have changed.

        What a task's end brings about, perhaps before this returns, is put into
        the queue and handed over by the same loop, so calls do not nest however
        quickly they end.
        """
        if not self._dispatching:
            self._dispatch(self._take())

    def refuse(self, series: Hashable, why: BaseException) -> None:
        """
        Fails all tasks of a series, those that wait and those that come, until
        the series is taken out of I{refused}.
        """
        self.refused[series] = why
        for task in self._remove(series):
            task.fail(why)
        self.dispatch()

    def cancel(self, task: Any) -> None:
        """
        Takes out a task, which has ended by other means.
        """
        heap = self.heaps.get(task.series)
        if self.line.remove(task):
            self._leftLine([task])
            return
        if heap is not None and heap.remove(task):
            heap.urgencies[task.urgency] -= 1
            self._dropIfEmpty(task.series)
            self.loadInfoProducer.oneLess()
            self.dispatch()

    def cancelSeries(self, series: Hashable) -> int:
        """
        Cancels all waiting tasks of a series, in the line too: they are never
        run, and each fails with C{CancelledError}.

        @return: How many there were.
        """
        return self._cancel(series)

    def cancelAll(self) -> int:
        """
        Cancels all waiting tasks, in the line too: they are never run, and each
        fails with C{CancelledError}.

        @return: How many there were.
        """
        return self._cancel()

    def subscribe(self, consumer: Any) -> None:
        """
        Has the number of waiting tasks written to a provider of C{IConsumer}
        whenever it changes. It may pause and stop what it is registered with,
        and is unregistered when I am shut down.

        @raise ImplementationError: if it is no such provider.
        @raise QueueRunError: if I was shut down.
        """
        if not self._running:
            raise QueueRunError("The queue was shut down and has no load to tell of")
        self.loadInfoProducer.registerConsumer(consumer)

    def unsubscribe(self, consumer: Any) -> None:
        """
        Undoes L{subscribe}, if it was done.
        """
        self.loadInfoProducer.unregisterConsumer(consumer)

    def shutdown(self) -> None:
        """
        Takes no more tasks, and fails those that wait.
        """
        self._running = False
        tasks = self._remove()
        self.loadInfoProducer.shutdown()
        for task in tasks:
            self._failTooLate(task)
        while self._waiters:
            self._waiters.popleft().errback(
                QueueRunError("The queue was shut down before it had room")
            )

    def _accepts(self, task: Any) -> bool:
        """
        @return: C{False} if a task has failed because nobody will ever be ready
            for it.
        """
        if not self._running:
            raise QueueRunError("The queue was shut down and takes no more tasks")
        why = self.refused.get(task.series)
        if why is not None:
            task.fail(why)
        return why is None

    def _keep(self, task: Any) -> None:
        heap = self.heaps.get(task.series)
        if heap is None:
            heap = self.heaps[task.series] = Heap()
        heap.put(task)
        heap.urgencies[task.urgency] += 1
        task.holder = self
        self.loadInfoProducer.oneMore()

    def _hasRoom(self, promised: int = 0) -> bool:
        return self.maxWaiting is None or len(self) + promised < self.maxWaiting

    def _admit(self) -> None:
        """
        Gives the room that there is to those who wait for it.
        """
        while self._hasRoom():
            if self.line:
                task = self.line.pop()
                self._leftLine([task])
                self._keep(task)
            elif self._waiters:
                self._waiters.popleft().callback(None)
            else:
                return

    def _dispatch(self, task: Any) -> None:
        self._dispatching = True
        try:
            while task is not None:
                if self.loadInfoProducer.isHeard():
                    self.loadInfoProducer.tell()
                    self._handOver(task)
                elif not task.isOver():
                    self.handler.assign(task)
                task = self._take()
        finally:
            self._dispatching = False
        for watcher in tuple(self.watchers):
            watcher()

    def _handOver(self, task: Any) -> None:
        """
        Hands over a task that has just been taken, unless whoever was told of
        that has done what stands against it, which may be anything.
        """
        if task.isOver():
            return
        if not self._running:
            self._failTooLate(task)
        elif self.handler.isReadyFor(task.series):
            self.handler.assign(task)
        else:
            self.put(task)

    def _failTooLate(self, task: Any) -> None:
        call = aboutCall(task.callTuple)
        why = ""
        if task.series is not None and not self.handler.roster(task.series):
            why = f", and no worker was qualified for its series {task.series!r}"
        task.fail(QueueRunError(f"The queue was shut down before {call} ran{why}"))

    def _cancel(self, *allSeries: Hashable) -> int:
        tasks = self._remove(*allSeries)
        for task in tasks:
            # The end of one may have brought about that of another.
            if not task.isOver():
                task.d.cancel()
        self.dispatch()
        return len(tasks)

    def _remove(self, *allSeries: Hashable) -> list[Any]:
        """
        @return: The tasks of some series, or of all if none is given, which are
            gone from me, those of each in order, then those from the line.
        """
        meant = [s for s in allSeries or list(self.heaps) if s in self.heaps]
        tasks = [task for s in meant for task in self.heaps.pop(s).heap]
        inLine = self.line.cancel(
            lambda task: not allSeries or task.series in allSeries
        )
        self._leftLine(inLine)
        self.loadInfoProducer.change(-len(tasks))
        return tasks + inLine

    def _leftLine(self, tasks: Iterable[Any]) -> None:
        for task in tasks:
            key = task.series, task.urgency
            self._inLine[key] -= 1
            if not self._inLine[key]:
                # There may be ever other series.
                del self._inLine[key]

    def _take(self) -> Any:
        """
        @return: The task that goes next, which is gone from me though nobody has
            been told yet, or C{None} if nobody is ready for any.
        """
        if self.line or self._waiters:
            self._admit()
        best = None
        for series, heap in self.heaps.items():
            if self.handler.isReadyFor(series):
                first = heap.first()
                if best is None or first.key < best.key:
                    best = first
        if best is not None:
            heap = self.heaps[best.series]
            heap.pop()
            heap.urgencies[best.urgency] -= 1
            self._dropIfEmpty(best.series)
            self.loadInfoProducer.queued -= 1
        return best

    def _dropIfEmpty(self, series: Hashable) -> None:
        if not self.heaps[series]:
            del self.heaps[series]
