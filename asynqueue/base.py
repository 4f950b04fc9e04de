"""
The front door: a queue that workers are attached to and calls are made through.

I am also the address of L{Priority}, L{Queue} and L{LoadInfoProducer}.
"""

from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from asynqueue.about import aboutCall
from asynqueue.awaiting import dual
from asynqueue.calls import CallsMaker
from asynqueue.checks import checkCallable, checkInteger, checkThread
from asynqueue.contexts import Hooks, checkHooks
from asynqueue.errors import QueueFull, QueueRunError
from asynqueue.info import Info
from asynqueue.load import LoadInfoProducer
from asynqueue.logs import logger
from asynqueue.maps import Mapper
from asynqueue.outcomes import Outcomes
from asynqueue.priority import Priority
from asynqueue.producers import checkConsumer
from asynqueue.queues import Queue
from asynqueue.restarts import MAX_DEATHS
from asynqueue.signatures import Signatures, signed
from asynqueue.task import Task, TaskFactory
from asynqueue.workplace import Workplace

__all__ = ["LoadInfoProducer", "Priority", "Queue", "TaskQueue"]


class TaskQueue(CallsMaker, Mapper, Workplace):
    """
    I have calls run by workers, the most urgent first.

    Those of equal priority run in the order in which they were made. A call in
    a series that no worker is qualified for waits until one is, and holds up no
    other, but for counting for I{maxWaiting}.

    I shut down by myself before the reactor does. That, how workers come and go,
    and what can be done with calls that wait is as in any L{Workplace}.

    @ivar returnFailure: C{True} to have a call that fails do so by its
        Deferred's errback.
    @ivar whenFull: What becomes of a call when I have no room: C{"refuse"} or
        C{"wait"}.
    @ivar warn: C{True} to log errors, to Twisted's log and to I{logger}.
    @ivar verbose: C{True} to log them with their tracebacks.
    @ivar spew: C{True} to log every result too, and errors as if both of the
        others were set.
    @ivar logger: The standard library's logger C{asynqueue}, which handlers may be
        added to.
    @ivar info: An L{Info} for whoever has use for one.
    @ivar taskFactory: My L{TaskFactory}.
    @ivar hooks: What carries context to the workers: L{Hooks}, or C{None}.
    """

    def __init__(
        self,
        *workers: Any,
        timeout: float | None = None,
        grace: float = 5.0,
        warn: bool = False,
        verbose: bool = False,
        spew: bool = False,
        returnFailure: bool = True,
        maxWaiting: int | None = None,
        whenFull: str = "refuse",
        maxDeaths: int | None = MAX_DEATHS,
        hooks: "Hooks | tuple[Callable[[], Any], Callable[[Any], Any]] | None" = None,
        reactor: Any = None,
    ) -> None:
        """
        @param workers: Providers of L{IWorker<asynqueue.interfaces.IWorker>} to
            begin with.
        @param timeout: How long L{shutdown<Workplace.shutdown>} and
            L{detachWorker<Workplace.detachWorker>} wait for calls that run, in
            seconds; C{None} for as long as they take.
        @param grace: How long my shutdown may take when the reactor stops, in
            seconds, before my workers are ended.
        @param warn: C{True} to log errors.
        @param verbose: C{True} to log them with their tracebacks.
        @param spew: C{True} to log every result too, and errors as if both of the
            others were set.
        @param returnFailure: C{False} to have no call fail: the text of its
            error is its result. With I{warn} the error is logged, without it is
            written to stderr and the reactor stops a second later.
        @param maxWaiting: How many calls may wait for a worker; C{None} for any
            number. Those that run do not count. Calls to be tried again, and
            those that a worker gives back, wait whatever their number.
        @param whenFull: What becomes of a call made when so many wait:
            C{"refuse"} for a L{QueueFull<asynqueue.errors.QueueFull>}, C{"wait"}
            for what L{callWhenReady} does.
        @param maxDeaths: How many times in a row a worker may die before it has
            finished a call until it is given up; C{None} for any number. Then
            calls of series that nobody else is qualified for fail with a
            L{CrashLoop<asynqueue.errors.CrashLoop>}. See
            L{Restarts<asynqueue.restarts.Restarts>} for what counts.
        @param hooks: C{Hooks(before, after)}, to carry context to the workers with
            each call, but not with updates: see L{asynqueue.contexts}.
        @param reactor: The reactor to use, the global one if C{None}.
        @raise ValueError: if I{maxDeaths} or I{maxWaiting} is below 1, or
            I{whenFull} neither of the two.
        @raise TypeError: if I{hooks} is no pair of callables.
        @raise PicklingError: if the second of them cannot be pickled.
        """
        self.hooks = checkHooks(hooks)
        if maxWaiting is not None:
            checkInteger("maxWaiting", maxWaiting, 1)
        _checkWhenFull(whenFull)
        super().__init__(timeout, grace, reactor, maxDeaths)
        self.q.maxWaiting = maxWaiting
        self.whenFull = whenFull
        self.returnFailure = returnFailure
        self.taskFactory = TaskFactory(reactor=self._reactor)
        self.warn = warn
        self.verbose = verbose
        self.spew = spew
        self.logger = logger
        self.info = Info(remember=True)
        self.outcomes = Outcomes(self._retry, self, self._reactor)
        for worker in workers:
            # If it never comes up, the calls that wait for it tell.
            self.attachWorker(worker).addErrback(lambda _: None)

    @signed(Signatures.call)
    def call(
        self,
        func: Callable[..., Any],
        /,
        *args: Any,
        niceness: int = 0,
        series: Hashable = None,
        timeout: float | None = None,
        doNext: bool = False,
        doLast: bool = False,
        consumer: Any = None,
        raw: bool | None = None,
        returnFailure: bool | None = None,
        retries: int = 1,
        whenFull: str | None = None,
        **kw: Any,
    ) -> "Deferred[Any]":
        """
        Has a worker call a callable with the arguments, and all keywords but
        those below.

        @param niceness: How urgent it is: an integer from -20, the most
            urgent, to 20. See L{TaskFactory} for what it comes to.
        @param series: Any hashable. Only a worker qualified for it runs the
            call; every worker is for C{None}.
        @param timeout: How long the call may take once a worker has it, in
            seconds. A process that overruns is killed and replaced.
        @param doNext: C{True} to have it run before all calls that wait and
            were made without it.
        @param doLast: C{True} to have it run after them. I{doNext} wins.
        @param consumer: A provider of C{IConsumer}, to which the items are
            written if the result is an iterator.
        @param raw: C{True} to have an iterator come back as the value that it
            is, C{False} to have it come as a
            L{Deferator<asynqueue.deferator.Deferator>}; C{None} for what the
            worker was made with.
        @param returnFailure: Overrides my own I{returnFailure}.
        @param retries: How often it is tried again when it has timed out.
        @param whenFull: Overrides my own I{whenFull}.
        @return: A Deferred that fires with the result: the value, a
            L{Deferator<asynqueue.deferator.Deferator>}, or the consumer once it
            has all items. It fails with what the call raised, with a
            L{WorkerError<asynqueue.errors.WorkerError>} if that is all that can
            be told, a L{WorkerDied<asynqueue.errors.WorkerDied>} if the process
            died of it, a L{TimeoutError<asynqueue.errors.TimeoutError>}, or a
            L{QueueRunError<asynqueue.errors.QueueRunError>} if I am shut down
            before it began. When it is cancelled, the call is not made, or
            abandoned in the middle if the worker can do that.
        @raise TypeError: if I{func} is not callable or the consumer is none.
        @raise ValueError: if the niceness, the timeout, I{retries} or
            I{whenFull} is out of range.
        @raise QueueRunError: if I was shut down.
        @raise RuntimeError: if this is not the reactor's thread.
        @raise QueueFull: if as many calls wait as may, and this one is not to.
        @raise Exception: whatever I{before} of my I{hooks} raises.
        """
        whenFull = self.whenFull if whenFull is None else _checkWhenFull(whenFull)
        if consumer is not None:
            checkConsumer(consumer, TypeError)
        checkInteger("retries", retries, 0)
        if whenFull == "refuse" and self.q.isFull():
            raise QueueFull(
                f"The call {aboutCall((func, args, kw))} was refused: "
                f"{len(self.q) + len(self.q.line)} calls wait for a worker, and "
                f"maxWaiting is {self.q.maxWaiting}. Make it when fewer do: await "
                "whenReady() before, or use callWhenReady(), which waits for that"
            )
        task = self.newTask(func, args, kw, niceness, series, timeout)
        if self.hooks is not None:
            task.callTuple = self.hooks.carried(task.callTuple)
        task.raw = raw
        task.retries = retries
        if doNext:
            task.rush()
        elif doLast:
            task.relax()
        if returnFailure is None:
            returnFailure = self.returnFailure
        task.tally = self.th.tally
        task.d.addCallbacks(
            self.outcomes.settle,
            self.outcomes.cancelled,
            (task, consumer, returnFailure),
            {},
            (task,),
        )
        if whenFull == "refuse":
            self._put(task)
        else:
            self.q.putWhenRoom(task)
        return task.d

    @signed(Signatures.call)
    def callWhenReady(
        self, func: Callable[..., Any], /, *args: Any, **kw: Any
    ) -> "Deferred[Any]":
        """
        Makes a call, with the same keywords as L{call}, as soon as fewer calls
        wait than I{maxWaiting}: at once if they do. Of those that wait for that,
        the most urgent comes first, and of equals the one that was made first.

        Whoever makes many calls and is to be held up himself awaits L{whenReady}
        before each, or uses L{map<asynqueue.maps.Mapper.map>}.

        @param func: The callable to call.
        @return: A Deferred like that of L{call}, of the call's result. To cancel
            it is to cancel the call, wherever it waits or runs, and
            L{cancelAll<Workplace.cancelAll>} and shutting me down mean it too.
        """
        return self.call(func, *args, whenFull="wait", **kw)

    def whenReady(self) -> "Deferred[None]":
        """
        Waits until a call would not be refused for I{maxWaiting}.

        @return: A Deferred that fires then, at once if that is now, and after
            the calls of L{callWhenReady} that wait for the same; or fails with a
            L{QueueRunError<asynqueue.errors.QueueRunError>} if I am shut down
            first. The room is there for whoever makes a call right then.
        @raise QueueRunError: if I was shut down.
        """
        return dual(self.q.whenRoom())

    @signed(Signatures.update)
    def update(
        self,
        func: Callable[..., Any],
        /,
        *args: Any,
        ephemeral: bool = False,
        sequential: bool = False,
        series: Hashable = None,
        timeout: float | None = None,
        raw: bool | None = None,
        returnFailure: bool | None = None,
        **kw: Any,
    ) -> "Deferred[list[Any]]":
        """
        Has every worker call a callable, before any call that it has not yet
        got, and each that comes later or begins anew as the first thing it
        does.

        @param func: The callable to call; I{args} and the other keywords,
            I{kw}, are for it.
        @param ephemeral: C{True} if workers that come later need not.
        @param sequential: C{True} to have one worker call it after the other.
        @param series: To have only workers qualified for it call it.
        @param timeout: As in L{call}, but there is no second try.
        @param raw: As in L{call}.
        @param returnFailure: C{False} to have the texts of errors among the
            results. It overrides my own I{returnFailure}.
        @return: A Deferred that fires with a list of the results in the order
            of the workers, when all are there. It fails with the first error
            if there is any; workers that come later are not updated if it
            failed on all.
        @raise TypeError: if I{func} is not callable.
        @raise ValueError: if there is a I{consumer} among the keywords, or the
            timeout is out of range.
        @raise QueueRunError: if I was shut down.
        """
        if "consumer" in kw:
            raise ValueError("An update has many results, and so takes no consumer")
        task = self.newTask(func, args, kw, 0, series, timeout)
        task.raw = raw
        task.retries = -1
        if returnFailure is None:
            returnFailure = self.returnFailure
        d = self.th.update(task, ephemeral, sequential)
        return dual(d.addCallback(self._updated, task, returnFailure))

    def newTask(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kw: dict[str, Any],
        niceness: int = 0,
        series: Hashable = None,
        timeout: float | None = None,
    ) -> Task:
        """
        Makes a task of a call, but does nothing with it.

        @param func: The callable.
        @param args: A tuple of its arguments.
        @param kw: A dict of its keywords.
        @param niceness: Its niceness, from -20, the most urgent, to 20.
        @param series: Its series, C{None} for none.
        @param timeout: How long it may take, in seconds, C{None} for any time.
        @raise TypeError: if I{func} is not callable.
        @raise ValueError: if the niceness or the timeout is out of range.
        @raise QueueRunError: if I was shut down.
        @raise RuntimeError: if this is not the reactor's thread.
        """
        checkThread(func)
        checkCallable("The first argument", func)
        if not self.isRunning():
            raise QueueRunError(
                f"The call {aboutCall((func, args, kw))} was made after the queue "
                "had been shut down"
            )
        task: Task = self.taskFactory.new(func, args, kw, niceness, series, timeout)
        return task

    def _end(self) -> "Deferred[Any]":
        return super()._end().addCallback(lambda _: self.outcomes.shutdown())

    def _retry(self, task: Task) -> "Deferred[Any] | None":
        if not self.isRunning():
            return None
        again = task.copy()
        self._put(again)
        return again.d

    def _updated(
        self, results: list[tuple[Any, Any]], task: Task, returnFailure: bool
    ) -> Any:
        values = [
            self.outcomes.settle(result, task, None, returnFailure)
            for result in results
        ]
        failures = [value for value in values if isinstance(value, Failure)]
        return failures[0] if failures else values


def _checkWhenFull(whenFull: str) -> str:
    if whenFull not in ("refuse", "wait"):
        raise ValueError(f'whenFull is "refuse" or "wait", not {whenFull!r}')
    return whenFull
