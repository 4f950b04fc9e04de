"""
Calls that run one by one in one thread.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from asynqueue.about import aboutCall
from asynqueue.checks import checkCallable
from asynqueue.deferator import Deferator
from asynqueue.deferreds import branch, deferUntilEnded
from asynqueue.errors import ThreadError, harmless
from asynqueue.info import aboutError
from asynqueue.messages import Call, Close, Hello, Next, Status, Stop
from asynqueue.openings import OpenIterators, Outcome
from asynqueue.producers import IterationProducer, checkConsumer, produceNothing
from asynqueue.reactors import theReactor
from asynqueue.runner import CallTuple
from asynqueue.universe import ProcessUniverse

__all__ = ["LooperState", "ThreadLooper"]


@dataclass(eq=False)
class _Job:
    """
    Something that the thread does, and the Deferred of what comes of it. One
    whose Deferred has fired before its turn is not done any more.
    """

    envelope: Any
    contents: Any
    d: "Deferred[Outcome]" = field(default_factory=Deferred)


def _told(outcome: Outcome, callTuple: CallTuple) -> Outcome:
    status, result = outcome
    if status is Status.ERROR:
        return status, aboutError(Failure(result), aboutCall(callTuple))
    return outcome


def _gathered(outcome: Outcome) -> Outcome:
    """
    @return: What came of taking an item, as one of several.
    """
    status, item = outcome
    return (status, [lambda: item]) if status is Status.RESULT else outcome


class LooperState(Enum):
    """
    The stages of a L{ThreadLooper}'s life. Moves: each to the next; FRESH also to
    STOPPED; RUNNING and STOPPING to ABANDONED.
    """

    FRESH = "has no thread yet"
    RUNNING = "has a thread"
    STOPPING = "lets its thread finish what was asked for"
    STOPPED = "has no thread any more"
    ABANDONED = "has left its thread to itself in the middle of something"


class ThreadLooper:
    """
    I run calls, one at a time and in order, in a thread of my own.

    What a call returns as an iterator stays there. Its items are taken in my
    thread too, one at a time; each takes its turn among the calls.

    The thread begins with my first call and is a daemon: it never keeps the
    interpreter from exiting. It cannot be killed, so a call that has begun runs
    to its end, whoever waits for it.

    @ivar state: A L{LooperState}.
    @ivar thread: My thread, C{None} until there is one.
    @ivar runner: The L{CallRunner<asynqueue.runner.CallRunner>} that makes the
        calls.
    @ivar timeout: After how many seconds AsynQueue 0.9.9 looked whether a call
        had come. I am told of calls, and make no use of it.
    """

    timeout: float = 60

    def __init__(self, raw: bool = False, reactor: Any = None) -> None:
        """
        @param raw: C{True} if iterators are to be treated as plain values.
        @param reactor: Where results are delivered, the global one if C{None}.
        """
        self._reactor = theReactor(reactor)
        # As in a worker process, but that nothing has to be packed.
        self._universe = ProcessUniverse(raw)
        self.runner = self._universe.runner
        self._iterators = OpenIterators(
            self._askFor,
            lambda ID: self._put(Close(0, ID)),
            self._reactor,
        )
        self._urgent: deque[_Job] = deque()
        self._waiting: deque[_Job] = deque()
        # One for each job that waits.
        self._tokens: SimpleQueue[None] = SimpleQueue()
        # What the thread has been asked for and has not told the end of.
        self._pending: set[_Job] = set()
        self._stopped: Deferred[None] = Deferred()
        self.state = LooperState.FRESH
        self.thread: threading.Thread | None = None

    @property
    def event(self) -> Any:
        """
        Something whose C{set()} ends my thread, as it did in AsynQueue 0.9.9 as
        long as there was no call.
        """
        return SimpleNamespace(set=self.stop)

    @property
    def threadRunning(self) -> bool:
        """
        C{False} once my thread is gone, or left to itself. C{True} before,
        though it only begins with my first call.
        """
        return self.state not in (LooperState.STOPPED, LooperState.ABANDONED)

    def call(
        self,
        f: Callable[..., Any],
        /,
        *args: Any,
        doNext: bool = False,
        raw: bool | None = None,
        **kw: Any,
    ) -> "Deferred[Outcome]":
        """
        Runs a call in my thread.

        @param doNext: C{True} to have it run before those that wait and were
            made without it.
        @param raw: Overrides my own I{raw}.

        @return: A Deferred that fires with a L{Status} and a result:
            C{Status.RESULT} and the value, C{Status.ITERATION} and a
            L{Deferator}, or C{Status.ERROR} and a text of what went wrong (use
            L{deferToThread} to get the exception). It fails with a
            L{ThreadError<asynqueue.errors.ThreadError>} if I was stopped or
            abandoned. When it is cancelled before the call has begun, the call
            is not made; later, its result is dropped.
        @raise TypeError: if I{f} is not callable.
        """
        checkCallable("The first argument", f)
        callTuple = (f, args, kw)
        return self.runCall(callTuple, raw, doNext).addCallback(_told, callTuple)

    def runCall(
        self, callTuple: CallTuple, raw: bool | None = None, doNext: bool = False
    ) -> "Deferred[Outcome]":
        """
        Does what L{call} does, but has the exception itself in the place of a
        text.

        @param raw: As in L{call}.
        @param doNext: As in L{call}.
        @param callTuple: The callable, its arguments, its keywords, which may
            have any name.
        @return: As from L{call}; an exception is L{harmless}.
        """
        if self.state not in (LooperState.FRESH, LooperState.RUNNING):
            return fail(
                ThreadError(
                    f"The call {aboutCall(callTuple)} was made after the thread of "
                    "this looper was stopped"
                )
            )
        try:
            self._begin()
        except RuntimeError as e:
            # There can be no more threads.
            error = ThreadError(f"The thread could not be started: {e}")
            error.__cause__ = e
            return fail(error)
        return self._put(Call(0, raw), callTuple, doNext)

    def deferToThread(
        self,
        f: Callable[..., Any],
        /,
        *args: Any,
        doNext: bool = False,
        raw: bool | None = None,
        consumer: Any = None,
        **kw: Any,
    ) -> "Deferred[Any]":
        """
        Runs a call in my thread.

        @param doNext: As in L{call}.
        @param raw: As in L{call}.
        @param consumer: A provider of C{IConsumer}, to which the items are
            written if the call returns an iterator.
        @return: A Deferred that fires with the result: the value, a
            L{Deferator}, or the consumer once it has all items. It fails with
            what the call or its iterator raised, or as in L{call}.
        @raise TypeError: if I{f} is not callable, or the consumer is none.
        """
        if consumer is not None:
            checkConsumer(consumer, TypeError)
        checkCallable("The first argument", f)
        d: Deferred[Any] = self.runCall((f, args, kw), raw, doNext)
        return d.addCallback(self._settle, consumer)

    def dr2ip(self, dr: Deferator[Any], consumer: Any = None) -> Any:
        """
        Makes a producer of a L{Deferator}.

        @return: An L{IterationProducer}, for you to register a consumer with
            and to run; or, if there is a consumer, a Deferred like that of its
            C{run}, which has begun.
        @raise TypeError: if I{dr} is no L{Deferator}.
        @raise ImplementationError: if the consumer is none.
        """
        producer = IterationProducer(dr, consumer)
        return producer if consumer is None else producer.run()

    def stop(self) -> "Deferred[None]":
        """
        Ends my thread when it has run what was asked for. I run nothing after
        that.

        Iterators in use may be read to their end; those that nobody asks for an
        item for a second (L{LINGER<asynqueue.openings.LINGER>}) are closed.

        @return: A Deferred that fires when the thread is gone.
        """
        if self.state is LooperState.FRESH:
            self._ended()
        elif self.state is LooperState.RUNNING:
            self.state = LooperState.STOPPING
            d = Deferred.fromCoroutine(self._finish())
            # I was abandoned meanwhile.
            d.addErrback(lambda failure: failure.trap(ThreadError))
        return branch(self._stopped)

    def abandon(self) -> None:
        """
        Ends my thread as soon as it is done with what it does just now, which
        nobody waits for any more: the Deferreds of that, and of all that was to
        follow, fail with a L{ThreadError<asynqueue.errors.ThreadError>}, and
        those of L{stop} fire. All iterators are closed.
        """
        if not self.threadRunning:
            return
        isBusy = bool(self._pending)
        self._iterators.abandon()
        if not isBusy:
            self.stop()
            return
        self.state = LooperState.ABANDONED
        abandoned = list(self._pending)
        self._put(Stop(0))
        for job in abandoned:
            if not job.d.called:
                job.d.errback(ThreadError("The thread that had this to do was left"))
        self._stopped.callback(None)

    def _begin(self) -> None:
        if self.state is LooperState.FRESH:
            thread = threading.Thread(
                target=self._loop, name="asynqueue looper", daemon=True
            )
            thread.start()
            self.thread = thread
            self.state = LooperState.RUNNING

    def _askFor(self, ID: int, most: int) -> "Deferred[Outcome]":
        # One, because it is not copied: a generator that fills the same object again
        # and again may do so only when its reader wants the next.
        return self._put(Next(0, ID)).addCallback(_gathered)

    def _put(
        self, envelope: Any, contents: Any = None, doNext: bool = False
    ) -> "Deferred[Outcome]":
        job = _Job(envelope, contents)
        # What an idle thread is given it has begun, for all that can be told here.
        isUrgent = doNext or not self._pending
        (self._urgent if isUrgent else self._waiting).append(job)
        self._pending.add(job)
        self._tokens.put(None)
        return job.d

    def _loop(self) -> None:
        """
        What the thread does.
        """
        deliver = self._reactor.callFromThread
        isOver = False
        while not isOver:
            self._tokens.get()
            job = (self._urgent or self._waiting).popleft()
            outcome = None
            if not job.d.called:
                outcome = self._universe.do(job.envelope, job.contents)
            isOver = isinstance(job.envelope, Stop)
            deliver(self._deliver, job, outcome)
            # Not held while the next job is awaited.
            del job, outcome
        for ID in list(self._universe.iterators):
            closed = self._universe.do(Close(0, ID))
            deliver(self._iterators.closed, closed, "a thread that was left to itself")

    def _deliver(self, job: _Job, outcome: Outcome | None) -> None:
        self._pending.remove(job)
        if outcome is None or self.state is LooperState.ABANDONED:
            return
        status, result = outcome
        if status is Status.ITERATION:
            # Also for nobody, because then it is closed.
            result = self._iterators.deferator(result, aboutCall(job.contents))
        elif status is Status.ERROR:
            result = harmless(result)
        if not job.d.called:
            job.d.callback((status, result))

    async def _finish(self) -> None:
        # When this is done, so is all that was asked for before.
        await self._put(Hello(0))
        await self._iterators.drained()
        await self._put(Stop(0))
        if self.thread is not None:
            await deferUntilEnded(self.thread, self._reactor)
        self._ended()

    def _ended(self) -> None:
        self.state = LooperState.STOPPED
        self._stopped.callback(None)

    @staticmethod
    def _settle(outcome: Outcome, consumer: Any) -> Any:
        status, result = outcome
        if status is Status.ERROR:
            return Failure(result)
        if consumer is None:
            return result
        if status is Status.ITERATION:
            return IterationProducer(result, consumer).run()
        produceNothing(consumer)
        return result
