"""
Objects in a form that another interpreter can make out: a pickle or a name.
"""

import pickle

from twisted.python.reflect import fullyQualifiedName, namedObject

__all__ = ["Converter"]


class Converter:
    """
    I convert objects, trying each time whether the way back works as well. What
    cannot be converted comes out as C{None}.
    """

    def strToFQN(self, x: str) -> str | None:
        """
        @param x: A dotted name.
        @return: The fully qualified name of what can be imported by it.
        """
        try:
            name: str = fullyQualifiedName(namedObject(x))
        except Exception:
            return None
        return name

    def objToPickle(self, x: object) -> bytes | None:
        """
        @return: The object's pickle.
        """
        try:
            pickled = pickle.dumps(x, pickle.HIGHEST_PROTOCOL)
            pickle.loads(pickled)
        except Exception:
            return None
        return pickled

    def objToFQN(self, x: object) -> str | None:
        """
        @return: The fully qualified name that the object, and no other, can be
            imported by.
        """
        try:
            name: str = fullyQualifiedName(x)
            # Not "is": a method of a class is made anew each time it is looked up.
            return name if namedObject(name) == x else None
        except Exception:
            return None

    def processObject(self, x: object) -> "bytes | str | None":
        """
        @return: The object's pickle, or else its fully qualified name.
        """
        pickled = self.objToPickle(x)
        return self.objToFQN(x) if pickled is None else pickled
