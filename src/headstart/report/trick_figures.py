"""The forest plot of tricks: one line a trick, the verdict told by the marker and its fill, not by colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.report.figure_style import COLOURS, INK, PAPER, drawable, drawn, legend

MARKS = {"helps": (">", COLOURS[0], True), "hurts": ("<", COLOURS[1], True), "cannot tell": ("o", INK, False)}
ROW_INCHES = 0.27


@dataclass(frozen=True)
class Line:
    """One effect in points of accuracy, with the interval that judged it and the plain one within it."""

    name: str
    verdict: str
    effect: float
    low: float
    high: float
    plain_low: float
    plain_high: float


def forest(lines: Sequence[Line], label: str) -> str:
    """Effects with both intervals, the largest on top; a thick line is the plain 95 % interval.

    Parameters
    ----------
    lines : sequence of Line
        The first is drawn on top.
    label : str
        Of the axis.
    """

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        told: set[str] = set()
        for row, each in enumerate(reversed(lines)):
            marker, colour, filled = MARKS[each.verdict]
            axes.plot(
                [each.low, each.high], [row, row], color=colour, linewidth=0.9, marker="|", markersize=4
            )
            axes.plot([each.plain_low, each.plain_high], [row, row], color=colour, linewidth=2.6)
            axes.plot(
                [each.effect], [row], marker, color=colour, mfc=colour if filled else PAPER, markersize=7,
                label="_" if each.verdict in told else each.verdict,
            )  # fmt: skip
            told.add(each.verdict)
        axes.set_yticks(range(len(lines)), [drawable(each.name) for each in reversed(lines)])
        axes.set_ylim(-0.7, len(lines) - 0.3)
        axes.grid(axis="y", visible=False)
        reach = axis_reach(lines)
        if reach is not None:
            axes.set_xlim(-reach, reach)
        axes.set_xlabel(label if reach is None else f"{label} (intervals beyond the axis are cut)")
        legend(figure, axes)

    return drawn(draw, 6.4, 1.1 + ROW_INCHES * max(2, len(lines)))


def axis_reach(lines: Sequence[Line]) -> float | None:
    """Where to cut the axis, so that one interval that says nothing does not hide all others; None: nowhere."""
    ends = sorted(max(abs(each.low), abs(each.high)) for each in lines)
    shown = max(4 * ends[(len(ends) - 1) // 2], 1.2 * max(abs(each.effect) for each in lines))
    return shown if ends[-1] > shown else None
