"""
What worker processes do that have calls waiting in their pipes. Standard library only.
"""

import os
import signal
import time


def leaveMark(path, n):
    """
    Adds a number to a file, whole.

    @return: The number.
    """
    with open(path, "ab", buffering=0) as file:
        file.write(b"%d\n" % n)
    return n


def waitFor(path):
    """
    Returns when there is a file, or the parent has lost patience.
    """
    while not os.path.exists(path):
        time.sleep(0.001)


def freeze():
    """
    Stops this process, in the middle of a call.
    """
    os.kill(os.getpid(), signal.SIGSTOP)
