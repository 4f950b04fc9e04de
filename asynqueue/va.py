"""
What AsynQueue's users wrote so as to run under Python 2 as well.
"""

import io
import pickle
from collections.abc import Iterator
from typing import Any


class VA:
    """
    I have one name for what two versions of Python call differently. There is one
    version now.
    """

    py3 = True
    buffer = memoryview
    long = int
    unicode = str
    pickle = pickle
    StringIO = io.StringIO

    def iteritems(self, dictionary: dict[Any, Any]) -> "Iterator[tuple[Any, Any]]":
        """
        @return: An iterator of the pairs of a dict.
        """
        return iter(dictionary.items())

    def keys(self, dictionary: dict[Any, Any]) -> list[Any]:
        """
        @return: A list of the keys of a dict.
        """
        return list(dictionary)


va = VA()
