"""
A soak: for minutes or hours, does all that can be done with a queue, and to its
worker processes, at random and at the same time, and checks what comes of it::

    python -m tests.soak --minutes 60

It prints what it has injected, and what was lost, wrong or left behind, which has to
be nothing; otherwise the exit status is 1. Ctrl-C ends it early, with the same
report. With the same seed it makes the same choices; what meets what depends on the
machine. ::

    python -m tests.soak --leaks

does instead a fixed number of calls, iterators and respawns.

I import nothing here that has to do with the reactor: worker processes import me.
"""

import argparse
import random
import sys


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="A soak.")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, help="an integer; else a random one")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument(
        "--leaks",
        action="store_true",
        help="100,000 calls, 10,000 iterators and 1,000 respawns",
    )
    parser.add_argument("--prefetch", type=int, default=0)
    parser.add_argument("--poller", default="thread")
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed

    from tests.soaker import run

    figures = (100_000, 10_000, 1_000) if options.leaks else None
    return run(
        seed,
        options.workers,
        options.minutes,
        figures,
        prefetch=options.prefetch,
        poller=options.poller,
    )


if __name__ == "__main__":
    sys.exit(main())
