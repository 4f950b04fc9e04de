"""
How what came of C{asynqueue tune} is shown: as a text, as panels of a chart, and as
JSON.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from asynqueue.advice import Comparison, advise, inWords
from asynqueue.charts import Bar, Bars
from asynqueue.grid import DEFAULTS, Naps
from asynqueue.survey import PIPE, Survey
from asynqueue.tables import align


@dataclass(frozen=True)
class Column:
    """
    I am a column of the table.

    @ivar measure: The name of what was measured.
    @ivar title: What that is.
    @ivar unit: What it is measured in.
    @ivar form: How a figure looks.
    @ivar isDrawn: C{True} to have a panel in the chart too.
    """

    measure: str
    title: str
    unit: str
    form: str
    isDrawn: bool = True


COLUMNS = (
    Column("efficiency", "efficiency", "%", ".2f"),
    Column("overhead", "lost per call", "ms", ".2f"),
    Column("cpu", "CPU per call", "ms", ".2f"),
    Column("wakes", "wakes", "per call", ".0f", isDrawn=False),
    Column("looks", "looks", "per call", ".0f", isDrawn=False),
)

LEGEND = """\
* is the default. Figures are medians of the rounds, ± half of how far these lie apart.
efficiency: how much of their time the workers worked
lost per call: the time that it took here, less that in its process
CPU per call: time that the threads of this side ran
wakes: how often they went to sleep and were woken
looks: those of the thread that waits, computed from interval and backoff
"""


def introduction(about: Mapping[str, Any]) -> str:
    """
    @param about: As of L{report}.
    @return: What was measured, and where.
    """
    lines = [
        f"workers: {about['workers']}, rounds: {about['rounds']}, each trial: "
        f"{about['seconds']:g} s",
        f"Python {about['python']}, {about['system']}, cores: {about['cores']}",
    ]
    if about["quick"]:
        lines.append("quick: the figures mean little")
    return "".join(f"{line}\n" for line in lines)


def names(survey: Survey) -> list[str]:
    """
    @return: What was measured: the bare pipe, and the titles of the settings.
    """
    return [PIPE, *(choice.title for choice in survey.choices)]


def table(survey: Survey) -> str:
    """
    @return: A table for each load, with a line for each setting, or for why it has no
        figures.
    """
    rows = []
    for load in survey.loads:
        rows.append(("", *("" for _ in COLUMNS)))
        rows.append((load.title, *(column.title for column in COLUMNS)))
        rows.append(("", *(column.unit for column in COLUMNS)))
        for name in names(survey):
            mark = " *" if name == DEFAULTS.title else ""
            cells = [_cell(survey, load, column, name) for column in COLUMNS]
            rows.append((f"  {name}{mark}", *cells))
    troubles = [
        f"{name}, {load.title}: {trouble}\n"
        for load in survey.loads
        for name in names(survey)
        if (trouble := survey.results.trouble(load.name, name))
    ]
    return align(rows, 1) + "".join(troubles)


def _cell(survey: Survey, load: Naps, column: Column, name: str) -> str:
    values = survey.results.values(load.name, column.measure, name)
    if not values:
        return "-"
    figure = format(median(values), column.form)
    if not column.isDrawn or len(values) == 1:
        return figure
    return f"{figure} ±{format((max(values) - min(values)) / 2, column.form)}"


def text(survey: Survey, about: Mapping[str, Any]) -> str:
    """
    @param about: As of L{report}.
    @return: All of it.
    """
    comparison = Comparison(survey.results, survey.choices, survey.loads)
    advice = "".join(f"{line}\n" for line in inWords(comparison))
    return f"{introduction(about)}{table(survey)}\n{LEGEND}\n{advice}"


def panels(survey: Survey) -> list[Bars]:
    """
    @return: A panel for each measure under each load.
    """
    found = []
    for load in survey.loads:
        for column in COLUMNS:
            bars = []
            for name in names(survey):
                values = survey.results.values(load.name, column.measure, name)
                if values:
                    figures = median(values), min(values), max(values)
                    bars.append(Bar(name, *figures, name == DEFAULTS.title))
            if bars and column.isDrawn:
                title = f"{load.title}:\n{column.title}"
                mark = survey.results.median(load.name, column.measure, PIPE)
                found.append(Bars(title, column.unit, bars, mark))
    return found


def report(survey: Survey, about: Mapping[str, Any]) -> dict[str, Any]:
    """
    @param about: What else is to be told: of the machine, and what was asked for.
    @return: All of it, as JSON has forms for it.
    """
    comparison = Comparison(survey.results, survey.choices, survey.loads)
    advice = advise(comparison)
    return {
        **about,
        "loads": {load.name: load.title for load in survey.loads},
        "settings": {choice.title: asdict(choice) for choice in survey.choices},
        "advice": None if advice is None else asdict(advice),
        "samples": [
            {
                "round": each.round,
                "load": each.load,
                "setting": each.contender,
                "measures": each.measures,
                "failed": each.failed,
            }
            for each in survey.results.samples
        ],
    }
