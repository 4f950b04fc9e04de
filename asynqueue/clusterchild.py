"""
What a process of an embedded cluster does when it begins: dask imports me there.

Standard library only.
"""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """
    Is called by dask in the main thread, and leaves Ctrl-C, which a terminal tells all
    of a program's processes, to the one that has the cluster: that ends this one.

    @param worker: The dask worker.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
