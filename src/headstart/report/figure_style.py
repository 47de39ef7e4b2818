"""The one style of all drawings, and what draws them as SVG text; the only home of matplotlib.

Marker, line and shade all tell the series apart (readable in black and white and by the colour-blind; colours
after Okabe and Ito 2008, "Color Universal Design"), text as outlines, and ink and paper that follow the light or
dark scheme of the page.
"""

from __future__ import annotations

import io
import math
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

INK, GRID, PAPER = "#1b1d21", "#d4d6da", "#fefefd"
DARK = {INK: "#e4e5e7", GRID: "#3c4046", PAPER: "#17191c"}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a5195", "#6b6f76")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2, 2, 2)))
MANY_MARKS, DOTS = 500, 200
"""Marks of a series above which they are drawn as dots, and dots an inch: ten thousand paths take seconds to open."""
STYLE = {
    "svg.hashsalt": "headstart",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.5,
    "lines.markersize": 6,
}
BEST_LABEL = "best by validation"
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Mark:
    """One method in a plot: value and interval in 0..1, `x` in the unit of the axis, `series` its name.

    `level` fills the mark of a method that cannot be told from the best and leaves that of any other hollow;
    None: filled or hollow by the number of the series.
    """

    series: str
    x: float
    value: float
    low: float
    high: float
    level: bool | None = None


def by_series(marks: Sequence[Mark]) -> dict[str, list[Mark]]:
    """The marks of each series, in order of first appearance."""
    groups: dict[str, list[Mark]] = {}
    for mark in marks:
        groups.setdefault(mark.series, []).append(mark)
    return groups


def errorbar(axes: Any, group: Sequence[Mark], number: int, series: str, *, joined: bool) -> None:
    """Draw a series with its intervals, in the marker and colour of its number."""
    named = series
    for level in dict.fromkeys(mark.level for mark in group):
        some = [mark for mark in group if mark.level is level]
        _errorbar(axes, some, number, named, level, joined=joined)
        named = ""


def level_id(number: int, level: bool | None) -> str:
    """The id of the marks of a series that are level with the best, are not, or were not compared."""
    return f"marks-{number}-{'plain' if level is None else 'level' if level else 'apart'}"


def _errorbar(
    axes: Any, group: Sequence[Mark], number: int, series: str, level: bool | None, *, joined: bool
) -> None:
    colour = COLOURS[number % len(COLOURS)]
    hollow = bool(number % 2) if level is None else not level
    below = [100 * max(0.0, mark.value - mark.low) if math.isfinite(mark.low) else 0.0 for mark in group]
    above = [100 * max(0.0, mark.high - mark.value) if math.isfinite(mark.high) else 0.0 for mark in group]
    drawn_marks = axes.errorbar(
        [mark.x for mark in group],
        [100 * mark.value for mark in group],
        yerr=[below, above],
        fmt=MARKERS[number % len(MARKERS)],
        linestyle=LINES[number % len(LINES)] if joined else "none",
        color=colour,
        mfc=PAPER if hollow else colour,
        elinewidth=0.8,
        capsize=2,
        label=drawable(series) or None,
        rasterized=len(group) > MANY_MARKS,
    )
    drawn_marks.lines[0].set_gid(level_id(number, level))


def percent_axis(axes: Any, label: str) -> None:
    """Name the axis of percentages and keep it within 0 to 100."""
    axes.set_ylabel(label)
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low), min(101.5, high))


def legend(figure: Any, axes: Any) -> None:
    """Set the legend above the drawing, the best last."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda at: labels[at] == BEST_LABEL)
    handles, labels = [handles[at] for at in order], [labels[at] for at in order]
    columns = (
        1 if max(map(len, labels), default=0) > 24 else 2 if max(map(len, labels), default=0) > 13 else 3
    )
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=2.6)


def log_norm(low: float, high: float) -> Any:
    """A scale of colours that goes with the logarithm."""
    from matplotlib.colors import LogNorm

    return LogNorm(low, high)


def drawn(draw: Callable[[Any], None], width: float, height: float) -> str:
    """Draw on a fresh figure (inches) and give it as SVG text that follows the scheme of the page."""
    import matplotlib
    from matplotlib.figure import Figure

    with _one_at_a_time, matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, dpi=_dots(figure))
    return _follow_scheme(buffer.getvalue())


def _dots(figure: Any) -> float | str:
    """Dots an inch: fine where marks are drawn as dots, the figure's own where all is lines (pictures stay as they are)."""
    return DOTS if any(each.get_rasterized() for each in figure.findobj()) else "figure"


def _follow_scheme(svg: str) -> str:
    """Turn ink, grid and paper into variables that a dark page changes; leave the drawing alone otherwise."""
    names = {INK: "ink", GRID: "grid", PAPER: "paper"} | {hue: f"hue{at}" for at, hue in enumerate(COLOURS)}
    for colour, name in names.items():
        svg = svg.replace(colour, f"var(--{name})")
    light = ";".join(f"--{name}:{colour}" for colour, name in names.items())
    dark = ";".join(f"--{name}:{DARK.get(colour) or _lighter(colour)}" for colour, name in names.items())
    rules = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    svg = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r"(<svg\b[^>]*>)", lambda found: found[1] + rules, svg.strip(), count=1)


def _lighter(colour: str, share: float = 0.35) -> str:
    """A colour (#rrggbb) mixed with white."""
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(part + share * (255 - part)):02x}" for part in parts)


def drawable(text: str) -> str:
    """The text with a box for every character that the font lacks, shortened to 40 characters."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    shown = "".join(letter if ord(letter) in known else "□" for letter in text)
    return shown if len(shown) <= 40 else shown[:39] + "…"
