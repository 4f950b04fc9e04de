"""
Calls on a cluster.

Without an argument the cluster is embedded: a scheduler and two nodes, which are
processes of this machine and end with the program. With the address of a scheduler,
tcp://127.0.0.1:8786 for one, the same calls are made on its nodes, wherever they are.
"""

import sys
from collections.abc import Iterator
from typing import Any

from twisted.internet.task import react

from asynqueue.cluster import ClusterQueue

PIECE = 5000
"""
How many numbers are looked at in a call. It takes some milliseconds; what is much
shorter is not worth the way to a node.
"""


def isPrime(n: int) -> bool:
    return n > 1 and all(n % k for k in range(2, int(n**0.5) + 1))


def countPrimes(start: int) -> int:
    """
    @return: How many primes there are in a piece.
    """
    return sum(map(isPrime, range(start, start + PIECE)))


def primes() -> Iterator[int]:
    """
    Gives all of them. It lives on a node, and stands still while nobody asks.
    """
    n = 2
    while True:
        if isPrime(n):
            yield n
        n += 1


def prepare(limit: int) -> int:
    """
    Sets what every node has to have, also those that come later.
    """
    sys.setrecursionlimit(limit)
    return sys.getrecursionlimit()


async def main(reactor: Any, address: str | None = None) -> None:
    queue = ClusterQueue(address, nodes=2, callStats=True)
    await queue.d
    threads = sum(node.threads for node in queue.nodes)
    print(f"The cluster has {len(queue.nodes)} nodes, for {threads} calls at a time.")

    (answers,) = await queue.update(prepare, 2000)
    print(f"Each node has answered the update: {list(answers.values())}")

    pieces = range(0, 100_000, PIECE)
    counts = [count async for count in queue.map(countPrimes, pieces)]
    print(f"{sum(counts)} primes below 100000, counted in {len(counts)} calls.")

    found = []
    async for n in await queue.call(primes):
        found.append(n)
        if len(found) == 10:
            break
    print(f"A generator on a node has given {found}")

    times = await queue.stats()
    print(f"{len(times)} calls ran for {sum(there for _, there in times):.2f} seconds.")
    await queue.shutdown()


if __name__ == "__main__":
    react(main, sys.argv[1:])
