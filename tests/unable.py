"""
A program whose main module can be imported by worker processes only as long as
there is no file of a name, for test_crashloop. Its arguments: that name, and C{now}
or C{later}, for when the file comes to be.
"""

import json
import os
import sys

FLAG = sys.argv[1]

if __name__ != "__main__" and os.path.exists(FLAG):
    raise ImportError("cannot be imported here")


def work(x):
    return x


async def program(reactor):
    from asynqueue import ProcessQueue, WorkerDied
    from asynqueue.errors import CrashLoop

    queue = ProcessQueue(2, maxDeaths=3)
    if sys.argv[2] == "later":
        print(json.dumps([await queue.call(work, 1)]))
        open(FLAG, "x").close()
        for d in [queue.call(os._exit, 7) for _ in range(2)]:
            await d.addErrback(lambda _: None)
    else:
        open(FLAG, "x").close()
    for d in [queue.call(work, 2), queue.call(work, 3)]:
        try:
            print(json.dumps([await d]))
        except WorkerDied as e:
            codes = e.exitCodes if isinstance(e, CrashLoop) else None
            print(json.dumps([type(e).__name__, str(e), e.exitCode, codes]))
    await queue.shutdown()


if __name__ == "__main__":
    from twisted.internet.defer import ensureDeferred
    from twisted.internet.task import react

    react(lambda reactor: ensureDeferred(program(reactor)))
