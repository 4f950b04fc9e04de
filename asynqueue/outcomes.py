"""
What becomes of a task that is over: a result, a failure, or another try.
"""

import sys
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from asynqueue.about import aboutCall, aboutObject
from asynqueue.deferator import Deferator
from asynqueue.errors import TimeoutError, WorkerError, asFailure
from asynqueue.info import aboutError
from asynqueue.logs import log
from asynqueue.messages import Status
from asynqueue.producers import IterationProducer, produceNothing
from asynqueue.reactors import theReactor
from asynqueue.task import Task

STOP_AFTER = 1.0
"""
How long after an error that nobody is told otherwise the reactor is stopped, in
seconds.
"""


class Wishes(Protocol):
    """
    What is to be told of calls beside their results.

    @ivar warn: C{True} to log errors.
    @ivar verbose: C{True} to log them with their tracebacks.
    @ivar spew: C{True} to log every result too, and errors as if both of the
        others were set.
    """

    warn: bool
    verbose: bool
    spew: bool


class Outcomes:
    """
    I turn what a worker says of a task into what its caller gets.
    """

    def __init__(
        self,
        retry: Callable[[Task], "Deferred[Any] | None"],
        wishes: Wishes,
        reactor: Any = None,
    ) -> None:
        """
        @param retry: Is called with a task to be tried again. It returns a
            Deferred that fires with the status and result of the new try, or
            C{None} if there can be none.
        @param wishes: The L{Wishes}, which may change.
        """
        self._retry = retry
        self._wishes = wishes
        self._reactor = reactor
        self._stopCall: Any = None

    def settle(
        self,
        statusResult: tuple[Any, Any],
        task: Task,
        consumer: Any = None,
        returnFailure: bool = True,
    ) -> Any:
        """
        Decides what the caller of a task gets.

        @param statusResult: The status, a L{Status} or its code, and the
            result.
        @param consumer: Takes the items, if the result is an iterator.
        @param returnFailure: C{False} to make a text of an error.
        @return: The result, a C{Failure}, or a Deferred.

        Calls are counted in their tallies when they end, those that are tried again
        only then. Who got an iterator got a result, whatever comes of that; a call with
        a consumer ends when that has all.
        """
        status, result = statusResult
        if not isinstance(status, Status):
            try:
                status = Status(status)
            except ValueError:
                return self._failed(Failure(), task, returnFailure)
        if status is Status.TIMEOUT or status is Status.DISCONNECTED:
            return self._tryAgain(status, result, task, consumer, returnFailure)
        if status is Status.ERROR:
            return self._failed(asFailure(result), task, returnFailure)
        if self._wishes.spew:
            # As texts: observers may keep what they get, and results be large.
            log.info(
                "{call} -> {result}",
                call=aboutCall(task.callTuple),
                result=aboutObject(result),
            )
        if status is Status.ITERATION:
            return self._iterate(result, task, consumer, returnFailure)
        if task.tally is not None:
            task.tally.done += 1
        if consumer is not None:
            produceNothing(consumer)
        return None if status is Status.NONE else result

    def cancelled(self, failure: Failure, task: Task) -> Failure:
        """
        A task has failed because it was cancelled.

        @return: Why it has failed, as it was given.
        """
        if task.tally is not None:
            task.tally.cancelled += 1
        return failure

    def shutdown(self) -> None:
        """
        Does not stop the reactor after all.
        """
        if self._stopCall is not None and self._stopCall.active():
            self._stopCall.cancel()

    def _tryAgain(self, status: Status, result: Any, task: Task, *how: Any) -> Any:
        if status is Status.TIMEOUT:
            task.retries -= 1
        retried = self._retry(task) if task.retries >= 0 else None
        if retried is not None:
            return retried.addCallbacks(
                self.settle, self.cancelled, (task, *how), {}, (task,)
            )
        call = aboutCall(task.callTuple)
        if status is Status.TIMEOUT:
            error: Exception = TimeoutError(
                f"The call {call} was abandoned: it took longer than its timeout "
                f"of {task.timeout} seconds"
            )
        else:
            error = WorkerError(f"The worker was lost before it began {call}")
            error.__cause__ = asFailure(result).value
        return self._failed(Failure(error), task, how[1])

    def _iterate(
        self, result: Any, task: Task, consumer: Any, returnFailure: bool
    ) -> Any:
        dr = result if isinstance(result, Deferator) else Deferator(result)
        if consumer is None:
            self._isDone(dr, task)
            return dr
        d = IterationProducer(dr, consumer).run()
        return d.addCallbacks(
            self._isDone, self._failed, (task,), {}, (task, returnFailure)
        )

    def _isDone(self, result: Any, task: Task) -> Any:
        if task.tally is not None:
            task.tally.done += 1
        return result

    def _failed(self, failure: Failure, task: Task, returnFailure: bool) -> Any:
        if failure.check(CancelledError):
            # By the caller, who gets this whatever happens to errors.
            return self.cancelled(failure, task)
        if task.tally is not None:
            task.tally.failed += 1
        wishes = self._wishes
        isLogged = wishes.warn or wishes.spew
        if returnFailure and not isLogged:
            return failure
        call = aboutCall(task.callTuple)
        text = aboutError(failure, call)
        if isLogged:
            isLong = wishes.verbose or wishes.spew
            log.error(
                "{text}",
                text=text if isLong else text.split("\n", 1)[0],
                call=call,
                error=type(failure.value).__qualname__,
            )
        if returnFailure:
            return failure
        if not wishes.warn:
            sys.stderr.write(
                f"ERROR: {text}\nThe reactor will be stopped in {STOP_AFTER} seconds\n"
            )
            self._stopReactor()
        return text

    def _stopReactor(self) -> None:
        if self._stopCall is None:
            reactor = theReactor(self._reactor)
            self._stopCall = reactor.callLater(STOP_AFTER, reactor.stop)
