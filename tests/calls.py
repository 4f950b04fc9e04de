"""
What workers are given to call in tests: functions that can be pickled by name.
"""

import os
import signal
import time


def echo(x=None):
    return x


def add(x, y=0):
    return x + y


def boom(text="boom"):
    raise ValueError(text)


def bye():
    raise SystemExit(7)


def interrupted():
    raise KeyboardInterrupt


class Mute(Exception):
    """
    An exception that cannot tell anything.
    """

    def __str__(self):
        raise RuntimeError("no text")


def mute():
    raise Mute()


def count(n):
    yield from range(n)


def brittle(n):
    yield from range(n)
    raise ValueError(f"broke after {n}")


def numbers(n):
    """
    @return: An iterator that can be pickled.
    """
    return iter(range(n))


BEGUN = ".begun"


def hold(path):
    """
    Makes a file to tell that it has begun, its name ending in L{BEGUN}, and
    returns once there is another without that ending.
    """
    open(path + BEGUN, "x").close()
    while not os.path.exists(path):
        time.sleep(0.005)
    return path


def note(path, text):
    """
    Appends a line to a file.
    """
    with open(path, "a") as file:
        file.write(f"{text}\n")
    return text


def burst(n, path):
    """
    A generator of so many items, then of one that takes until there is a file, and of
    as many again.
    """
    yield from range(n)
    while not os.path.exists(path):
        time.sleep(0.005)
    yield from range(n)


def growing(n):
    """
    A generator that gives the same list again and again, with one item more.
    """
    items = []
    for i in range(n):
        items.append(i)
        yield items


def blobs(sizes):
    """
    A generator of C{bytes}, of so many each.
    """
    for i, size in enumerate(sizes):
        yield bytes((i,)) * size


def tidy(path):
    """
    A generator that notes in a file when it is closed.
    """
    try:
        yield from range(1000)
    finally:
        note(path, "closed")


def stand(path):
    """
    Notes its process in a file whose name ends in L{BEGUN}, and returns once there is
    another without that ending.
    """
    note(path + BEGUN, os.getpid())
    while not os.path.exists(path):
        time.sleep(0.005)
    return path


def fall(path):
    """
    Notes its process like L{stand}, and kills it.
    """
    note(path + BEGUN, os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


def stations(n, path):
    """
    A generator of its process's ID, of so many items, and of as many again when there
    is a file.
    """
    yield os.getpid()
    yield from burst(n, path)


OVER = ".over"


def heavy(path, size):
    """
    Does what L{stand} does, and makes a file whose name ends in L{OVER}.

    @return: So many bytes.
    """
    stand(path)
    result = bytes(size)
    open(path + OVER, "a").close()
    return result


def dwell(path, seconds):
    """
    Notes its process like L{stand}, and takes a while.
    """
    note(path + BEGUN, os.getpid())
    time.sleep(seconds)
    return path
