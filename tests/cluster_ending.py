"""
A program that uses a queue with a cluster of its own and ends in the way that it is
told to, for test_cluster_ends. Its arguments: what the nodes do when it ends, and how
it ends: by "shutdown", "stop", or a signal to all of its session.
"""

import json
import os
import signal
import sys
import threading
import time

import psutil
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from asynqueue.cluster import ClusterQueue
from tests import calls
from tests.support import BOUND


async def work(queue, what):
    """
    Gives the nodes something to do.
    """
    if what == "starting":
        await deferLater(reactor, 0.3)
        return
    await queue.d
    if what == "busy":
        deferator = await queue.call(calls.count, 1000)
        await deferator.__anext__()
        # More than there are nodes, so that some wait.
        for _ in range(6):
            queue.call(time.sleep, 30).addErrback(lambda _: None)
        await deferLater(reactor, 0.2)


async def program(what, how):
    # Each takes a while to begin.
    nodes = 2 if what == "busy" else 1
    queue = ClusterQueue(nodes=nodes, grace=0.5, timeout=0.5)
    await work(queue, what)
    pids = [child.pid for child in psutil.Process().children(recursive=True)]
    print(json.dumps(pids), flush=True)
    if how == "shutdown":
        await queue.shutdown()
        for thread in threading.enumerate():
            # Not under Python 3.11, dask looks what its loop does, and now and then
            # whether that is closed.
            if thread.name == "Profile":
                thread.join(BOUND / 2)
        print(json.dumps([thread.name for thread in threading.enumerate()]))
        reactor.stop()
    elif how == "stop":
        reactor.stop()
    else:
        os.killpg(0, getattr(signal, how))


def main(what, how):
    def failed(failure):
        failure.printTraceback()
        reactor.stop()

    Deferred.fromCoroutine(program(what, how)).addErrback(failed)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
