"""
The job of C{asynqueue map}: texts come in, calls are made, lines go out.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from enum import Enum
from time import perf_counter
from typing import Any

import psutil
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from asynqueue.deferator import Deferator
from asynqueue.lines import ERR, OUT, AsTheyCome, InOrder, Output, encode
from asynqueue.printing import PlainForm, Report, aboutError, complaint, quote
from asynqueue.task import Task, TaskFactory

PER_WORKER = 4
"""
How many calls are on their way for each worker. One would do, as long as the next
item is always at hand; the others bridge the gap when it has to be read.
"""

PER_PLACE = 2
"""
How many for each that a cluster takes, some of which wait there for others.
"""

HELD, HELD_SIZE = 1000, 2**26
"""
How many results, and bytes of them, may wait before no more items are read. They
wait for one before them, or for whoever reads the output.
"""

PIPE_CLOSED = 141
"""
The exit status when nobody reads the output any more: what a shell says of a
program that SIGPIPE has ended.
"""


class Stopwatch:
    """
    I make tasks, and know when the one that ended last was given to a worker.

    Whoever is called back with what a call came to finds it here: the callbacks
    of a task run before another task ends.

    @ivar begun: When that was, by C{time.perf_counter}; C{None} if it was not.
    """

    def __init__(self) -> None:
        self.begun: float | None = None

    def __call__(self, *args: Any, **kw: Any) -> Any:
        """
        Makes a task, as its class does.
        """
        return self.adopt(TimedTask(*args, **kw))

    def adopt(self, task: Any) -> Any:
        """
        @return: The task, which I am the stopwatch of from now on.
        """
        task.watch = self
        return task


class TimedTask(Task):
    """
    I am a task that a L{Stopwatch} has made.

    @ivar watch: The stopwatch.
    @ivar begun: When I was given to a worker, C{None} before.
    """

    __slots__ = ("begun", "watch")

    watch: Stopwatch

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.begun: float | None = None

    def startTimer(self) -> None:
        """
        I am given to a worker.
        """
        self.begun = perf_counter()
        super().startTimer()

    def callback(self, statusResult: tuple[Any, Any]) -> None:
        """
        Tells the stopwatch, and ends me.
        """
        if not self.isOver():
            self.watch.begun = self.begun
        super().callback(statusResult)

    def copy(self) -> Task:
        """
        @return: The same call as it was, of the same stopwatch.
        """
        task: Task = self.watch.adopt(super().copy())
        return task


class JobState(Enum):
    """
    The stages of a L{MapJob}, each followed by a later one.
    """

    FEEDING = "takes items"
    ENDING = "takes no more, and waits for what is on its way"
    OVER = "has told its exit status"


class MapJob:
    """
    I have a queue call a function with each item, and print what comes of it.

    @ivar done: A Deferred that fires with C{None} when I am over. If I have come
        to my end, and was not aborted, the queue is shut down then.
    @ivar status: The exit status so far: 0, 1 if anything failed, or what I was
        aborted with.
    @ivar lastWords: What is still to be said then, and could not be by the
        output: a text, mostly an empty one.
    @ivar state: A L{JobState}.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        queue: Any,
        form: PlainForm,
        output: Output,
        unordered: bool = False,
        report: Report | None = None,
        whenUp: "Deferred[Any] | None" = None,
        cluster: Any = None,
        **how: Any,
    ) -> None:
        """
        @param form: What items and results look like.
        @param unordered: C{True} to print results as they come, not in the order
            of the items.
        @param report: What to print at the end.
        @param whenUp: Fires when calls can be made, or fails if they never can. Before
            that no item is asked for.
        @param cluster: The queue's only worker, if it is a
            L{ClusterWorker<asynqueue.clusterworker.ClusterWorker>}.
        @param how: Keywords for the queue's C{call}.
        """
        self.done: Deferred[None] = Deferred()
        self.status = 0
        self.lastWords = ""
        self.state = JobState.FEEDING
        self._function = function
        self._queue = queue
        self._form = form
        self._output = output
        self._order = AsTheyCome() if unordered else InOrder()
        self._report = report
        self._how = how
        self._watch = Stopwatch()
        self._whenUp = succeed(None) if whenUp is None else whenUp
        self._cluster = cluster
        if cluster is not None:
            cluster.setListener(self._changed)
        self._workers = len(queue)
        self._running = self._begun = 0
        self._isBereft = False
        self._waits: list[tuple[Callable[[], bool], Deferred[None]]] = []
        queue.taskFactory = TaskFactory(self._watch)
        output.whenWritten = self._changed
        output.whenFailed = self._cannotWrite

    def start(self, texts: AsyncIterator[str]) -> "Deferred[None]":
        """
        Begins.

        @param texts: The items, which are asked for as they are needed.

        @return: My I{done}.
        """
        Deferred.fromCoroutine(self._run(texts)).addErrback(self._broken)
        return self.done

    def abort(self, status: int, lastWords: str = "") -> None:
        """
        Ends at once, unless I am over already. I take no notice of the calls
        that are on their way any more; what they have started is ended.
        """
        if self.state is not JobState.OVER:
            self.status = status
            self.lastWords = lastWords
            self._output.closeBar()
            if self._cluster is None:
                workers = self._queue.workers()
                endFamilies([worker.process.pid for worker in workers])
            self._finish()

    def _finish(self) -> None:
        self.state = JobState.OVER
        self.done.callback(None)

    async def _run(self, texts: AsyncIterator[str]) -> None:
        try:
            await self._whenUp
        except Exception as error:
            self._giveUp(error)
            return
        try:
            async for text in texts:
                await self._until(self._hasRoom)
                if self.state is not JobState.FEEDING:
                    return
                self._begin(text)
        except OSError as error:
            self._complain(complaint("standard input cannot be read", error))
        if self.state is JobState.FEEDING:
            self._output.setTotal(self._begun)
            await self._end()

    async def _end(self) -> None:
        self.state = JobState.ENDING
        await self._until(lambda: not self._running)
        await self._until(self._output.isIdle)
        self._output.closeBar()
        if self._report is not None:
            self._output.put(ERR, encode(self._report.text()))
            await self._until(self._output.isIdle)
        await self._queue.shutdown()
        if self.state is not JobState.OVER:
            self._finish()

    def _most(self) -> int:
        """
        @return: How many calls may be on their way.
        """
        if self._cluster is None:
            return PER_WORKER * self._workers
        beside: int = self._cluster.prefetch
        return PER_PLACE * (1 + beside)

    def _hasRoom(self) -> bool:
        return (
            self._running < self._most()
            and len(self._order) + self._output.count < HELD
            and self._order.size + self._output.size < HELD_SIZE
        )

    def _begin(self, text: str) -> None:
        index = self._begun
        self._begun += 1
        self._running += 1
        Deferred.fromCoroutine(self._call(index, text)).addErrback(self._broken)

    async def _call(self, index: int, text: str) -> None:
        item: Any = text
        self._watch.begun = None
        begun = None
        try:
            item = self._form.parse(text)
            try:
                result = await self._queue.call(self._function, item, **self._how)
            finally:
                begun = self._watch.begun
            if isinstance(result, Deferator):
                result = [each async for each in result]
            line = self._form.result(item, result, _since(begun))
        except Exception as error:
            line = self._failed(text, item, error, _since(begun))
        self._running -= 1
        if self.state is not JobState.OVER:
            for ready in self._order.put(index, encode(line)):
                self._output.put(OUT, ready)
            self._output.advance()
            if self._report is not None and index % HELD == 0:
                self._report.collect()
            self._changed()

    def _failed(self, text: str, item: Any, error: Exception, seconds: float) -> str:
        if self.state is JobState.OVER:
            return ""
        self.status = 1
        if not len(self._queue):
            self._giveUp(error)
            return ""
        self._complain(complaint(f"item {quote(text)}", error))
        return self._form.error(item, aboutError(error), seconds)

    def _giveUp(self, error: Exception) -> None:
        """
        No worker is left: one message does for all items.
        """
        if not self._isBereft:
            self._isBereft = True
            self._complain(complaint("no worker is left", error))
        if self.state is JobState.FEEDING:
            Deferred.fromCoroutine(self._end()).addErrback(self._broken)

    def _complain(self, text: str) -> None:
        self.status = 1
        self._output.put(ERR, encode(text))

    def _cannotWrite(self, failure: Failure) -> None:
        if failure.check(BrokenPipeError):
            self.abort(PIPE_CLOSED)
        else:
            error: Any = failure.value
            self.abort(1, complaint("standard output cannot be written to", error))

    def _broken(self, failure: Failure) -> None:
        """
        There is something wrong with me.
        """
        self.abort(1, failure.getTraceback())

    def _until(self, condition: Callable[[], bool]) -> "Deferred[None]":
        """
        @return: A Deferred that fires when a condition holds. Whoever changes
            what it depends on calls L{_changed}.
        """
        if condition():
            return succeed(None)
        d: Deferred[None] = Deferred()
        self._waits.append((condition, d))
        return d

    def _changed(self) -> None:
        for wait in list(self._waits):
            condition, d = wait
            if condition():
                self._waits.remove(wait)
                d.callback(None)


def endFamilies(pids: list[int | None]) -> None:
    """
    Ends by SIGTERM what processes have started, and what that has, but not these
    processes themselves. A program that a call runs would outlive it.

    @param pids: The processes' IDs.
    """
    families, parents = set(pids), {}
    descendants = psutil.Process().children(recursive=True)
    for process in descendants:
        with suppress(psutil.Error):
            parents[process.pid] = process.ppid()
    for process in descendants:
        ancestor = parents.get(process.pid)
        while ancestor in parents and ancestor not in families:
            ancestor = parents[ancestor]
        if ancestor in families:
            with suppress(psutil.Error):
                process.terminate()


def _since(begun: float | None) -> float:
    return 0.0 if begun is None else perf_counter() - begun
