"""
The job of C{asynqueue bench}.

I import nothing that only some of those who ask for it have: charts need
C{matplotlib}, the progress bar C{tqdm}.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asynqueue.charts import NoCharts, draw, requireCharts
from asynqueue.children import getContext
from asynqueue.lines import OUT, encode, makeBar, writeAll
from asynqueue.loads import Load, theLoads
from asynqueue.machine import cores
from asynqueue.showing import boundsTable, introduction, panels, report, table
from asynqueue.tables import align
from asynqueue.tournament import TITLES, Tournament


class Refused(Exception):
    """
    There is something wrong with what was asked for. My text says what.
    """


def choose(kind: str, wanted: Sequence[str] | None, known: Mapping[str, Any]) -> Any:
    """
    @param wanted: Names, C{None} for all.
    @return: A list of what has these names, in the order in which it is known.
    @raise Refused: if one is unknown.
    """
    for name in wanted or ():
        if name not in known:
            raise Refused(
                f"no {kind} is called {name!r}. There are: {', '.join(known)}"
            )
    return [name for name in known if wanted is None or name in wanted]


def listing(loads: Mapping[str, Load]) -> str:
    """
    @return: A table of the names that can be chosen.
    """
    rows = [("--loads", "")]
    rows += [(f"  {name}", load.title) for name, load in loads.items()]
    rows += [("--contenders", "")]
    rows += [(f"  {name}", title) for name, title in TITLES.items()]
    return align(rows, 2)


def checkFile(path: str) -> None:
    """
    @raise Refused: if there cannot be such a file. It would be a pity to learn that
        after half an hour.
    """
    place = Path(path).parent
    if not os.access(place, os.W_OK) or Path(path).is_dir():
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
    bar = makeBar(tournament.total)

    def leave(status: int) -> None:
        # The process of the trial that runs ends when I do.
        if bar is not None:
            bar.close()
        os._exit(status)

    onSignals(leave)
    for step in tournament.run():
        if bar is not None:
            bar.set_description_str(step)
            bar.update()
    if bar is not None:
        bar.close()
    show(args, tournament, chosen, about)
    return 0


def prepare(
    args: argparse.Namespace, loads: Mapping[str, Load]
) -> tuple[Tournament, list[Load], dict[str, Any]]:
    """
    @return: What is to be run, under which loads, and what can be told of both
        before.
    @raise Refused: if the arguments cannot be followed.
    """
    chosen = [loads[name] for name in choose("load", args.loads, loads)]
    contenders = choose("contender", args.contenders, TITLES)
    try:
        method = getContext(args.start_method).get_start_method()
        if args.chart is not None:
            requireCharts()
    except (ValueError, NoCharts) as error:
        raise Refused(str(error)) from error
    for path in (args.json, args.chart):
        if path not in (None, "-"):
            checkFile(path)
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
    if args.json is not None:
        told = json.dumps(report(tournament, loads, about), indent=1) + "\n"
        if args.json == "-":
            text = told
        else:
            Path(args.json).write_text(told)
    if args.json != "-":
        text += table(results, loads) + "\n" + boundsTable(results, loads)
    writeAll(OUT, encode(text))
    drawn = panels(results, loads)
    if args.chart is not None and drawn:
        draw(args.chart, text.partition("\n")[0], drawn)
