"""
asynqueue: calls run by workers in processes of their own, for Twisted.

A program makes a L{ProcessQueue<asynqueue.process.ProcessQueue>}, calls
functions through its L{call<asynqueue.base.TaskQueue.call>}, and gets Deferreds
of what they return.

These are my modules, from the front door down to the far side of the pipe. Each
imports only from those listed below it:

  - C{__main__}: the command line
  - C{arguments}: what can be written there
  - C{clustermap}: what its command C{map} needs of a cluster
  - C{mapping}: the job of its command C{map}
  - C{tuning}: the job of its command C{tune}
  - C{findings}: what comes of it as a text, a chart and JSON
  - C{advice}: what is to be set, as far as it can be told from noise
  - C{survey}: trials of all settings under all loads, by turns
  - C{napping}: one setting under one load, in a process of its own
  - C{grid}: which settings and loads there are
  - C{benchmark}: the job of its command C{bench}
  - C{showing}: what comes of it as a text, a chart and JSON
  - C{tournament}: trials of contenders under loads, by turns
  - C{bounds}: what is promised of it
  - C{results}: samples, their medians and ratios
  - C{trials}: one contender under one load, in a process of its own
  - C{loads}: which loads there are
  - C{watching}: what it costs to be watched
  - C{exercises}: what is done under them, and measured
  - C{stalls}: how long the reactor does not come round
  - C{contenders}: who is measured
  - C{rivals}: other libraries among them
  - C{clusterrivals}: dask's own client of a cluster
  - C{contender}: what a library has to do to be measured
  - C{ampoules}: what the processes of one of them do
  - C{floor}: a ping-pong over a bare pipe
  - C{chores}: what workers are called for when they are measured
  - C{apart}: functions called in fresh processes, for a bounded time
  - C{printing}: how items are read, and results and errors printed
  - C{lines}: lines read from standard input and written to standard output
  - C{charts}: small panels side by side in a file
  - C{tables}: tables of text
  - C{monitor}: a page to watch a queue on
  - C{monitorpage}: what a browser is given of it, and to whom it is refused
  - C{monitorstream}: what those who watch are told, again and again
  - C{monitorfigures}: what a queue tells of itself, as the page reads it
  - C{metrics}: what a queue tells of itself, for Prometheus
  - C{cluster}: C{ClusterQueue}, and the address of all that has to do with clusters
  - C{null}: C{NullQueue}: calls in the reactor's own thread
  - C{memory}: C{MemoryQueue}: calls that end when a test says so
  - C{workers}: the address of all workers
  - C{process}: C{ProcessQueue}, and the address of all that has to do with it
  - C{threads}: C{ThreadQueue}, and the address of all that has to do with threads
  - C{ordered}: items in the order in which they were asked for
  - C{bridges}: from Twisted's producers to blocking iterators
  - C{getter}: an iterator for a thread to wait for
  - C{threadpool}: threads that several share
  - C{buffers}: items on their way to a thread that waits for them
  - C{base}: C{TaskQueue}: calls and updates
  - C{calls}: calls whose options are set apart
  - C{maps}: a call for each of many items
  - C{flow}: items that become calls, a bounded number of them at a time
  - C{mapsignatures}: what C{map} takes and gives, for type checkers
  - C{signatures}: the same of all other calls of a queue
  - C{outcomes}: what becomes of a finished task: a result, a failure, another try
  - C{logs}: where a queue tells of its calls
  - C{workplace}: where tasks wait and workers are
  - C{blocks}: how the block is left that a queue is used for
  - C{snapshots}: what a queue tells of itself, put together
  - C{tasks}: the address of all that has to do with tasks
  - C{workforce}: C{TaskHandler}: the workers of a queue
  - C{recalls}: tasks that wait behind another while somebody has nothing to do
  - C{employment}: one worker, from being hired to being let go
  - C{workload}: how much it has to do, and how much more it takes
  - C{updates}: which updates it has run, and has to run before its tasks
  - C{employer}: what that needs of whoever hired it, and who is hired
  - C{renewal}: workers that are replaced when they are worn out
  - C{restarts}: how often, and after which pause, a worker may begin anew
  - C{queues}: where calls wait in order
  - C{heaps}: those of one series, and how many are how urgent
  - C{priority}: a heap that can be waited at
  - C{load}: telling others how many wait
  - C{clusterworker}: C{ClusterWorker}: a worker that runs calls on a cluster of dask
  - C{clusterfigures}: what it knows of the cluster
  - C{offers}: the series that the nodes of a cluster offer
  - C{clusterlife}: what tasks become at a cluster, while one connection lasts
  - C{clustererrand}: one of them on its way there and back
  - C{clusterpacker}: how it is pickled
  - C{clusterconnection}: one connection, as the reactor's thread sees it
  - C{clusterplaces}: where a cluster is
  - C{clusterchild}: what a process of an embedded one does when it begins
  - C{clusterlink}: the same in the thread where it lives
  - C{background}: what an asyncio loop does meanwhile
  - C{clustersubmit}: how calls are handed to dask
  - C{clusterbundles}: which of them go together
  - C{clusterwatch}: how the cluster grows and shrinks
  - C{clusterheld}: the calls that it has, and who is told of them
  - C{clusternodes}: requests to the nodes
  - C{clusterclerk}: what a scheduler does for a client
  - C{clusternode}: what a node does for one
  - C{clusterturn}: a bundle of calls while a thread there makes them
  - C{clusterupdate}: an update there, and what it came to
  - C{memoryworker}: C{MemoryWorker}: a worker that does as a test says
  - C{memoryside}: where it makes calls
  - C{processworker}: C{ProcessWorker}: a worker with a process of its own
  - C{figures}: what a worker tells of its processes
  - C{deaths}: how its processes died, and how large they were
  - C{lifeline}: what of a worker is up to the life of its process
  - C{life}: what tasks become in one worker process
  - C{remotes}: the iterators that are open in a worker process
  - C{nodelines}: what iterators on a node are asked through
  - C{asyncworker}: C{AsyncWorker}: a worker in the reactor's thread
  - C{local}: what workers without a process have in common
  - C{lifetime}: what has to be shut down, at the latest with the reactor
  - C{tally}: what is counted of calls while they come and go
  - C{statistics}: what a queue tells of itself at one moment
  - C{assignments}: where tasks and workers meet
  - C{task}: a call on its way, and the priority that it gets
  - C{channel}: one life of a worker process, and what is asked of it
  - C{requests}: what that is, and in which order
  - C{replies}: what the far side answers, as this side understands it
  - C{starting}: how the processes of one worker are started
  - C{children}: starting, watching and ending processes
  - C{reports}: what worker processes tell beside their answers
  - C{pollers}: how the near end of a pipe learns of an answer
  - C{reactorpoller}: how it does from the reactor itself
  - C{asking}: what is asked and not answered yet
  - C{ends}: the near end of a pipe, which nobody waits for
  - C{pace}: how often a thread looks
  - C{asyncthread}: an asyncio loop in a thread beside the reactor
  - C{looper}: calls that run one by one in one thread
  - C{openings}: iterators that are open elsewhere
  - C{info}: information about calls, and what went wrong in them
  - C{names}: objects as a pickle or a name
  - C{hashing}: a number for any objects
  - C{util}: small things, and the address of others
  - C{iteration}: the address of all that has to do with iterating and waiting
  - C{va}: what ran under two versions of Python
  - C{producers}: between iterators and Twisted's consumers
  - C{deferator}: iterators whose items take their time
  - C{locks}: a lock to take turns by
  - C{trackers}: waiting for Deferreds that others hold
  - C{delays}: waiting for a time to pass, and for events that nobody tells of
  - C{programs}: processes that others have started, and what they print
  - C{awaiting}: Deferreds that the tasks of asyncio can await, too
  - C{deferreds}: waiting for what others wait for
  - C{stops}: what is to be done when the reactor is about to stop
  - C{reactors}: which reactor
  - C{contexts}: what a call brings along of the context in which it is made
  - C{guard}: whether worker processes can import the main module
  - C{checks}: whether what a call was given is what it takes
  - C{picklable}: why a call could not be pickled
  - C{machine}: what the operating system tells of cores and memory
  - C{clusteraddress}: which schedulers are spoken to
  - C{version}: which of ours this is
  - C{about}: texts about calls
  - C{interfaces}: what a worker, and what a poller, has to provide
  - C{errors}: everything that goes wrong
  - C{readings}: the iterators that are open on a node
  - C{interrupts}: calls that are abandoned in the middle
  - C{entry}: where a worker process begins
  - C{processbase}: data that objects share within a process
  - C{reactorside}: its loop, beside a reactor
  - C{reporting}: its log records, and the stack of a fault
  - C{universe}: its loop, and the iterators that it keeps
  - C{runner}: one call, and what it came to
  - C{carried}: a callable together with what it needs of its caller's context
  - C{batches}: items on their way to their reader, as many at a time as come quickly
  - C{couriers}: what sends those that are there when the next one is slow
  - C{tickets}: how calls that wait in the pipe are taken back
  - C{messages}: what crosses the pipe
  - C{picklers}: what it is pickled by
  - C{sharing}: how arrays cross in shared memory
  - C{arrivals}: what has arrived of what the other side shares
  - C{slots}: what this side shares, in memory that is used again and again
  - C{memoryfiles}: memory that is a file without a name
  - C{contents}: what is left out of the pickle, because it is large
  - C{streams}: how it is written and read
  - C{vigil}: staying awake for what comes soon
  - C{packets}: how it is put into a stream, and taken out of it
  - C{rooms}: where what is long is read to
  - C{framing}: how messages are told apart in a stream

The last twenty-two are all that a worker process imports (C{processbase},
C{reactorside}, and C{sharing} with the three below it only if it needs them): standard
library only, so no public name is imported here before it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asynqueue.asyncworker import AsyncWorker
    from asynqueue.base import TaskQueue
    from asynqueue.deferator import Deferator, Prefetcherator
    from asynqueue.delays import deferToDelay
    from asynqueue.errors import (
        QueueFull,
        QueueRunError,
        TimeoutError,
        WorkerDied,
        WorkerError,
    )
    from asynqueue.info import Info, showResult
    from asynqueue.interfaces import IPoller, IWorker
    from asynqueue.locks import DeferredLock
    from asynqueue.looper import ThreadLooper
    from asynqueue.null import NullQueue
    from asynqueue.process import ProcessQueue, ProcessWorker
    from asynqueue.processbase import ProcessBase
    from asynqueue.producers import (
        IterationProducer,
        ListConsumer,
        iteratorToProducer,
    )
    from asynqueue.threads import ThreadQueue, ThreadWorker, deferToThread
    from asynqueue.trackers import DeferredTracker
    from asynqueue.version import __version__ as __version__

__all__ = [
    "AsyncWorker",
    "Deferator",
    "DeferredLock",
    "DeferredTracker",
    "IPoller",
    "IWorker",
    "Info",
    "IterationProducer",
    "ListConsumer",
    "NullQueue",
    "Prefetcherator",
    "ProcessBase",
    "ProcessQueue",
    "ProcessWorker",
    "QueueFull",
    "QueueRunError",
    "TaskQueue",
    "ThreadLooper",
    "ThreadQueue",
    "ThreadWorker",
    "TimeoutError",
    "WorkerDied",
    "WorkerError",
    "deferToDelay",
    "deferToThread",
    "iteratorToProducer",
    "showResult",
]

_HOMES = {
    "AsyncWorker": "asyncworker",
    "Deferator": "deferator",
    "DeferredLock": "locks",
    "DeferredTracker": "trackers",
    "IPoller": "interfaces",
    "IWorker": "interfaces",
    "Info": "info",
    "IterationProducer": "producers",
    "ListConsumer": "producers",
    "NullQueue": "null",
    "Prefetcherator": "deferator",
    "ProcessBase": "processbase",
    "ProcessQueue": "process",
    "ProcessWorker": "process",
    "QueueFull": "errors",
    "QueueRunError": "errors",
    "TaskQueue": "base",
    "ThreadLooper": "looper",
    "ThreadQueue": "threads",
    "ThreadWorker": "threads",
    "TimeoutError": "errors",
    "WorkerDied": "errors",
    "WorkerError": "errors",
    "__version__": "version",
    "deferToDelay": "delays",
    "deferToThread": "threads",
    "iteratorToProducer": "producers",
    "showResult": "info",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
