"""
What a shop has to do in the background, for a picture of it.
"""

import os
import signal
import time
from random import Random

_random = Random(os.getpid())


def _work(seconds):
    time.sleep(_random.lognormvariate(0, 0.7) * seconds)


def invoice(order):
    _work(0.02)
    if order % 97 == 0:
        raise ValueError(f"order {order} has no address")


def thumbnail(name, width):
    _work(0.12)


def recommend(customer):
    _work(0.6)


def newsletter(customer):
    _work(0.05)


def importCatalogue(path):
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
