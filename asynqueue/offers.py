"""
The series that a cluster's nodes offer to run calls of.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any


class Offers:
    """
    I know which series are on offer. One that no node offers any more is, for a while,
    as if it were: a node may be beginning anew.
    """

    def __init__(
        self, patience: float, withdrawn: Callable[[str], Any], reactor: Any
    ) -> None:
        """
        @param patience: How long that while is, in seconds.
        @param withdrawn: Is called with each series that is not on offer any more.
        """
        self._patience = patience
        self._withdrawn = withdrawn
        self._reactor = reactor
        self._last: dict[str, Any] = {}

    @property
    def current(self) -> list[str]:
        """
        A list of those that are, sorted.
        """
        return sorted(self._last)

    def update(self, offered: Iterable[str]) -> None:
        """
        Is told which series the nodes offer.
        """
        present = set(offered)
        for series in present:
            leaving = self._last.get(series)
            if leaving is not None:
                leaving.cancel()
            self._last[series] = None
        for series, leaving in self._last.items():
            if series not in present and leaving is None:
                self._last[series] = self._reactor.callLater(
                    self._patience, self._leave, series
                )

    def clear(self) -> None:
        """
        Forgets all.
        """
        last, self._last = self._last, {}
        for leaving in last.values():
            if leaving is not None:
                leaving.cancel()

    def _leave(self, series: str) -> None:
        del self._last[series]
        self._withdrawn(series)


def aboutOffers(series: Hashable, where: str, offered: Sequence[Hashable]) -> str:
    """
    @return: Why a call of a series cannot be made, and what can be done.
    """
    names = ", ".join(map(repr, offered)) or "no series at all"
    return (
        f"No node of {where} offers the series {series!r}. On offer are: {names}. A "
        f'node that is started with --resources "{series}=1" offers it, for one call '
        "at a time"
    )
