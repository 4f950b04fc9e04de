"""
What a process of C{ampoule} does when it is measured beside ours: it calls functions,
as ours do.

Its pools talk AMP and know commands, not functions. So the call goes pickled into a
command, and the result comes pickled out of it.
"""

import os
import pickle
from typing import Any, ClassVar

from twisted.protocols import amp


class Call(amp.Command):
    """
    I have a function called.
    """

    arguments: ClassVar = [(b"call", amp.String())]
    response: ClassVar = [(b"result", amp.String())]


class Shutdown(amp.Command):
    """
    I am what C{ampoule} ends a process by. Its own cannot be imported without
    importing the reactor.
    """

    responseType = amp.QuitBox


class Callee(amp.AMP):
    """
    I am the far side.
    """

    @Call.responder
    def call(self, call: bytes) -> dict[str, Any]:
        """
        Calls a function.

        @param call: The function and its arguments, pickled.
        """
        f, args = pickle.loads(call)
        return {"result": pickle.dumps(f(*args), pickle.HIGHEST_PROTOCOL)}

    @Shutdown.responder
    def shutdown(self) -> dict[str, Any]:
        """
        Lets the process end: the answer closes the connection.
        """
        return {}

    def connectionLost(self, reason: Any = None) -> None:
        """
        Ends the process.
        """
        os._exit(0)
