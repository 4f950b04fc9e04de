"""
State that all worker processes have: a table, loaded once in each.

Calls that need a large table should not bring it along each time. An update loads it
in every process, before any call that is made later. The queue remembers its updates,
so each process that comes later begins with them, be it that of a new worker or one
that replaces one that was killed.
"""

import os
import signal
import time
from typing import Any

from twisted.internet.task import react

from asynqueue import ProcessQueue, ProcessWorker, WorkerDied

PRICES: dict[str, int] = {}
"""
The table. Each process has one of its own; that of the main program stays empty.
"""


def load() -> None:
    """
    Fills the table, which takes a while.
    """
    time.sleep(0.05)
    PRICES.update(tea=3, cake=4)


def change(name: str, price: int) -> None:
    """
    Changes the table.
    """
    PRICES[name] = price


def total(*names: str) -> int:
    """
    @return: What some things cost together.
    """
    return sum(PRICES[name] for name in names)


def look() -> tuple[int, dict[str, int]]:
    """
    @return: The ID of the process, and its table.
    """
    return os.getpid(), PRICES


def die() -> None:
    """
    Stands for whatever kills a process: here it does so itself.
    """
    os.kill(os.getpid(), signal.SIGKILL)


async def show(queue: ProcessQueue, when: str) -> set[int]:
    """
    Prints the tables of all processes.

    @return: The IDs of the processes.
    """
    # What only looks need not be remembered for those that come later.
    found = await queue.update(look, ephemeral=True)
    print(f"{when}:", *(table for _, table in found), sep="\n  ")
    return {pid for pid, _ in found}


async def main(reactor: Any) -> None:
    queue = ProcessQueue(2)
    await queue.update(load)
    await show(queue, "Two processes have loaded the table")

    await queue.update(change, "tea", 5)
    await show(queue, "Tea has become dearer in both")

    await queue.attachWorker(ProcessWorker())
    before = await show(queue, "A third worker was hired, and has both updates")

    try:
        await queue.call(die)
    except WorkerDied as error:
        print(error)
    after = await show(queue, "Its replacement has them too")
    print(f"Processes: {len(after - before)} new, {len(before & after)} as before.")

    cost = await queue.call(total, "tea", "cake")
    print(f"Whichever is asked, tea and cake are {cost}; here the table is {PRICES}.")
    await queue.shutdown()


if __name__ == "__main__":
    react(main)
