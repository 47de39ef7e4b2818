"""Drawings of who can be told from whom: gaps to the best, the critical-difference diagram, and chances by Bayes.

Every artist that stands for a verdict carries it in its id, so that a drawing can be checked against the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.measure.verdict_words import EQUIVALENT, NOT_DISTINGUISHABLE
from headstart.measure.verdicts import BETTER, WORSE
from headstart.report.figure_style import COLOURS, GRID, INK, PAPER, drawable, drawn, legend

LOOKS = {
    NOT_DISTINGUISHABLE: ("not distinguishable from the best", "o", True),
    EQUIVALENT: ("practically equivalent to it", "s", True),
    WORSE: ("worse than the best", "o", False),
    BETTER: ("better than the best", "^", False),
}
"""Of a method against the best: what the legend says, marker, whether it is filled."""
ROW, MARGIN = 0.235, 1.15
HATCHES = ("", "....", "////")


@dataclass(frozen=True)
class Gap:
    """The best less a method, in points of what is measured with the interval that was tested; `kind` is the method's."""

    name: str
    kind: str
    value: float
    low: float
    high: float


def gap_id(at: int, kind: str) -> str:
    """The id of a row's mark in the drawing: `gap-3-not-distinguishable`."""
    return f"gap-{at}-{kind.replace(' ', '-')}"


def gaps_from_the_best(gaps: Sequence[Gap], rope: float, measure: str = "accuracy") -> str:
    """One row a method: by how many points the best is better, with intervals; the band is the `rope`, in points."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axvspan(-rope, rope, color=GRID, alpha=0.55, lw=0, zorder=0)
        axes.axvline(0, color=INK, lw=1)
        shown: set[str] = set()
        for at, gap in enumerate(gaps):
            label, marker, filled = LOOKS[gap.kind]
            mark = axes.errorbar(
                [gap.value], [at], xerr=[[max(0.0, gap.value - gap.low)], [max(0.0, gap.high - gap.value)]],
                fmt=marker, color=COLOURS[0] if filled else INK, mfc=COLOURS[0] if filled else PAPER, elinewidth=0.9,
                capsize=2, label=label if gap.kind not in shown else None,
            )  # fmt: skip
            mark.lines[0].set_gid(gap_id(at, gap.kind))
            shown.add(gap.kind)
        axes.set_yticks(range(len(gaps)), [drawable(gap.name) for gap in gaps])
        axes.set_ylim(len(gaps) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"points of {measure} by which the best is better")
        legend(figure, axes)

    return drawn(draw, 5.6, MARGIN + ROW * len(gaps))


@dataclass(frozen=True)
class Ranked:
    """A method with its mean rank over data sets."""

    name: str
    rank: float


def group_id(at: int) -> str:
    """The id of a bar in the drawing."""
    return f"group-{at}"


def critical_difference(ranked: Sequence[Ranked], groups: Sequence[Sequence[int]], n_methods: int) -> str:
    """Demsar's diagram: mean ranks on a line, and a bar under each group in which no two can be told apart.

    A group need not be neighbours by rank, so rings on a bar mark its members.

    Parameters
    ----------
    ranked : sequence of Ranked
        The best first.
    groups : sequence of sequence of int
        Places in `ranked`, each rising.
    n_methods : int
        Methods that were ranked: the end of the line.
    """
    half = (len(ranked) + 1) // 2
    lane = 0.34
    depth = lane * (len(groups) + 1)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_axis_off()
        span = max(1.0, n_methods - 1.0)
        side = 0.62 * span
        axes.set_xlim(1 - side, n_methods + side)
        axes.set_ylim(-depth - 0.55 * half - 0.35, 1.0)
        axes.plot([1, n_methods], [0, 0], color=INK, lw=1.1, solid_capstyle="butt")
        step = max(1, round(span / 8))
        ticks = [*range(1, n_methods, step), n_methods]
        if len(ticks) > 2 and ticks[-1] - ticks[-2] < step:
            del ticks[-2]
        for tick in ticks:
            axes.plot([tick, tick], [0, 0.18], color=INK, lw=1)
            axes.text(tick, 0.28, str(tick), ha="center", va="bottom")
        axes.text(1 - 0.04 * span, 0.28, "mean rank", ha="right", va="bottom")
        for at, group in enumerate(groups):
            ends = [ranked[place].rank for place in (group[0], group[-1])]
            pad, level = 0.012 * span, -lane * (at + 1)
            (bar,) = axes.plot(
                [ends[0] - pad, ends[1] + pad], [level, level], color=INK, lw=3.2, solid_capstyle="butt"
            )
            bar.set_gid(group_id(at))
            at_members = [ranked[place].rank for place in group]
            axes.plot(at_members, [level] * len(group), "o", color=INK, ms=6, mfc=PAPER, mew=1.2)
        for place, each in enumerate(ranked):
            left = place < half
            level = -depth - 0.55 * (place if left else len(ranked) - 1 - place) - 0.1
            end = 1 - 0.03 * span if left else n_methods + 0.03 * span
            axes.plot([each.rank, each.rank, end], [0, level, level], color=COLOURS[0], lw=0.9, zorder=0)
            said = (
                f"{drawable(each.name)}  {each.rank:.2f}"
                if left
                else f"{each.rank:.2f}  {drawable(each.name)}"
            )
            edge = end + (-0.015 if left else 0.015) * span
            axes.text(edge, level, said, ha="right" if left else "left", va="center")

    return drawn(draw, 7.2, 0.75 + 0.3 * depth + 0.235 * half)


@dataclass(frozen=True)
class Chances:
    """How likely the first is better, both are the same within the rope, and the other is better; they add to 1."""

    name: str
    better: float
    same: float
    worse: float


def chances_bars(rows: Sequence[Chances], first: str) -> str:
    """One bar a method, in three parts."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        labels = (f"{drawable(first)} is better", "practically the same", "the method named is better")
        faces = (COLOURS[0], PAPER, PAPER)
        starts = [0.0] * len(rows)
        for part, (label, face) in enumerate(zip(labels, faces, strict=True)):
            wide = [100 * (row.better, row.same, row.worse)[part] for row in rows]
            axes.barh(
                range(len(rows)), wide, left=starts, height=0.62, facecolor=face, edgecolor=INK, lw=0.7,
                hatch=HATCHES[part], label=label,
            )  # fmt: skip
            starts = [start + width for start, width in zip(starts, wide, strict=True)]
        axes.set_yticks(range(len(rows)), [drawable(row.name) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("chance, %")
        legend(figure, axes)

    return drawn(draw, 5.6, MARGIN + 0.27 * len(rows))
