"""
A service that is written for asyncio, and has its computing done by a worker process.

The reactor runs on asyncio's loop. So there are no two worlds: the tasks of asyncio
await the calls of a queue as they await anything else.
"""

import asyncio
from collections.abc import Iterator

from twisted.internet import asyncioreactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from asynqueue import ProcessQueue

EASY = [1001, 600851475143, 2**31 - 1]
HARD = 2**89 - 1


def largestFactor(n: int) -> int:
    """
    @return: The largest prime that divides a number, found the slow way.
    """
    factor = 2
    while factor * factor <= n:
        if n % factor:
            factor += 1
        else:
            n //= factor
    return n


def primes() -> Iterator[int]:
    """
    Gives all of them. It stands still while nobody asks.
    """
    n = 2
    while True:
        if largestFactor(n) == n:
            yield n
        n += 1


class Service:
    """
    I get a number by each connection, and answer with another.
    """

    def __init__(self, queue: ProcessQueue) -> None:
        self.queue = queue

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """
        Serves a connection.
        """
        number = int(await reader.readline())
        call = asyncio.ensure_future(self.queue.call(largestFactor, number))
        hungUp = asyncio.ensure_future(reader.read())
        await asyncio.wait([call, hungUp], return_when=asyncio.FIRST_COMPLETED)
        if call.done():
            writer.write(b"%d\n" % call.result())
        # Nobody wants the answer any more, unless it is there.
        call.cancel()
        hungUp.cancel()
        writer.close()


async def ask(port: int, number: int) -> int:
    """
    @return: What the service makes of a number.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"%d\n" % number)
        return int(await reader.readline())
    finally:
        writer.close()


async def main() -> None:
    async with ProcessQueue(1) as queue:
        server = await asyncio.start_server(Service(queue).answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            await asyncio.wait_for(ask(port, HARD), 0.2)
        except asyncio.TimeoutError:
            print("The first client has hung up, so its call is cancelled.")
        # There is one worker, so these would wait for it.
        answers = await asyncio.gather(*(ask(port, number) for number in EASY))
        for number, factor in zip(EASY, answers, strict=True):
            print(f"The largest factor of {number} is {factor}")
        server.close()

        found = [n async for n in queue.map(largestFactor, range(100, 108))]
        print(f"Those of 100 and so on are {found}")
        async with await queue.call(primes) as numbers:
            async for number in numbers:
                if number > 100:
                    print(f"The first prime above 100 is {number}")
                    break
    print("The process is gone.")


if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    asyncioreactor.install(loop)
    react(lambda reactor: Deferred.fromFuture(loop.create_task(main())))
