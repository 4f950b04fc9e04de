"""
Charts: one file with small panels side by side, drawn by C{matplotlib}.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from asynqueue.tables import figure

COLUMNS = 3
"""
How many panels stand side by side.
"""

SIZE = (5.2, 3.2)
"""
The width and height of a panel, in inches.
"""

FORMATS = (".svg", ".png")
"""
How the name of a chart's file ends.
"""


class NoCharts(Exception):
    """
    What draws charts is not installed. My text says what installs it.
    """


def requireCharts() -> None:
    """
    @raise NoCharts: if L{draw} would.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise NoCharts(
            "charts are drawn by matplotlib, which is not installed here. This "
            "installs it: pip install 'asynqueue[bench]'"
        ) from error


@dataclass(frozen=True)
class Bar:
    """
    I am a bar of L{Bars}.

    @ivar label: What stands beside it.
    @ivar value: How long it is.
    @ivar least: Where the line that shows its spread begins.
    @ivar most: Where that ends.
    @ivar standsOut: C{True} to have another color than most.
    """

    label: str
    value: float
    least: float
    most: float
    standsOut: bool = False


@dataclass(frozen=True)
class Bars:
    """
    I am a panel with a bar for each of some things, from above to below.

    @ivar title: What stands above.
    @ivar unit: What stands at the axis of values.
    @ivar bars: A list of L{Bar}s.
    @ivar mark: A value to draw a line at, C{None} for none.
    """

    title: str
    unit: str
    bars: Sequence[Bar]
    mark: float | None = None

    def draw(self, axes: Any) -> None:
        """
        Draws me into axes of C{matplotlib}.
        """
        values = [bar.value for bar in self.bars]
        spreads = [
            [bar.value - bar.least for bar in self.bars],
            [bar.most - bar.value for bar in self.bars],
        ]
        places = range(len(values))
        colors = ["C0" if bar.standsOut else "C7" for bar in self.bars]
        drawn = axes.barh(places, values, xerr=spreads, color=colors, ecolor="0.3")
        axes.bar_label(drawn, [f" {figure(value)}" for value in values], fontsize=8)
        axes.set_yticks(places, [bar.label for bar in self.bars])
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.locator_params(axis="x", nbins=6)
        if self.mark is not None:
            axes.axvline(self.mark, color="0.3", linestyle="--")
        axes.set_xlabel(self.unit)


@dataclass(frozen=True)
class Curves:
    """
    I am a panel with curves.

    @ivar title: What stands above.
    @ivar across: What stands at the axis from left to right.
    @ivar unit: What stands at the axis upwards.
    @ivar curves: For each label, the points as pairs of numbers, the first of each
        an integer.
    @ivar dashed: The labels of those that are dashed lines without dots.
    """

    title: str
    across: str
    unit: str
    curves: Mapping[str, Sequence[tuple[int, float]]]
    dashed: Sequence[str] = ()

    def draw(self, axes: Any) -> None:
        """
        Draws me into axes of C{matplotlib}.
        """
        for label, points in self.curves.items():
            look = "k--" if label in self.dashed else "o-"
            axes.plot(*zip(*points, strict=True), look, label=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(self.across)
        axes.set_ylabel(self.unit)
        axes.legend(fontsize=7, ncols=2)


def draw(path: str, title: str, panels: Sequence[Bars | Curves]) -> None:
    """
    Draws a chart.

    @param path: The file to write, whose name ends as one of L{FORMATS}.
    @raise NoCharts: if C{matplotlib} is not installed.
    @raise OSError: if the file cannot be written.
    """
    requireCharts()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    # Text stays text: it can be searched, and takes the reader's font.
    with rc_context({"svg.fonttype": "none", "font.size": 9}):
        chart = Figure(
            figsize=(SIZE[0] * columns, SIZE[1] * rows + 0.5), layout="constrained"
        )
        chart.suptitle(title)
        grid = chart.subplots(rows, columns, squeeze=False).flat
        for axes, panel in zip(grid, panels, strict=False):
            axes.set_title(panel.title)
            axes.grid(alpha=0.3)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            panel.draw(axes)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        chart.savefig(path, format=PurePath(path).suffix[1:], dpi=120)
