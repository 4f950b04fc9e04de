"""
What C{asynqueue map} is given to call in tests.
"""

import json
import os
import subprocess
import sys
import time

PI = 3.14


def forever(x):
    """
    Says what process it is in and which one it has started, and does not end.
    """
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    # All at once, because others write there too.
    os.write(1, json.dumps([os.getpid(), child.pid]).encode() + b"\n")
    time.sleep(60)


def beat(x):
    """
    Says when it begins and ends, and ends only if it is interrupted.
    """
    os.write(1, f"{x} begins\n".encode())
    try:
        while True:
            time.sleep(0.01)
    finally:
        os.write(1, f"{x} ends\n".encode())


def fail(text):
    raise ValueError(f"failed on {text}")


def failThree(x):
    if x == "3":
        fail(x)
    return x


def patient(x):
    """
    Ends with C{"first"} only when C{"third"} has begun. So if there are two of us,
    C{"second"} has been answered by then.
    """
    path = f".{os.getppid()}-third"
    if x == "third":
        open(path, "w").close()
    elif x == "first":
        deadline = time.monotonic() + 30
        while not os.path.exists(path) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.remove(path)
    return x


def count(n):
    yield from range(int(n))


def long(x):
    """
    @return: More than any pipe holds.
    """
    return x * 10**7


def die(x):
    os._exit(3)


def loaded(x):
    """
    @return: What of Twisted and its like this process has imported.
    """
    return sorted({"twisted", "zope", "psutil"} & set(sys.modules))


class Nest:
    @staticmethod
    def double(x):
        return x + x


nameless = [lambda x: x][0]
