"""
Where the ancestor's users import from.
"""

from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

HOMES = {
    "AsyncWorker": "asyncworker",
    "Assignment": "assignments",
    "AssignmentFactory": "assignments",
    "CallRunner": "runner",
    "Consumerator": "bridges",
    "Converter": "names",
    "DeferredLock": "locks",
    "DeferredTracker": "trackers",
    "Deferator": "deferator",
    "Delay": "delays",
    "Filerator": "bridges",
    "IWorker": "interfaces",
    "Info": "info",
    "InfoHolder": "info",
    "IterationGetter": "getter",
    "IterationProducer": "producers",
    "ListConsumer": "producers",
    "LoadInfoProducer": "load",
    "NullQueue": "null",
    "OrderedItemProducer": "ordered",
    "PoolUser": "threadpool",
    "Prefetcherator": "deferator",
    "Priority": "priority",
    "ProcessBase": "processbase",
    "ProcessProtocol": "programs",
    "ProcessQueue": "process",
    "ProcessUniverse": "universe",
    "ProcessWorker": "processworker",
    "Queue": "queues",
    "Task": "task",
    "TaskFactory": "task",
    "TaskHandler": "workforce",
    "TaskQueue": "base",
    "TestStuff": "util",
    "ThreadLooper": "looper",
    "ThreadQueue": "threads",
    "ThreadWorker": "threads",
    "VA": "va",
    "callAfterDeferred": "deferreds",
    "deferToDelay": "delays",
    "deferToThread": "threads",
    "hashIt": "hashing",
    "isIterator": "iteration",
    "iteratorToProducer": "producers",
    "killProcess": "programs",
    "o2p": "util",
    "p2o": "util",
    "showResult": "info",
    "testFunction": "util",
    "va": "va",
    "whichThread": "info",
    **dict.fromkeys(
        [
            "ImplementationError",
            "InvariantError",
            "NotReadyError",
            "ProcessError",
            "QueueRunError",
            "ThreadError",
            "TimeoutError",
            "WorkerError",
        ],
        "errors",
    ),
}
"""
The module that each name is defined in.
"""

ADDRESSES = {
    "": """
        AsyncWorker DeferredLock DeferredTracker Info ProcessBase ProcessQueue
        ProcessWorker TaskQueue ThreadQueue ThreadWorker deferToDelay deferToThread
        showResult
    """,
    "base": "LoadInfoProducer Priority Queue TaskQueue",
    "errors": """
        ImplementationError InvariantError NotReadyError ProcessError QueueRunError
        ThreadError TimeoutError WorkerError
    """,
    "info": "Converter Info InfoHolder hashIt showResult whichThread",
    "interfaces": "IWorker",
    "iteration": """
        Deferator Delay IterationProducer ListConsumer Prefetcherator deferToDelay
        isIterator iteratorToProducer
    """,
    "null": "NullQueue",
    "process": "ProcessBase ProcessQueue ProcessUniverse ProcessWorker",
    "tasks": "Assignment AssignmentFactory Task TaskFactory TaskHandler",
    "threads": """
        Consumerator Filerator IterationGetter OrderedItemProducer PoolUser
        ThreadLooper ThreadQueue ThreadWorker deferToThread
    """,
    "util": """
        CallRunner DeferredLock DeferredTracker ProcessProtocol TestStuff
        callAfterDeferred killProcess o2p p2o testFunction
    """,
    "va": "VA va",
    "workers": "AsyncWorker IWorker ProcessWorker ThreadWorker",
}
"""
The names that AsynQueue 0.9.9 has in each module that its users import from, the
package itself under an empty name. Those of C{wire} and C{misc} are not here.
"""


class AddressesTests(SynchronousTestCase):
    def test_same(self):
        """Each address leads to the very object that its home defines."""
        for address, names in ADDRESSES.items():
            module = import_module(f"asynqueue.{address}".rstrip("."))
            for name in names.split():
                home = import_module(f"asynqueue.{HOMES[name]}")
                self.assertIs(getattr(module, name), getattr(home, name), name)

    def test_defined(self):
        """A class or function has its home in the module that defines it."""
        for name, home in HOMES.items():
            module = getattr(import_module(f"asynqueue.{home}"), name).__module__
            if name not in ("isIterator", "va"):
                self.assertEqual(module, f"asynqueue.{home}", name)

    def test_public(self):
        """What is imported for others to find is declared, so mypy finds it."""
        for address, names in ADDRESSES.items():
            module = import_module(f"asynqueue.{address}".rstrip("."))
            for name in names.split():
                if HOMES[name] != address:
                    self.assertIn(name, module.__all__, address)
