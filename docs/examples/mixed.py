"""
One queue, two kinds of workers.

What needs this machine, its files for one, is of a series that only a process here is
qualified for. What may be far away is of the series "cluster". What is of no series is
run by whoever has room.
"""

import os
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.task import react

from asynqueue import ProcessWorker, TaskQueue
from asynqueue.cluster import ClusterWorker


async def main(reactor: Any) -> None:
    here = ProcessWorker(series=["files"])
    # Embedded, in threads of this process: for tests and examples.
    there = ClusterWorker(nodes=2, processes=False)
    queue = TaskQueue(here, there)

    async def places(series: str | None) -> list[str]:
        """
        Makes some calls.

        @return: Where they ran.
        """
        pids = await gatherResults(
            [queue.call(os.getpid, series=series) for _ in range(20)]
        )
        names = {os.getpid(): "the cluster", here.process.pid: "the process"}
        return sorted({names[pid] for pid in pids})

    for series in ("files", "cluster", None):
        print(f"Calls of the series {series!r} ran on {await places(series)}")
    await queue.shutdown()


if __name__ == "__main__":
    react(main)
