"""
A program that uses a queue and ends in the way that it is told to, for
test_endings. Its arguments: the reactor, the start method, what the workers do
when it ends, and how it ends.
"""

import json
import os
import signal
import sys
import threading
import time
from importlib import import_module


def work(queue, what):
    """Gives the workers something to do."""
    if what == "busy":
        # More than there are workers, so that some wait.
        for _ in range(4):
            queue.call(time.sleep, 30).addErrback(lambda _: None)


async def program(reactor, method, what, how):
    from twisted.internet.task import deferLater

    from asynqueue import ProcessQueue

    queue = ProcessQueue(2, context=method, grace=0.5)
    pids = await queue.update(os.getpid)
    work(queue, what)
    await deferLater(reactor, 0.1)
    print(json.dumps(pids), flush=True)
    if how == "shutdown":
        await queue.shutdown()
        print(json.dumps([thread.name for thread in threading.enumerate()]))
        reactor.stop()
    elif how == "stop":
        reactor.stop()
    elif how == "exit":
        # As if the program had forgotten about it.
        reactor.callLater(0, reactor.crash)
    else:
        os.kill(os.getpid(), getattr(signal, how))


def main(name, method, what, how):
    if name != "default":
        import_module(f"twisted.internet.{name}reactor").install()
    from twisted.internet import reactor
    from twisted.internet.defer import ensureDeferred

    def failed(failure):
        failure.printTraceback()
        reactor.stop()

    reactor.callWhenRunning(
        lambda: ensureDeferred(program(reactor, method, what, how)).addErrback(failed)
    )
    reactor.run()
    print(type(reactor).__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
