"""
How often a thread looks whether it still waits for anything.
"""

from collections.abc import Iterator

LONGEST = 1.0
"""
The longest interval between two looks, in seconds. It delays no answer; it
bounds how long a thread can take to notice that it waits in vain where it
cannot be woken.
"""


def intervals(interval: float, backoff: float) -> Iterator[float]:
    """
    How long to wait before each next look, in seconds: I{interval} first, and
    then I{backoff} times as long as before, up to L{LONGEST}.

    After I{n} looks C{interval * (backoff**n - 1) / (backoff - 1)} seconds have
    passed, so the next wait is C{interval + (backoff - 1) * passed} until then.
    """
    while True:
        yield interval
        interval = min(interval * backoff, LONGEST)


def checkPace(interval: float, backoff: float) -> None:
    """
    @raise ValueError: if no polling can go on at such a pace.
    """
    if not 0 < interval <= LONGEST:
        raise ValueError(
            f"interval is in seconds, above 0 and at most {LONGEST}, not {interval!r}"
        )
    if not 1.0 <= backoff <= 1.3:
        raise ValueError(f"backoff has to be from 1.0 to 1.3, not {backoff!r}")
