"""
Which call goes first, and which worker gets it.

Each worker process runs one call at a time; the others wait in the queue. Here there
is one worker at first, so the order in which calls end is the order in which it took
them. Then there is a second one, which alone is qualified for the series "licensed",
as if some software had a licence for one process only. It takes ordinary calls too.
"""

import os
import time
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.task import react

from asynqueue import ProcessQueue, ProcessWorker


def nap() -> int:
    """
    Stands for any work that takes a while.

    @return: The ID of the process that did it.
    """
    time.sleep(0.01)
    return os.getpid()


async def showUrgency(queue: ProcessQueue) -> None:
    """
    Makes calls all at once, of which the only worker can begin one, and prints the
    order in which they end.
    """
    ended: list[str] = []

    def call(name: str, **keywords: Any) -> Any:
        return queue.call(nap, **keywords).addCallback(lambda _: ended.append(name))

    calls = [
        call("next of all (doNext), made first", doNext=True),
        call("last of all (doLast)", doLast=True),
        call("patient (niceness 20)", niceness=20),
        call("ordinary, made first"),
        call("ordinary, made second"),
        call("urgent (niceness -20)", niceness=-20),
        call("next of all (doNext), made second", doNext=True),
    ]
    await gatherResults(calls)
    print("With one worker, calls end in this order:")
    for number, name in enumerate(ended, 1):
        print(f"  {number}. {name}")


async def showSeries(queue: ProcessQueue) -> None:
    """
    Makes calls of a series, before and after somebody is hired for it.
    """
    licensed = [queue.call(nap, series="licensed")]
    await queue.call(nap)
    waiting = [d for d in licensed if not d.called]
    print("Nobody has the licence:")
    print(f"  an ordinary call has ended, {len(waiting)} licensed one waits.")

    specialist = ProcessWorker(series=["licensed"])
    await queue.attachWorker(specialist)
    licensed += [queue.call(nap, series="licensed") for _ in range(4)]
    processes = await gatherResults(licensed)
    ran = processes.count(specialist.process.pid)
    print("A worker is hired that has it:")
    print(f"  of {len(licensed)} licensed calls, it runs {ran}.")


async def main(reactor: Any) -> None:
    queue = ProcessQueue(1)
    await showUrgency(queue)
    await showSeries(queue)
    await queue.shutdown()


if __name__ == "__main__":
    react(main)
