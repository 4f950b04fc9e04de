"""
The job of C{asynqueue tune}.
"""

import argparse
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asynqueue.benchmark import Refused, checkFiles, choose, follow, write
from asynqueue.findings import panels, report, text
from asynqueue.grid import LOADS, theChoices
from asynqueue.machine import cores
from asynqueue.pace import checkPace
from asynqueue.pollers import POLLERS
from asynqueue.survey import Survey


@dataclass(frozen=True)
class Extent:
    """
    I am how much is done unless it is said.

    @ivar intervals: The intervals, in seconds.
    @ivar backoffs: The backoffs.
    @ivar rounds: How many rounds.
    @ivar seconds: About how long a trial keeps the workers busy.
    """

    intervals: tuple[float, ...]
    backoffs: tuple[float, ...]
    rounds: int
    seconds: float


FULL = Extent((0.001, 0.01, 0.1), (1.05, 1.10, 1.20), 3, 1.5)
QUICK = Extent((0.001, 0.1), (1.10,), 1, 0.2)


def run(args: argparse.Namespace, onSignals: Callable[[Any], None]) -> int:
    """
    Runs the command.

    @param onSignals: Has a callable called with the exit status when we are to end.
    @return: The exit status.
    @raise Refused: if the arguments cannot be followed.
    """
    survey, about = prepare(args)
    follow(survey.run(), survey.total, onSignals)
    write(args, text(survey, about), report(survey, about), panels(survey))
    return 0


def prepare(args: argparse.Namespace) -> tuple[Survey, dict[str, Any]]:
    """
    @return: What is to be run, and what can be told of it before.
    @raise Refused: if the arguments cannot be followed.
    """
    usual = QUICK if args.quick else FULL
    spans = args.intervals or usual.intervals
    backoffs = args.backoffs or usual.backoffs
    try:
        for span in spans:
            for backoff in backoffs:
                checkPace(span, backoff)
    except ValueError as error:
        raise Refused(str(error)) from error
    checkFiles(args)
    choices = theChoices(
        choose("poller", args.pollers, dict.fromkeys(POLLERS, True)), spans, backoffs
    )
    loads = [
        LOADS[name] for name in choose("load", args.loads, dict.fromkeys(LOADS, True))
    ]
    workers = args.workers or cores()
    rounds = args.rounds or usual.rounds
    seconds = args.seconds or usual.seconds
    about = {
        "workers": workers,
        "rounds": rounds,
        "seconds": seconds,
        "quick": args.quick,
        "cores": cores(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "platform": platform.platform(),
    }
    return Survey(choices, loads, workers, rounds, seconds), about
