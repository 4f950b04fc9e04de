"""
What the operating system tells of the machine and its processes.
"""

import os

import psutil


def cores() -> int:
    """
    @return: The number of CPU cores available to this process: those that its
        affinity allows, where the platform knows of such a thing.
    """
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def residentSet(pid: int) -> int | None:
    """
    @param pid: The ID of a process.
    @return: The size of its resident set in kilobytes (1024 bytes), or C{None}
        if there is no such process.
    """
    try:
        return int(psutil.Process(pid).memory_info().rss // 1024)
    except psutil.Error:
        return None
