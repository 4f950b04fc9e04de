"""
The job of C{asynqueue bench}.

I import nothing that only some of those who ask for it have: charts need
C{matplotlib}, the progress bar C{tqdm}.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asynqueue.charts import Bars, Curves, NoCharts, draw, requireCharts
from asynqueue.children import getContext
from asynqueue.lines import OUT, encode, makeBar, writeAll
from asynqueue.loads import Load, theLoads
from asynqueue.machine import cores
from asynqueue.showing import boundsTable, introduction, panels, report, table
from asynqueue.tables import align
from asynqueue.tournament import TITLES, USUAL, Tournament


class Refused(Exception):
    """
    There is something wrong with what was asked for. My text says what.
    """


def choose(kind: str, wanted: Sequence[str] | None, known: Mapping[str, bool]) -> Any:
    """
    @param wanted: Names, C{None} for the usual ones.
    @param known: For each name whether it is a usual one.
    @return: A list of what has these names, in the order in which it is known.
    @raise Refused: if one is unknown.
    """
    for name in wanted or ():
        if name not in known:
            raise Refused(
                f"no {kind} is called {name!r}. There are: {', '.join(known)}"
            )
    return [
        name
        for name, isUsual in known.items()
        if (isUsual if wanted is None else name in wanted)
    ]


def listing(loads: Mapping[str, Load]) -> str:
    """
    @return: A table of the names that can be chosen.
    """
    rows = [("--loads", "")]
    rows += [(f"  {name}", load.title) for name, load in loads.items()]
    rows += [("--contenders", "")]
    rows += [(f"  {name}", title) for name, title in TITLES.items()]
    return align(rows, 2)


def checkFiles(args: argparse.Namespace) -> None:
    """
    @raise Refused: if what was asked for cannot be drawn, or written where it is to
        be. It would be a pity to learn that after half an hour.
    """
    if args.chart is not None:
        try:
            requireCharts()
        except NoCharts as error:
            raise Refused(str(error)) from error
    for path in (args.json, args.chart):
        if path not in (None, "-") and (
            not os.access(Path(path).parent, os.W_OK) or Path(path).is_dir()
        ):
            raise Refused(f"{path} cannot be written")


def run(args: argparse.Namespace, onSignals: Callable[[Any], None]) -> int:
    """
    Runs the command.

    @param onSignals: Has a callable called with the exit status when we are to end.
    @return: The exit status.
    @raise Refused: if the arguments cannot be followed.
    """
    loads = theLoads(cores())
    if args.list:
        writeAll(OUT, encode(listing(loads)))
        return 0
    tournament, chosen, about = prepare(args, loads)
    follow(tournament.run(), tournament.total, onSignals)
    show(args, tournament, chosen, about)
    return 0


def follow(steps: Iterator[str], total: int, onSignals: Callable[[Any], None]) -> None:
    """
    Goes through steps, with a progress bar if there is a terminal for it.

    @param total: How many there are.
    @param onSignals: As of L{run}.
    """
    bar = makeBar(total)

    def leave(status: int) -> None:
        # The process of the trial that runs ends when I do.
        if bar is not None:
            bar.close()
        os._exit(status)

    onSignals(leave)
    for done, step in enumerate(steps):
        if bar is not None:
            bar.n = done
            bar.set_description_str(step)
    if bar is not None:
        bar.n = bar.total
        bar.close()


def prepare(
    args: argparse.Namespace, loads: Mapping[str, Load]
) -> tuple[Tournament, list[Load], dict[str, Any]]:
    """
    @return: What is to be run, under which loads, and what can be told of both
        before.
    @raise Refused: if the arguments cannot be followed.
    """
    usual = {name: load.isUsual for name, load in loads.items()}
    chosen = [loads[name] for name in choose("load", args.loads, usual)]
    contenders = choose("contender", args.contenders, USUAL)
    try:
        method = getContext(args.start_method).get_start_method()
    except ValueError as error:
        raise Refused(str(error)) from error
    checkFiles(args)
    settings = {"workers": args.workers, "cores": cores(), "quick": args.quick}
    about = {
        **settings,
        "rounds": args.rounds,
        "startMethod": method,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    tournament = Tournament(
        contenders, chosen, args.rounds, method, settings, args.ancestor
    )
    return tournament, chosen, about


def show(
    args: argparse.Namespace,
    tournament: Tournament,
    loads: Sequence[Load],
    about: Mapping[str, Any],
) -> None:
    """
    Writes what came of it, as was asked for.
    """
    results = tournament.results
    text = introduction(tournament, about)
    text += table(results, loads) + "\n" + boundsTable(results, loads)
    told = report(tournament, loads, about)
    write(args, text, told, panels(results, loads))


def write(
    args: argparse.Namespace,
    text: str,
    told: Mapping[str, Any],
    drawn: Sequence[Bars | Curves],
) -> None:
    """
    Writes, as was asked for, a text, the same as JSON, and a chart.

    @param text: The text, whose first line is the title of the chart.
    @param told: What is written as JSON.
    @param drawn: The panels of the chart, which is not drawn if there are none.
    """
    printed = text
    if args.json is not None:
        asJson = json.dumps(told, indent=1) + "\n"
        if args.json == "-":
            printed = asJson
        else:
            Path(args.json).write_text(asJson)
    writeAll(OUT, encode(printed))
    if args.chart is not None and drawn:
        draw(args.chart, text.partition("\n")[0], drawn)
