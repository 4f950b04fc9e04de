"""
Which reactor.
"""

from typing import Any


def theReactor(reactor: Any = None) -> Any:
    """
    @return: The reactor given, or else the one that is installed by now.
    """
    if reactor is not None:
        return reactor
    from twisted.internet import reactor as installed

    return installed
