"""
What fresh processes are asked for in the tests.
"""

import os
import signal
import subprocess
import sys
import time


def add(a, b):
    """
    @return: The sum, after a text on standard output that is no part of it.
    """
    print("adding")
    return a + b


def fail():
    """
    Raises an exception.
    """
    raise ValueError("out of order")


def leave(status):
    """
    Ends the process with an exit status.
    """
    os._exit(status)


def killSelf():
    """
    Ends the process by SIGKILL.
    """
    os.kill(os.getpid(), signal.SIGKILL)


def startAnother():
    """
    @return: The ID of this process, and of one that it has left running.
    """
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    return os.getpid(), subprocess.Popen(command).pid


def linger(path):
    """
    Writes the ID of this process, and of another that it has started, into a file,
    and never ends.
    """
    pids = startAnother()
    with open(f"{path}.new", "w") as file:
        print(*pids, file=file)
    os.rename(f"{path}.new", path)
    time.sleep(600)
