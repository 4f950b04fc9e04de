"""
The floor under all that goes to a process and back: a blocking ping-pong over a bare
pipe of C{multiprocessing}. No library can be quicker.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from asynqueue.chores import nap

PING = 40
"""
How many bytes go each way unless said: about what a small call is pickled to.
"""


def echo(connection: Any) -> None:
    """
    Sends back each message that comes, until an empty one does.
    """
    while message := connection.recv_bytes():
        connection.send_bytes(message)


def napWhenTold(connection: Any) -> None:
    """
    Naps for as many seconds as each message that comes has written out, and sends
    back likewise how long that has really taken, until an empty message comes.
    """
    while message := connection.recv_bytes():
        connection.send_bytes(str(nap(float(message))).encode())


@contextmanager
def bareProcess(
    method: str | None = None, work: Callable[[Any], None] = echo
) -> Iterator[Any]:
    """
    Runs a process, and provides this end of the pipe to it.

    @param method: The name of the start method, C{None} for the platform's own.
    @param work: What it does with its end, until an empty message comes.
    """
    context: Any = multiprocessing.get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there,))
    process.start()
    there.close()
    try:
        yield here
    finally:
        # A forked process has this end too, and would wait for itself to close it.
        here.send_bytes(b"")
        here.close()
        process.join()


def pingPong(count: int, size: int = PING, method: str | None = None) -> list[float]:
    """
    Sends bytes to a process and waits for them to come back, time after time.

    @param count: How often.
    @param size: How many bytes.
    @return: How long each round trip took, in seconds.
    """
    times = []
    message = b"x" * size
    with bareProcess(method) as pipe:
        # The first ones find caches and the process cold.
        for _ in range(count // 10 + 1):
            pipe.send_bytes(message)
            pipe.recv_bytes()
        for _ in range(count):
            begun = perf_counter()
            pipe.send_bytes(message)
            pipe.recv_bytes()
            times.append(perf_counter() - begun)
    return times
