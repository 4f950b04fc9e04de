"""
The address of every worker.
"""

from asynqueue.asyncworker import AsyncWorker
from asynqueue.interfaces import IWorker
from asynqueue.processworker import ProcessWorker
from asynqueue.threads import ThreadWorker

__all__ = ["AsyncWorker", "IWorker", "ProcessWorker", "ThreadWorker"]
