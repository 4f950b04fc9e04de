"""
What the soak program has its worker processes do. Standard library only, but for
what is only asked for if C{numpy} is there.
"""

import os
import signal
import struct
import time

MARK = struct.Struct("=I")
"""
How a ledger tells that a call ran: by its number.
"""

_learned: set[object] = set()


def mark(path, number):
    """
    Notes in a ledger that a call has begun. One that is written to by several
    processes at once loses nothing.
    """
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(fd, MARK.pack(number))
    finally:
        os.close(fd)


def marks(path):
    """
    @return: The numbers of the calls that are in a ledger, in the order in which
        they began.
    """
    try:
        with open(path, "rb") as file:
            return [number for (number,) in MARK.iter_unpack(file.read())]
    except FileNotFoundError:
        return []


def square(path, number):
    """Is over at once."""
    mark(path, number)
    return number * number


def slow(path, number, seconds):
    """Takes its time."""
    mark(path, number)
    time.sleep(seconds)
    return -number


def fail(path, number):
    """Raises."""
    mark(path, number)
    raise LookupError(number)


def hang(path):
    """Tells its process's ID, then does nothing for ever."""
    mark(path, os.getpid())
    while True:
        time.sleep(3600)


def die(path, how):
    """Tells its process's ID, then ends the process: by a signal, or exits."""
    mark(path, os.getpid())
    if how == 0:
        os._exit(3)
    os.kill(os.getpid(), how)
    # A SIGSEGV that is sent is there before the call returns, or soon after.
    signal.pause()


def gate(path, number):
    """Is over when there is a file."""
    mark(path, number)
    while not os.path.exists(path + ".open"):
        time.sleep(0.002)


def blob(seed, size):
    """
    @return: That many bytes, which depend on a number.
    """
    unit = struct.pack("=Q", seed * 2654435761 % 2**64)
    return (unit * (size // len(unit) + 1))[:size]


def reversedBlob(seed, data):
    """
    @return: What it was given, and the last byte first; it has to be what
        L{blob} gives.
    """
    if data != blob(seed, len(data)):
        raise RuntimeError(f"The bytes of blob {seed} came here changed")
    return data[::-1]


def doubled(array):
    """
    @return: An array of twice the numbers.
    """
    array *= 2
    return array


def items(n, error=False):
    """A generator of process IDs and numbers, which may raise at its end."""
    for number in range(n):
        yield os.getpid(), number
    if error:
        raise LookupError(n)


def learn(what):
    """
    Keeps something for as long as the process lives.
    """
    _learned.add(what)
    return what


def known():
    """
    @return: What the process was made to keep.
    """
    return _learned
