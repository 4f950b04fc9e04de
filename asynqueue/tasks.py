"""
The address of all that has to do with tasks.
"""

from asynqueue.assignments import Assignment, AssignmentFactory
from asynqueue.task import Task, TaskFactory
from asynqueue.workforce import TaskHandler

__all__ = [
    "Assignment",
    "AssignmentFactory",
    "Task",
    "TaskFactory",
    "TaskHandler",
]
