"""
What crosses the pipe between a worker and its process, and nothing else.

A L{packet<asynqueue.packets>} begins with an I{envelope}, one of the named tuples
below, which can always be read: marshalled, since it holds nothing but numbers,
C{None} and short C{bytes}, and that takes a fifth of the time that C{pickle} does.
Then come its I{contents}, a pickle, which belong to the user and may fail to pickle
or to load. Because the envelope is read first, a packet whose contents are broken can
still be answered. What is large in the contents are the parts after them, see
L{asynqueue.contents}.

Near to far go L{Hello}, L{Call}, L{Next}, L{Close} and L{Stop}; far to near
goes one L{Answer} for each, bearing its number.

Standard library only: the far side imports me.
"""

import marshal
import math
import pickle
import traceback
from collections.abc import Callable
from enum import Enum
from functools import partial
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any, NamedTuple

from asynqueue.contents import Contents, Source, TooLong
from asynqueue.packets import Packet, Pieces
from asynqueue.picklers import RULE, MakePickler, byName

if TYPE_CHECKING:
    from asynqueue.sharing import Sharing

LONG = 1 << 18
"""
From how many bytes on a pickle is long. To make or load one of so many takes some
milliseconds.
"""


class Status(bytes, Enum):
    """
    What a call came to. My members equal the one-byte codes that workers have
    always used: C{Status.RESULT == b'r'}, and C{Status(b'r')} looks one up.
    """

    RESULT = b"r"
    "The call returned a value."
    ERROR = b"e"
    "The call raised, or could not be made."
    ITERATION = b"i"
    "The call returned an iterator."
    CHUNKED = b"c"
    "The value was put together from several pieces."
    TIMEOUT = b"t"
    "The call overran its time."
    NONE = b"n"
    "There is no value: an iterator's end."
    DISCONNECTED = b"d"
    "The worker was lost before it began the call, which may be tried again."

    @property
    def failed(self) -> bool:
        """
        C{True} if there is no value because something went wrong.
        """
        return self in (Status.ERROR, Status.TIMEOUT, Status.DISCONNECTED)

    @classmethod
    def _missing_(cls, value: object) -> "Status":
        known = ", ".join(f"{member.value!r} ({member.name})" for member in cls)
        raise ValueError(f"Unknown status {value!r}. The known ones are {known}")


class Hello(NamedTuple):
    """
    Asks whether the far side is up. No contents.
    """

    number: int


class Call(NamedTuple):
    """
    Asks for a call. Contents: the tuple C{(f, args, kw)}.

    @ivar raw: C{True} to have an iterator pickled as the value that it is,
        C{False} to keep it there and have its items asked for, C{None} for the
        far side's default.
    """

    number: int
    raw: bool | None


class Next(NamedTuple):
    """
    Asks for the next item of the iterator with the integer ID, or for the next ones:
    see L{asynqueue.batches}. No contents.

    @ivar most: How many items the answer may have.
    """

    number: int
    ID: int
    most: int = 1


class Close(NamedTuple):
    """
    Asks to close and forget the iterator with the integer ID. No contents.
    """

    number: int
    ID: int


class Stop(NamedTuple):
    """
    Asks the far side to end when it has answered. No contents.
    """

    number: int


class Answer(NamedTuple):
    """
    Answers the packet of the same number.

    The contents depend on the status: the value for C{RESULT}, or L{Items} where
    some were asked for; an L{Iteration} for C{ITERATION}, a L{Raised} for C{ERROR},
    C{None} for C{NONE}.

    @ivar status: A L{Status}.
    @ivar seconds: How long the user's code ran, in seconds, up to the first
        item where it returned an iterator.
    """

    number: int
    status: Status
    seconds: float


class Iteration(NamedTuple):
    """
    An iterator that stays on the far side, and what it began with.

    @ivar ID: The integer to ask for it by, or C{None} if it ended at once.
    @ivar first: A list with its first item, or an empty one.
    """

    ID: int | None
    first: list[Any]


_STATUSES = {status.value: status for status in Status}


def _answer(number: int, code: bytes, seconds: float) -> Answer:
    return Answer(number, _STATUSES[code], seconds)


_KINDS = (Hello, Call, Next, Close, Stop, Answer)
_NUMBERS: "dict[type, int]" = {kind: number for number, kind in enumerate(_KINDS)}
# What makes one of each of what was marshalled.
_MAKERS: "list[Callable[..., Any]]" = [*_KINDS[:-1], _answer]


class Items(NamedTuple):
    """
    The next items of an iterator, at least one.

    @ivar pickles: A list of them, each a pickle by itself.
    @ivar buffers: A list of the large buffers of the last. No other has any.
    """

    pickles: list[bytes]
    buffers: list[Any]


