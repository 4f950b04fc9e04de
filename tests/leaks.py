"""
What makes worker processes larger, in tests. Standard library only.
"""

import os
import time

kept = []


def leak(megabytes):
    """
    Keeps some memory for good.

    @return: The process's ID.
    """
    kept.append(b"x" * (megabytes << 20))
    return os.getpid()


def slowly(n, pause):
    """
    A generator of the process's ID.
    """
    for _ in range(n):
        yield os.getpid()
        time.sleep(pause)
