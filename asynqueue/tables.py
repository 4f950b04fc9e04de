"""
Tables of text, and how figures look in them.
"""

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]], left: int = 0) -> str:
    """
    Makes a table.

    @param rows: Its rows, each with as many texts as the others.
    @param left: How many columns, counted from the first, begin at their left
        edge. The others end at their right.
    @return: Its lines, with two spaces between columns, and none at the end of a
        line.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def figure(value: float) -> str:
    """
    @return: A number with three significant digits, or more if it has more before
        its point, and with commas between thousands: C{0.0120}, C{1.23}, C{45.6},
        C{789}, C{12,345}.
    """
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:#.3g}" if value else "0"