class Raised(NamedTuple):
    """
    An exception on its way across the pipe.

    @ivar name: The name of its type.
    @ivar text: What it says.
    @ivar traceback: Its formatted traceback on the far side.
    @ivar pickled: The exception itself as a pickle, or C{None} if it cannot be
        pickled or must not be raised on the near side (C{SystemExit},
        C{KeyboardInterrupt} and their like).
    """

    name: str
    text: str
    traceback: str
    pickled: bytes | None


def pack(
    envelope: tuple[Any, ...],
    contents: object = None,
    makePickler: MakePickler = byName,
    most: float = math.inf,
    sharing: "Sharing | None" = None,
) -> Packet:
    """
    Makes a packet.

    @param envelope: One of the named tuples above.
    @param contents: Any object that the pickler takes.
    @param makePickler: One of those in L{asynqueue.picklers}.
    @param most: How long the pickle may be, in bytes, the large buffers not counted.
    @param sharing: Copies large buffers into memory files, C{None} if none is to be.
    @return: The envelope, the contents, and their large buffers. These are not
        copied: until the packet has been sent, they are the object's own.
    @raise TooLong: if the pickle is longer, or I{most} is finite and to copy the
        buffers takes long.
    @raise Exception: whatever pickling the contents raises.
    """
    pickled = Contents(most)
    makePickler(pickled, pickled.staysInBand).dump(contents)
    head = marshal.dumps((_NUMBERS[type(envelope)], *envelope))
    buffers = pickled.buffers
    if sharing is not None:
        if most < math.inf and sharing.takesLong(buffers):
            raise TooLong
        buffers = sharing.share(buffers)
    return [head, pickled, *buffers]


def dumps(obj: object, makePickler: MakePickler = byName) -> bytes:
    """
    @return: An object as a pickle, its large buffers included.
    @raise Exception: whatever pickling it raises.
    """
    stream = Pieces()
    makePickler(stream, None).dump(obj)
    return b"".join(stream)


def unpack(packet: Packet) -> tuple[Any, Callable[[], Any]]:
    """
    Opens a packet that was received.

    @return: The envelope, and a callable, to be called once, that loads the contents
        and raises whatever loading them raises.
    @raise Exception: if it is no packet.
    """
    head, *rest = packet
    packet.clear()
    kind, *fields = marshal.loads(head)
    return _MAKERS[kind](*fields), partial(_load, rest)


def _load(rest: Packet) -> Any:
    contents, *buffers = rest
    rest.clear()
    if contents is None or None in buffers:
        raise MemoryError("It is larger than the memory that is left here")
    return load(contents, buffers)


def load(pickled: Any, buffers: list[Any]) -> Any:
    """
    Loads a pickle. Where that takes long, other threads have their turns meanwhile.

    @param pickled: C{bytes}, or a C{memoryview} of single bytes.
    @param buffers: A list of its large buffers.
    @raise Exception: whatever loading it raises.
    """
    if len(pickled) <= LONG:
        return pickle.loads(pickled, buffers=buffers)
    return pickle.Unpickler(Source(pickled), buffers=buffers).load()


def describe(exception: BaseException) -> str:
    """
    @return: What an exception says, even if its C{__str__} is broken. A plain
        C{str}, even if that returns an instance of a subclass.
    """
    try:
        return str.__str__(str(exception))
    except BaseException as broken:
        return f"<its text cannot be had: __str__ raised {type(broken).__name__}>"


def notPickled(what: str, obj: object, e: BaseException) -> pickle.PicklingError:
    """
    @param what: What the object is to those who wait for it, in a word or two.
    @param e: What was raised when it was to be pickled.
    @return: An exception that tells so.
    """
    advice = RULE
    if isinstance(obj, AsyncGeneratorType):
        advice = "Call an ordinary generator function instead"
    elif isinstance(obj, CoroutineType) or type(obj).__qualname__ == "Deferred":
        advice = (
            "Only a process that runs a reactor can wait for it. Ask for that by "
            "useReactor=True, or call a function that returns the value"
        )
    error = pickle.PicklingError(
        f"The {what}, of type {type(obj).__qualname__}, could not be pickled: "
        f"{type(e).__name__}: {describe(e)}. {advice}"
    )
    error.__cause__ = e
    return error


def raised(exception: BaseException, makePickler: MakePickler = byName) -> Raised:
    """
    @return: The exception as a L{Raised}, which always pickles.
    """
    name, text = type(exception).__qualname__, describe(exception)
    pickled: bytes | None = None
    if isinstance(exception, Exception):
        try:
            pickled = dumps(exception, makePickler)
        except BaseException:
            # Its name, text and traceback cross all the same.
            pickled = None
    try:
        lines = traceback.format_exception(
            type(exception), exception, exception.__traceback__
        )
    except BaseException:
        lines = [*traceback.format_tb(exception.__traceback__), f"{name}: {text}\n"]
    return Raised(name, text, "".join(lines), pickled)
