"""
What is passed to worker processes to see what they share. Standard library only, so
that they have no more to import.
"""

import os

from asynqueue.processbase import ProcessBase


class Tally(ProcessBase):
    """
    Counts in the process that it is used in.

    @ivar step: By how much; it is passed along.
    """

    def __init__(self, step=1):
        self.step = step

    def begin(self, total):
        self.data["total"] = total

    def count(self):
        self.data["total"] += self.step
        return self.total

    def look(self):
        return self.pid, os.getpid(), dict(self.data)

    def missing(self):
        return self.nothing


class Other(ProcessBase):
    """
    Has nothing of its own.
    """

    def look(self):
        return self.total
