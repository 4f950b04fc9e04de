"""
A program whose worker processes are to go with it, for test_entry. Its arguments: the
start method, C{kernel} or C{thread} for what is to end them, and what each of them
does: C{idle}, or the name of one of L{deeds<tests.deeds>}, or C{unheard} for one that
has not been asked anything yet.

The ID of each is printed when it does that. The program lives on, but for C{unheard}:
then it kills itself.
"""

import multiprocessing
import os
import signal
import sys
import threading

from asynqueue import entry
from asynqueue.messages import Call, Hello, pack
from asynqueue.streams import Receiver, send
from tests import deeds


def do(what):
    """Says that it begins, and does it."""
    tell(os.getpid())
    if what != "idle":
        getattr(deeds, what)()


def tell(pid):
    os.write(1, f"{pid}\n".encode())


def begin(method, what):
    """
    Starts a process in a thread that ends before it.

    @return: The near end of its pipe.
    """
    context = multiprocessing.get_context(method)
    near, far = context.Pipe()
    settings = entry.Settings(forked=method == "fork")
    process = getattr(context, "Process")(  # noqa: B009
        target=entry.main, args=(far, settings)
    )
    starter = threading.Thread(target=process.start)
    starter.start()
    starter.join()
    far.close()
    if what == "unheard":
        tell(process.pid)
    else:
        send(near, pack(Hello(0)))
        Receiver(near).receive()
        send(near, pack(Call(1, None), (do, (what,), {})))
    return near


def main(method, watch, *doing):
    if watch == "thread":
        # As where the kernel does not do it.
        entry._onLinux = False
    held = [begin(method, what) for what in doing]
    if "unheard" in doing:
        os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()
    del held


if __name__ == "__main__":
    main(*sys.argv[1:])
