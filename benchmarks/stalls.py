"""
How long the reactor stalls while 200 MB go to a worker process and come back: here,
and with the standard library's C{ProcessPoolExecutor}, side by side.

    python benchmarks/stalls.py [megabytes]
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from statistics import median

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import LoopingCall, react

from asynqueue import ProcessQueue

TICK = 0.001
"""
How often the reactor is to come round, in seconds.
"""

RUNS = 5


def echo(x):
    """
    What the processes are called for.
    """
    return x


class Gaps:
    """
    I tell the longest time between two ticks, in seconds.
    """

    def __enter__(self):
        self.worst, self.last = 0.0, time.perf_counter()
        self.ticks = LoopingCall(self.tick)
        self.ticks.start(TICK)
        return self

    def tick(self):
        now = time.perf_counter()
        self.worst = max(self.worst, now - self.last)
        self.last = now

    def __exit__(self, *_):
        self.tick()
        self.ticks.stop()


@inlineCallbacks
def main(reactor, megabytes="200"):
    payload = b"x" * (int(megabytes) * 10**6)
    queue = ProcessQueue(1)
    context = multiprocessing.get_context("forkserver")
    executor = ProcessPoolExecutor(1, mp_context=context)

    def submit(f, x):
        d = Deferred()
        executor.submit(f, x).add_done_callback(
            lambda future: reactor.callFromThread(d.callback, future.result())
        )
        return d

    ways = {"asynqueue": queue.call, "ProcessPoolExecutor": submit}
    stalls = {name: [] for name in ways}
    for run in range(RUNS + 1):
        for name, call in ways.items():
            with Gaps() as gaps:
                result = yield call(echo, payload)
            assert len(result) == len(payload)
            del result
            # The first run only warms them up.
            if run:
                stalls[name].append(gaps.worst)
    for name, worst in stalls.items():
        print(
            f"{name:20} longest stall {median(worst) * 1000:6.0f} ms "
            f"(from {min(worst) * 1000:.0f} to {max(worst) * 1000:.0f} in {RUNS} runs)"
        )
    yield queue.shutdown()
    executor.shutdown()


if __name__ == "__main__":
    react(main, sys.argv[1:])
