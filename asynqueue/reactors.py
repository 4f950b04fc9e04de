"""
Which reactor.
"""

import os
from typing import Any

from twisted.internet.interfaces import IReactorFDSet


def theReactor(reactor: Any = None) -> Any:
    """
    @return: The reactor given, or else the one that is installed by now.
    """
    if reactor is not None:
        return reactor
    from twisted.internet import reactor as installed

    return installed


def canWatchPipes(reactor: Any) -> bool:
    """
    @return: C{True} if a reactor can watch the descriptors of pipes.
    """
    # On Windows it watches nothing but sockets of the network.
    return os.name == "posix" and IReactorFDSet.providedBy(reactor)
