"""
Where what waits is kept in order.
"""

from collections.abc import Hashable
from typing import Any, Protocol

from asynqueue.about import aboutCall
from asynqueue.errors import QueueRunError
from asynqueue.load import LoadInfoProducer
from asynqueue.priority import Priority

__all__ = ["Handler", "Queue"]


class Handler(Protocol):
    """
    What I{Queue} needs of whoever takes its tasks.
    """

    def __call__(self, task: Any) -> Any: ...

    def isReadyFor(self, series: Hashable) -> bool: ...


class Queue:
    """
    I keep tasks until somebody is ready for them.

    Each series has a heap of its own, so a task that nobody is ready for never
    stands in another's way. Of all tasks that somebody is ready for, the one
    with the lowest I{key} goes first.

    @ivar handler: Whoever takes the tasks. It is called with one only while its
        C{isReadyFor(series)} is true for the task's series.
    @ivar heaps: The L{Priority} of each series in which tasks wait.
    @ivar refused: Why the tasks of some series are not kept, an exception for
        each such series.
    @ivar loadInfoProducer: A L{LoadInfoProducer}.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.heaps: dict[Hashable, Priority[Any]] = {}
        self.refused: dict[Hashable, BaseException] = {}
        self.loadInfoProducer = LoadInfoProducer()
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
        if not self._running:
            raise QueueRunError("The queue was shut down and takes no more tasks")
        if task.series in self.refused:
            task.fail(self.refused[task.series])
            return
        heap = self.heaps.get(task.series)
        if heap is None:
            heap = self.heaps[task.series] = Priority(lambda task: task.key)
        heap.put(task)
        task.holder = self
        self.loadInfoProducer.oneMore()
        self.dispatch()

    def dispatch(self) -> None:
        """
        Hands over tasks as long as somebody is ready for one. To be called
        whenever somebody has become so.

        What a task's end brings about, perhaps before this returns, is put into
        the queue and handed over by the same loop, so calls do not nest however
        quickly they end.
        """
        if self._dispatching:
            return
        self._dispatching = True
        try:
            while (task := self._take()) is not None:
                self.loadInfoProducer.oneLess()
                self._handOver(task)
        finally:
            self._dispatching = False

    def refuse(self, series: Hashable, why: BaseException) -> None:
        """
        Fails all tasks of a series, those that wait and those that come, until
        the series is taken out of I{refused}.
        """
        self.refused[series] = why
        for task in self._remove([series]):
            task.fail(why)

    def cancel(self, task: Any) -> None:
        """
        Takes out a task, which has ended by other means.
        """
        heap = self.heaps.get(task.series)
        if heap is not None and heap.remove(task):
            self._dropIfEmpty(task.series)
            self.loadInfoProducer.oneLess()

    def cancelSeries(self, series: Hashable) -> int:
        """
        Cancels all waiting tasks of a series: they are never run, and each
        fails with C{CancelledError}.

        @return: How many there were.
        """
        return self._cancel([series])

    def cancelAll(self) -> int:
        """
        Cancels all waiting tasks: they are never run, and each fails with
        C{CancelledError}.

        @return: How many there were.
        """
        return self._cancel(list(self.heaps))

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
        tasks = self._remove(list(self.heaps))
        self.loadInfoProducer.shutdown()
        for task in tasks:
            self._failTooLate(task)

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
            self.handler(task)
        else:
            self.put(task)

    def _failTooLate(self, task: Any) -> None:
        call = aboutCall(task.callTuple)
        task.fail(QueueRunError(f"The queue was shut down before {call} ran"))

    def _cancel(self, allSeries: list[Hashable]) -> int:
        tasks = self._remove(allSeries)
        for task in tasks:
            # The end of one may have brought about that of another.
            if not task.isOver():
                task.d.cancel()
        return len(tasks)

    def _remove(self, allSeries: list[Hashable]) -> list[Any]:
        """
        @return: The tasks of some series, which are gone from me, those of each
            in order.
        """
        heaps = [self.heaps.pop(series) for series in allSeries if series in self.heaps]
        tasks = [task for heap in heaps for task in heap.heap]
        self.loadInfoProducer.change(-len(tasks))
        return tasks

    def _take(self) -> Any:
        """
        @return: The task that goes next, which is gone from me, or C{None} if
            nobody is ready for any.
        """
        ready = [
            heap
            for series, heap in self.heaps.items()
            if self.handler.isReadyFor(series)
        ]
        if not ready:
            return None
        task = min(ready, key=lambda heap: heap.first().key).pop()
        self._dropIfEmpty(task.series)
        return task

    def _dropIfEmpty(self, series: Hashable) -> None:
        if not self.heaps[series]:
            del self.heaps[series]
