"""
asynqueue: calls run by workers in processes of their own, for Twisted.

A program makes a L{ProcessQueue<asynqueue.process.ProcessQueue>}, calls
functions through its L{call<asynqueue.base.TaskQueue.call>}, and gets Deferreds
of what they return.

These are my modules, from the front door down to the far side of the pipe. Each
imports only from those listed below it:

  - C{__main__}: the command line
  - C{mapping}: the job of its command C{map}
  - C{printing}: how items are read, and results and errors printed
  - C{lines}: lines read from standard input and written to standard output
  - C{process}: C{ProcessQueue}, and the address of C{ProcessWorker}
  - C{base}: C{TaskQueue}: calls, updates, hiring, shutdown
  - C{outcomes}: what becomes of a finished task: a result, a failure, another try
  - C{tasks}: the address of all that has to do with tasks
  - C{workforce}: C{TaskHandler}: the workers of a queue
  - C{employment}: one worker, from being hired to being let go
  - C{queues}: where calls wait in order
  - C{load}: telling others how many wait
  - C{processworker}: C{ProcessWorker}: a worker with a process of its own
  - C{life}: what tasks become in one worker process
  - C{remotes}: the iterators that are open in a worker process
  - C{lifetime}: what has to be shut down, at the latest with the reactor
  - C{assignments}: where tasks and workers meet
  - C{task}: a call on its way, and the priority that it gets
  - C{channel}: one life of a worker process, and what is asked of it
  - C{replies}: what the far side answers, as this side understands it
  - C{children}: starting, watching and ending processes
  - C{pollers}: how the near end of a pipe learns of an answer
  - C{looper}: calls that run one by one in one thread
  - C{producers}: between iterators and Twisted's consumers
  - C{deferator}: iterators whose items take their time
  - C{deferreds}: waiting for what others wait for
  - C{reactors}: which reactor
  - C{checks}: whether what a call was given is what it takes
  - C{picklable}: why a call could not be pickled
  - C{machine}: what the operating system tells of cores and memory
  - C{about}: texts about calls
  - C{interfaces}: what a worker, and what a poller, has to provide
  - C{errors}: everything that goes wrong
  - C{entry}: where a worker process begins
  - C{reactorside}: its loop, beside a reactor
  - C{universe}: its loop, and the iterators that it keeps
  - C{runner}: one call, and what it came to
  - C{messages}: what crosses the pipe

The last five are all that a worker process imports (C{reactorside} only if it
is to run a reactor): standard library only, so no public name is imported here
before it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asynqueue.base import TaskQueue
    from asynqueue.deferator import Deferator, Prefetcherator
    from asynqueue.errors import (
        QueueRunError,
        TimeoutError,
        WorkerDied,
        WorkerError,
    )
    from asynqueue.interfaces import IPoller, IWorker
    from asynqueue.looper import ThreadLooper
    from asynqueue.process import ProcessQueue, ProcessWorker
    from asynqueue.producers import (
        IterationProducer,
        ListConsumer,
        iteratorToProducer,
    )

__all__ = [
    "Deferator",
    "IPoller",
    "IWorker",
    "IterationProducer",
    "ListConsumer",
    "Prefetcherator",
    "ProcessQueue",
    "ProcessWorker",
    "QueueRunError",
    "TaskQueue",
    "ThreadLooper",
    "TimeoutError",
    "WorkerDied",
    "WorkerError",
    "iteratorToProducer",
]

_HOMES = {
    "Deferator": "deferator",
    "IPoller": "interfaces",
    "IWorker": "interfaces",
    "IterationProducer": "producers",
    "ListConsumer": "producers",
    "Prefetcherator": "deferator",
    "ProcessQueue": "process",
    "ProcessWorker": "process",
    "QueueRunError": "errors",
    "TaskQueue": "base",
    "ThreadLooper": "looper",
    "TimeoutError": "errors",
    "WorkerDied": "errors",
    "WorkerError": "errors",
    "iteratorToProducer": "producers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
