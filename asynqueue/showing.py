"""
How the results of C{asynqueue bench} are shown: as a text, as panels of a chart, and as
JSON.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from asynqueue.bounds import judge
from asynqueue.charts import Bar, Bars, Curves
from asynqueue.loads import Load, Measure
from asynqueue.results import Results
from asynqueue.tables import align, figure
from asynqueue.tournament import TITLES, Tournament
from asynqueue.trials import FLOOR

OURS = ("asynqueue", "reactor", "prefetch")
"""
The contenders that are asynqueue. The figures of all are divided by those of the
first.
"""


def namesOf(results: Results, load: str) -> list[str]:
    """
    @return: The names of those that were tried under a load, in their usual order.
    """
    return [name for name in TITLES if results.of(load, name)]


def heading(measure: Measure) -> str:
    """
    @return: What a measure is, in which unit, and what is good.
    """
    better = "more" if measure.isBetterIfMore else "less"
    ideal = "" if measure.ideal is None else f", {measure.ideal:g} is ideal"
    return f"{measure.title}, {measure.unit} ({better} is better{ideal})"


def table(results: Results, loads: Sequence[Load]) -> str:
    """
    @return: A table of the medians, how far the samples are apart, and the medians
        by those of asynqueue and of the bare pipe; with a line for each contender
        that has none.
    """
    rows: list[tuple[str, ...] | str] = []
    for load in loads:
        names = namesOf(results, load.name)
        if names:
            rows += ["", load.title]
        for measure in load.measures if names else ():
            pipe = "x pipe" if results.values(load.name, measure.name, FLOOR) else ""
            rows.append(
                (f"  {heading(measure)}", "median", "least", "most", "x ours", pipe)
            )
            for name in names:
                if results.values(load.name, measure.name, name):
                    rows.append(_row(results, load, measure, name))
        for name in names:
            if trouble := results.trouble(load.name, name):
                rows.append(f"  {TITLES[name]}: {trouble}")
    return _mixed(rows)


def _row(results: Results, load: Load, measure: Measure, name: str) -> tuple[str, ...]:
    values = results.values(load.name, measure.name, name)
    ratios = [
        results.ratio(load.name, measure.name, name, other)
        for other in (OURS[0], FLOOR)
    ]
    return (
        f"    {TITLES[name]}",
        figure(results.median(load.name, measure.name, name) or 0.0),
        figure(min(values)),
        figure(max(values)),
        *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
    )


def _mixed(rows: Sequence[tuple[str, ...] | str]) -> str:
    """
    @return: A table of the rows, with those that are texts as they are.
    """
    cells = [row for row in rows if isinstance(row, tuple)]
    lines = iter(align(cells, 1).splitlines() if cells else [])
    return "".join(f"{row if isinstance(row, str) else next(lines)}\n" for row in rows)


def boundsTable(results: Results, loads: Sequence[Load]) -> str:
    """
    @return: A table of the bounds that could be judged, an empty text if none could.
    """
    rows = [("bounds", "of", "measured", "", "bound", "met")]
    byName = {load.name: load for load in loads}
    for bound, measured in judge(results):
        load = byName[bound.load]
        (measure,) = (each for each in load.measures if each.name == bound.measure)
        who = TITLES[bound.contender]
        if bound.rival is None:
            unit = f" {measure.unit}"
        else:
            who, unit = f"{who} / {TITLES[bound.rival]}", ""
        rows.append(
            (
                f"  {load.title}: {measure.title}",
                who,
                f"{measured:.4g}{unit}",
                "at most" if bound.isAtMost else "at least",
                f"{bound.limit:g}{unit}",
                "yes" if bound.isMetBy(measured) else "NO",
            )
        )
    return align(rows, 2) if len(rows) > 1 else ""


def introduction(held: Tournament, about: Mapping[str, Any]) -> str:
    """
    @return: What was measured, where, and who was not.
    """
    versions = [f"{TITLES[name]} {told}" for name, told in held.versions.items()]
    lines = [
        f"workers: {about['workers']}, rounds: {about['rounds']}, start method: "
        f"{about['startMethod']}",
        f"Python {about['python']}, {held.reactor or 'no reactor'}, "
        f"{about['platform']}, cores: {about['cores']}",
        f"measured: {', '.join(versions)}",
        *(f"left out: {TITLES[name]}: {why}" for name, why in held.leftOut.items()),
    ]
    if about["quick"]:
        lines.append("quick: the figures mean little")
    return "".join(f"{line}\n" for line in lines)


def panels(results: Results, loads: Sequence[Load]) -> list[Bars | Curves]:
    """
    @return: A panel for each measure, but one for all numbers of workers.
    """
    found: list[Bars | Curves] = []
    for load in loads:
        names = namesOf(results, load.name)
        if load.isCurve:
            found += _speedUps(results, load, names)
            continue
        for measure in load.measures:
            bars = list(_bars(results, load, measure, names))
            if bars:
                title = f"{load.title}:\n{measure.title}"
                mark = results.median(load.name, measure.name, FLOOR)
                found.append(Bars(title, measure.unit, bars, mark))
    return found


def _bars(
    results: Results, load: Load, measure: Measure, names: Sequence[str]
) -> Iterator[Bar]:
    for name in names:
        value = results.median(load.name, measure.name, name)
        values = results.values(load.name, measure.name, name)
        if value is not None:
            yield Bar(TITLES[name], value, min(values), max(values), name in OURS)


def _speedUps(results: Results, load: Load, names: Sequence[str]) -> Iterator[Curves]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for name in names:
        points = [
            (int(measure.name), value)
            for measure in load.measures
            if (value := results.median(load.name, measure.name, name)) is not None
        ]
        if points:
            curves[TITLES[name]] = [(1, 1.0), *points]
    if curves:
        most = int(load.measures[-1].name)
        curves["ideal"] = [(1, 1.0), (most, most)]
        yield Curves(f"{load.title}:\nspeed-up", "workers", "times", curves, ["ideal"])


def report(
    held: Tournament, loads: Sequence[Load], about: Mapping[str, Any]
) -> dict[str, Any]:
    """
    @param about: What else is to be told: of the machine, and what was asked for.
    @return: All of it, as JSON has forms for it.
    """
    results = held.results
    return {
        **about,
        "reactor": held.reactor,
        "versions": held.versions,
        "leftOut": held.leftOut,
        "loads": {
            load.name: {
                "title": load.title,
                "measures": {each.name: asdict(each) for each in load.measures},
                "medians": {
                    name: {
                        each.name: results.median(load.name, each.name, name)
                        for each in load.measures
                    }
                    for name in namesOf(results, load.name)
                },
            }
            for load in loads
        },
        "bounds": [
            {**asdict(bound), "measured": measured, "met": bound.isMetBy(measured)}
            for bound, measured in judge(results)
        ],
        "samples": [asdict(sample) for sample in results.samples],
    }
