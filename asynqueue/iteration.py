"""
The address of all that has to do with iterating and waiting.
"""

from asynqueue.deferator import Deferator, Prefetcherator
from asynqueue.delays import Delay, deferToDelay
from asynqueue.producers import IterationProducer, ListConsumer, iteratorToProducer

__all__ = [
    "Deferator",
    "Delay",
    "IterationProducer",
    "ListConsumer",
    "Prefetcherator",
    "deferToDelay",
    "isIterator",
    "iteratorToProducer",
]

isIterator = Deferator.isIterator
