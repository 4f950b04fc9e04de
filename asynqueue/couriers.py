"""
What sends the items that are there when the next one is slow.

Standard library only: the far side imports me.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from asynqueue.packets import Packet

PATIENCE = 0.002
"""
How long items are held, in seconds; and how often somebody looks whether they have
been. So the first of them is on its way after twice that at most, unless the next keeps
all other threads from running: in Python code they do so for 5 milliseconds.
"""

ENOUGH = 50
"""
How many looks in a row are in vain before the thread ends. It begins anew when
something is held.
"""


class Courier:
    """
    I hold an answer that is still being added to, and send it if that takes long.

    To tell a thread of each answer, and of its end, would take longer than to make
    most of them. So while answers come one after another the thread looks now and
    then; and there is none while none come.
    """

    def __init__(
        self,
        send: Callable[[Packet], Any] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        start: Callable[[Callable[[], Any]], Any] | None = None,
    ) -> None:
        """
        @param send: Sends a packet. If it is C{None}, I send nothing.
        @param clock: Returns the time in seconds.
        @param start: Is called with a callable to be run by a thread. It raises
            C{RuntimeError} if there can be no more threads.
        """
        self._send = send
        self._clock = clock
        self._start = start or _startThread
        self._lock = threading.Lock()
        self._isWatched = send is None
        self._inVain = 0
        self._isEnding = False
        self._held: Callable[[], Packet] | None = None
        self._due = 0.0

    def hold(self, packed: Callable[[], Packet], due: float) -> bool:
        """
        Takes an answer.

        @param packed: Makes a packet of it.
        @param due: When it has to be sent, by my clock.
        @return: C{False} if nobody would send it.
        """
        with self._lock:
            if self._isEnding:
                return False
            if not self._isWatched:
                try:
                    self._start(self._watch)
                except RuntimeError:
                    return False
                self._isWatched, self._inVain = True, 0
            self._held, self._due = packed, due
        return True

    def takeBack(self) -> bool:
        """
        Gives up the answer that I hold.

        @return: C{False} if I have sent it.
        """
        with self._lock:
            packed, self._held = self._held, None
        return packed is not None

    def end(self) -> None:
        """
        Holds nothing more. The thread ends when it looks next.
        """
        with self._lock:
            self._isEnding = True

    def look(self) -> bool:
        """
        Sends what I hold if it is due.

        @return: C{False} if there is no need to look again.
        """
        with self._lock:
            if self._held is None:
                self._inVain += 1
                self._isWatched = self._inVain < ENOUGH and not self._isEnding
                return self._isWatched
            self._inVain = 0
            if self._send is not None and self._clock() >= self._due:
                packet = self._held()
                self._held = None
                # If nobody reads it any more, whoever reads requests will find out.
                with contextlib.suppress(OSError):
                    self._send(packet)
            return True

    def _watch(self) -> None:
        while self.look():
            time.sleep(PATIENCE)


def _startThread(f: Callable[[], Any]) -> None:
    threading.Thread(target=f, name="asynqueue courier", daemon=True).start()
