"""
Arrays that cross in shared memory, and what worker processes do with them; and a
program that ends while it has some, for test_shared. Standard library only, but for
the program.
"""

import gc
import os
import signal
import sys
import warnings
from pickle import PickleBuffer
from typing import Any

SIZE = 1 << 18
"""
How large the arrays are, in bytes.
"""

kept: list[Any] = []


class Array:
    """
    Offers its buffer, as C{numpy} arrays do.
    """

    def __init__(self, buffer):
        self.buffer = memoryview(buffer)

    def __reduce_ex__(self, protocol):
        return Array, (PickleBuffer(self.buffer),)

    def __eq__(self, other):
        return self.buffer == other.buffer

    def isShared(self):
        """Tells if it is in memory that came from elsewhere."""
        return "c_ubyte" in type(self.buffer.obj).__name__


def filled(k, size=SIZE):
    """An array all of whose bytes are the same."""
    return Array(bytearray([k % 256]) * size)


def several(n):
    """A generator of arrays, each in the place of the one before."""
    array = filled(0)
    for k in range(n):
        array.buffer[:] = bytes([k]) * SIZE
        yield array


def written(array, k):
    """Writes to an array that came."""
    array.buffer[0] = k
    return array


def areShared(*arrays):
    """Tells which of the arrays that came are shared."""
    return [array.isShared() for array in arrays]


def keep(*arrays):
    """Keeps arrays for good."""
    kept.extend(arrays)


def drop():
    """Drops them."""
    kept.clear()


def look():
    """What is kept, as the first and last bytes."""
    return [(array.buffer[0], array.buffer[-1]) for array in kept]


def killedWith(array):
    """Is killed while it has an array."""
    os.kill(os.getpid(), signal.SIGKILL)


def forkWith(array):
    """
    Leaves a process behind that has an array, and tells its last byte for each byte
    that it is sent.
    """
    asked, told = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        while os.read(asked[0], 1):
            os.write(told[1], bytes(array.buffer[-1:]))
        os._exit(0)
    os.close(asked[0])
    os.close(told[1])
    kept[:] = [child, asked[1], told[0]]


def askFork():
    """Asks that process."""
    os.write(kept[1], b"?")
    return os.read(kept[2], 1)[0]


def endFork():
    """Ends it."""
    os.kill(kept[0], signal.SIGKILL)
    os.waitpid(kept[0], 0)
    os.close(kept[1])
    os.close(kept[2])
    kept.clear()


def has():
    """How many descriptors this process has, and how much shared memory, in bytes."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), sum(memoryFiles("self").values())


def memoryFiles(pid):
    """The sizes of the memory files that a process has open, in bytes, by inode."""
    files = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        try:
            if "memfd" in os.readlink(path):
                stat = os.stat(path)
                files[stat.st_ino] = stat.st_blocks * 512
        except OSError:
            # That of the listing itself.
            continue
    return files


async def program(reactor, method, how):
    """
    Has arrays in all places, and ends.
    """
    from asynqueue import ProcessQueue

    queue = ProcessQueue(2, context=method, shareAbove=65536)
    kept.extend([await queue.call(filled, k) for k in range(4)])
    await queue.call(keep, *kept)
    kept.append(await queue.call(several, 3))
    kept.append(kept)
    waiting = queue.call(written, filled(5), 1)
    if how == "exit":
        reactor.callLater(0, reactor.crash)
        return
    kept.append(await waiting)
    if how == "shutdown":
        await queue.shutdown()
    reactor.stop()


def main(method, how):
    from twisted.internet import reactor
    from twisted.internet.defer import ensureDeferred

    loop: Any = reactor
    loop.callWhenRunning(lambda: ensureDeferred(program(reactor, method, how)))
    loop.run()
    print([array.buffer[0] for array in kept[:4]])


if __name__ == "__main__":
    main(*sys.argv[1:])
