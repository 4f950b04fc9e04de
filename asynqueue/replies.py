"""
What the far side answers, as this side understands it.
"""

import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

from asynqueue.errors import RemoteTraceback, UnpicklingError, WorkerError
from asynqueue.messages import LONG, Answer, Raised, Status, describe, unpack
from asynqueue.packets import Packet


class Reply(NamedTuple):
    """
    What a request came to.

    @ivar answer: The L{Answer<asynqueue.messages.Answer>}.
    @ivar load: A callable that loads the answer's contents.
    @ivar seconds: How long it took from when the request was sent, in seconds.
    @ivar isLong: C{True} if to load it may take some milliseconds or more.
    """

    answer: Answer
    load: Callable[[], Any]
    seconds: float
    isLong: bool

    def result(self) -> tuple[Status, Any]:
        """
        @return: The status and what belongs to it: a value, an
            L{Iteration<asynqueue.messages.Iteration>}, or an exception.
        """
        try:
            contents = loaded(self.load)
        except UnpicklingError as error:
            return Status.ERROR, error
        if self.answer.status is Status.ERROR:
            return Status.ERROR, revive(contents)
        return self.answer.status, contents


def loaded(load: Callable[..., Any], *args: Any) -> Any:
    """
    @return: What was pickled.
    @raise UnpicklingError: if it cannot be loaded, whatever loading it raises.
    """
    try:
        return load(*args)
    except BaseException as e:
        raise UnpicklingError(
            "The result came back but could not be loaded here: "
            f"{type(e).__name__}: {describe(e)}"
        ) from e


def openReply(packet: Packet, number: int, seconds: float) -> Reply:
    """
    Opens a packet that should answer the request of a number.

    @raise ValueError: if it does not.
    @raise Exception: whatever is raised if it is no packet at all.
    """
    isLong = any(part and len(part) > LONG for part in packet[1:2])
    answer, load = unpack(packet)
    if not isinstance(answer, Answer) or answer.number != number:
        raise ValueError(f"{answer!r} does not answer request {number}")
    return Reply(answer, load, seconds, isLong)


def revive(raised: Raised) -> Exception:
    """
    Makes an exception of one that was raised on the far side: the same where
    it can be had, else a L{WorkerError<asynqueue.errors.WorkerError>} with its
    name and its text.

    @return: The exception, with its far traceback as its cause.
    """
    exception: object = None
    if raised.pickled is not None:
        try:
            exception = pickle.loads(raised.pickled)
        except BaseException:
            # It told all it could when it was raised.
            exception = None
    if not isinstance(exception, Exception):
        exception = WorkerError(f"{raised.name}: {raised.text}")
    exception.__cause__ = RemoteTraceback(raised.traceback)
    return exception
