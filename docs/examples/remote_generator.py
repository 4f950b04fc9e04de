"""
A generator in a worker process feeds a consumer here, no faster than that can take.

The consumer writes to a file. A disk may be slow, so it writes in a thread, some
lines at a time, and has its producer pause meanwhile. The producer then asks the
process for no items, so the generator soon stands still over there. However much it
has to give, no more is ever held here than those lines and some that came with them.

    python remote_generator.py [FILE]
"""

import sys
from collections.abc import Iterator
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.task import react
from twisted.python.failure import Failure
from zope.interface import implementer

from asynqueue import ProcessQueue, ThreadLooper

LIMIT = 5000
"""
Primes below this are looked for.
"""


def primes(limit: int) -> Iterator[int]:
    """
    Runs in a worker process, from one item to the next while some are wanted.

    @return: An iterator of the primes below a limit.
    """
    found: list[int] = []
    for number in range(2, limit):
        if all(number % prime for prime in found if prime * prime <= number):
            found.append(number)
            yield number


@implementer(IConsumer)
class LineWriter:
    """
    I write items to a file, one a line.

    @ivar pauses: How often I had my producer pause.
    """

    def __init__(self, file: TextIO, held: int = 50) -> None:
        """
        @param file: A text file, open for writing. I do not close it.
        @param held: How many lines I collect before I write them.
        """
        self.pauses = 0
        self._file = file
        self._held = held
        self._lines: list[str] = []
        self._looper = ThreadLooper()
        self._producer: IPushProducer | None = None
        self._failure: Failure | None = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if not streaming:
            raise TypeError("Only a push producer can be registered here")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def write(self, data: Any) -> None:
        self._lines.append(f"{data}\n")
        if len(self._lines) == self._held and self._producer is not None:
            self.pauses += 1
            self._producer.pauseProducing()
            self._flush().addCallbacks(self._written, self._failed)

    async def close(self) -> None:
        """
        Writes what is left, and ends my thread.

        @raise OSError: if writing failed, now or before.
        """
        try:
            await self._flush()
        finally:
            await self._looper.stop()
        if self._failure is not None:
            self._failure.raiseException()

    def _flush(self) -> "Deferred[None]":
        lines, self._lines = self._lines, []
        return self._looper.deferToThread(self._file.writelines, lines)

    def _written(self, _: None) -> None:
        if self._producer is not None:
            self._producer.resumeProducing()

    def _failed(self, failure: Failure) -> None:
        self._failure = failure
        if self._producer is not None:
            self._producer.stopProducing()


async def main(reactor: Any, path: str = "primes.txt") -> None:
    queue = ProcessQueue(1)
    with open(path, "w") as file:
        # The call fires with its consumer when that has all items.
        writer = await queue.call(primes, LIMIT, consumer=LineWriter(file))
        await writer.close()
    await queue.shutdown()
    print(f"The primes below {LIMIT} are in {path}, one a line.")
    print(f"The generator had to pause {writer.pauses} times.")


if __name__ == "__main__":
    react(main, sys.argv[1:])
