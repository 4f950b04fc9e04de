"""
The far side of the pipe: read a packet, answer it, read the next.

Standard library only: I am what a worker process consists of.
"""

import itertools
import pickle
import time
from collections.abc import Iterator
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from asynqueue.batches import Batches
from asynqueue.couriers import Courier
from asynqueue.messages import (
    Answer,
    Call,
    Close,
    Iteration,
    Next,
    Status,
    Stop,
    describe,
    notPickled,
    pack,
    raised,
    unpack,
)
from asynqueue.packets import Packet
from asynqueue.picklers import findPickler
from asynqueue.runner import CallRunner
from asynqueue.streams import Receiver, send
from asynqueue.tickets import Gate

if TYPE_CHECKING:
    from asynqueue.sharing import Sharing

__all__ = ["ProcessUniverse"]

ADVICE = (
    "A function of a script's __main__ is, if the script is a file and guards what it "
    "does with if __name__ == '__main__', or if pickler='cloudpickle' is asked for"
)
"""
What to do if what a call names is not found.
"""


class ProcessUniverse:
    """
    I live in a worker process. I make the calls that come through the pipe and
    keep the iterators that they return, until those end or are closed.

    Whatever a packet holds, it is answered: with a value, an iteration or an
    exception.

    @ivar iterators: The iterators that I keep, by integer ID. No ID is ever
        used twice.
    @ivar runner: The L{CallRunner} that makes the calls.
    """

    def __init__(
        self,
        raw: bool = False,
        runner: CallRunner | None = None,
        pickler: str = "pickle",
        gate: Gate | None = None,
        sharing: "Sharing | None" = None,
        advice: str = ADVICE,
    ) -> None:
        """
        @param pickler: What pickles the results, by its name in
            L{PICKLERS<asynqueue.picklers.PICKLERS>}.
        @param gate: Tells which calls were taken back while they waited in the pipe,
            C{None} if none ever is.
        @param sharing: How arrays are shared, C{None} if they are not.
        @param advice: What to do if what a call names is not found here.
        """
        self._advice = advice
        self.runner = runner or CallRunner(raw)
        self.iterators: dict[int, Iterator[Any]] = {}
        self._makePickler = findPickler(pickler)
        self._gate = gate
        self._sharing = sharing
        self._IDs = itertools.count(1)
        self._courier = Courier()
        self._batches = Batches(
            self.do_next, self._close, self._makePickler, sharing=sharing
        )

    def loop(self, connection: Any) -> None:
        """
        Answers packets until I am told to stop or the near side is gone.
        """
        self._courier = Courier(partial(self._send, connection))
        receiver = Receiver(connection)
        while True:
            try:
                packet = receiver.receive()
            except (EOFError, OSError):
                return
            envelope, answer = self.answer(packet)
            if answer is None:
                continue
            try:
                self._send(connection, answer)
            except OSError:
                return
            if isinstance(envelope, Stop):
                return

    def answer(self, packet: Packet) -> "tuple[Any, Packet | None]":
        """
        @return: The packet's envelope, and the packet that answers it, C{None} if
            that was sent already.
        """
        if self._sharing is not None:
            self._sharing.receive(packet)
        envelope, load = unpack(packet)
        if isinstance(envelope, Next):
            return envelope, self._batches.answer(envelope, self._courier)
        if isinstance(envelope, Call) and not self._admits():
            return envelope, pack(Answer(envelope.number, Status.DISCONNECTED, 0.0))
        try:
            contents = load()
        except BaseException as e:
            status, result, seconds = Status.ERROR, self._notLoaded(e), 0.0
        else:
            start = time.perf_counter()
            status, result = self.do(envelope, contents)
            seconds = time.perf_counter() - start
            # Not held while the result is pickled: both may be large.
            del contents
        answer = Answer(envelope.number, status, seconds)
        return envelope, self._seal(answer, result)

    def do_next(self, ID: int) -> tuple[Status, Any]:
        """
        Takes one item of an iterator that I keep, and forgets the iterator
        once it has ended or raised.

        @return: C{(Status.RESULT, item)}, C{(Status.NONE, None)} or
            C{(Status.ERROR, exception)}.
        """
        iterator = self.iterators.get(ID)
        if iterator is None:
            return Status.ERROR, LookupError(
                f"No iterator {ID} here: it has ended, failed or been closed"
            )
        status, item = self.runner.getNext(iterator)
        if status is not Status.RESULT:
            del self.iterators[ID]
        return status, item

    def do(self, envelope: Any, contents: Any = None) -> tuple[Status, Any]:
        """
        Does what a packet asks for.

        @param envelope: The packet's envelope.
        @param contents: Its contents, loaded.
        @return: A status and what belongs to it: a value, an L{Iteration}, an
            exception, or C{None}.
        """
        if isinstance(envelope, Call):
            status, result = self.runner(contents, envelope.raw)
            return (
                self._keep(result) if status is Status.ITERATION else (status, result)
            )
        if isinstance(envelope, Next):
            return self.do_next(envelope.ID)
        if isinstance(envelope, Close):
            return self._close(envelope.ID)
        return Status.NONE, None

    def _send(self, connection: Any, packet: Packet) -> None:
        if self._sharing is not None:
            self._sharing.send(packet)
        send(connection, packet)

    def _admits(self) -> bool:
        return self._gate is None or self._gate.admit()

    def _keep(self, iterator: "Iterator[Any]") -> tuple[Status, Any]:
        """
        Takes an iterator's first item at once, so that the near side knows
        from the beginning whether there is any.
        """
        status, item = self.runner.getNext(iterator)
        if status is Status.RESULT:
            ID = next(self._IDs)
            self.iterators[ID] = iterator
            return Status.ITERATION, Iteration(ID, [item])
        if status is Status.NONE:
            return Status.ITERATION, Iteration(None, [])
        return status, item

    def _close(self, ID: int) -> tuple[Status, Any]:
        iterator = self.iterators.pop(ID, None)
        self._batches.forget(ID)
        try:
            close = getattr(iterator, "close", None)
            if close is not None:
                self.runner.invoke(close)
        except BaseException as e:
            return Status.ERROR, e
        return Status.NONE, None

    def _seal(self, answer: Answer, result: Any) -> Packet:
        if answer.status is Status.ERROR:
            return pack(answer, raised(result, self._makePickler))
        try:
            return pack(answer, result, self._makePickler, sharing=self._sharing)
        except BaseException as e:
            what = "result"
            if isinstance(result, Iteration):
                if result.ID is not None:
                    # Nobody can ask for the items after the one that is lost.
                    self._close(result.ID)
                what, result = "first item", result.first[0]
            error = raised(notPickled(what, result, e))
            if isinstance(result, CoroutineType):
                # Else it complains that nobody has awaited it.
                result.close()
            return pack(answer._replace(status=Status.ERROR), error)

    def _notLoaded(self, e: BaseException) -> Exception:
        error = pickle.UnpicklingError(
            "The call could not be loaded in the worker process: "
            f"{type(e).__name__}: {describe(e)}. What it names must be importable "
            f"there. {self._advice}"
        )
        error.__cause__ = e
        return error
