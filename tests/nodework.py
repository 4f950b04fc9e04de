"""
What the nodes of a cluster are made to do in tests.
"""

import os
import time


def stay(seconds):
    """
    Takes some time.

    @return: The process's ID, and when it began and ended, in seconds.
    """
    begun = time.time()
    time.sleep(seconds)
    return os.getpid(), begun, time.time()


def pid(*args):
    return os.getpid()


def blocked(path, begun):
    """
    Makes a file to tell that it has begun, and waits in C code until somebody opens a
    FIFO for writing.
    """
    open(begun, "x").close()
    with open(path) as fifo:
        return fifo.read()


def marking(path, n, pause=0.0, size=0):
    """
    A generator that adds a byte to a file for each item, C{bytes} of a size, and a C{c}
    when it is closed or ends.
    """
    try:
        for _ in range(n):
            with open(path, "ab") as file:
                file.write(b".")
            yield bytes(size)
            time.sleep(pause)
    finally:
        with open(path, "ab") as file:
            file.write(b"c")


def grids(n):
    """
    A generator of arrays, 8 MB each, all of one number.
    """
    import numpy

    for i in range(n):
        yield numpy.full((1000, 1000), float(i))


class Catching(Exception):
    """
    Cannot be pickled, nor what holds it.
    """

    def __reduce__(self):
        raise RuntimeError("not to be pickled")


def pids(n):
    """
    A generator of the process's ID.
    """
    for _ in range(n):
        yield os.getpid()


def withOne(n):
    """
    A generator of so many numbers, then of something that cannot be pickled.
    """
    yield from range(n)
    yield Catching()


def stubborn(begun, mark):
    """
    Goes on for ever whatever Exception comes, and notes by what it was ended.
    """
    try:
        open(begun, "x").close()
        while True:
            try:
                time.sleep(0.005)
            except Exception:
                continue
    except BaseException as e:
        with open(mark, "a") as file:
            file.write(f"{type(e).__name__}\n")
        raise


def noteAndSpin(path):
    """
    Notes that it has begun, and does not end.
    """
    with open(path, "a") as file:
        file.write("begun\n")
    while True:
        pass


def sleep(seconds):
    """
    Waits in C code.
    """
    time.sleep(seconds)


KEPT = ["nothing"]


def put(value):
    """
    Keeps a value in this process.

    @return: The process's ID.
    """
    KEPT[0] = value
    return os.getpid()


def getAfter(seconds):
    """
    Takes some time.

    @return: The process's ID, and what is kept there.
    """
    time.sleep(seconds)
    return os.getpid(), KEPT[0]


def putUnless(value, refused, mark):
    """
    Does what L{put} does, unless a file has the ID of this process, or C{all}; and
    notes each try in another.
    """
    with open(mark, "a") as file:
        file.write(f"{os.getpid()}\n")
    with open(refused) as file:
        if file.read() in ("all", str(os.getpid())):
            raise ValueError("refused here")
    return put(value)


def noteAndStay(path, text, seconds):
    """
    Notes that it has begun, and takes some time.
    """
    with open(path, "a") as file:
        file.write(f"{text}\n")
    time.sleep(seconds)
    return text


def tasksOn(dask_worker):
    """
    @return: How many calls a dask worker has.
    """
    return len(dask_worker.state.tasks)


def havingScheduler(dask_scheduler):
    """
    @return: What a scheduler has of its clients.
    """
    it = dask_scheduler
    kinds = (it.handlers, it.plugins, it.worker_plugins, it.clients, it.tasks)
    return [sorted(map(str, kind)) for kind in kinds]


def havingNode(dask_worker):
    """
    @return: What a node has of its clients, but for threads.
    """
    it = dask_worker
    kinds = (it.handlers, it.stream_handlers, it.extensions, it.plugins, it.state.tasks)
    return [sorted(map(str, kind)) for kind in kinds]


def fussy():
    """
    @return: An exception that can be pickled but not made again.
    """
    from tests.deeds import Fussy

    return Fussy("what", "where")


def throw(make):
    """
    Raises an exception that is made here.
    """
    raise make()


def untilThere(path, mark):
    """
    Notes in a file that it has begun, and waits until there is another.

    @return: The process's ID.
    """
    with open(mark, "a") as file:
        file.write(f"{os.getpid()}\n")
    while not os.path.exists(path):
        time.sleep(0.005)
    return os.getpid()
