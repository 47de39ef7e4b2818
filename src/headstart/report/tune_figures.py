"""Drawings of a tuning as SVG text: its history, what mattered, and slices through the space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.methods.tune.found import DONE, PRUNED, SearchRecord, TrialRecord
from headstart.report.figure_style import COLOURS, INK, drawable, drawn, legend

COLUMNS = 3
SLICE = (2.5, 2.1)
"""Width and height of one slice, in inches."""


def history(record: SearchRecord) -> str:
    """Accuracy of each trial in its order, the best so far as steps; the defaults and the best are marked."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        done = [each for each in record.trials if each.state == DONE and each.value is not None]
        axes.plot(*_xy(done), "o", ms=4, color=COLOURS[0], alpha=0.7, label="trial")
        if given_up := [each for each in record.trials if each.state == PRUNED and each.value is not None]:
            axes.plot(*_xy(given_up), "x", ms=5, color=COLOURS[7], label="given up early")
        best, steps = 0.0, []
        for each in done:
            best = max(best, each.value or 0.0)
            steps.append(100 * best)
        if done:
            axes.step(
                [each.number for each in done], steps, where="post", color=INK, lw=1, label="best so far"
            )
        axes.axhline(100 * record.default["value"], color=COLOURS[1], ls="--", lw=1.2, label="the defaults")
        if record.best_trial is not None:
            axes.plot(*_xy([record.best_trial]), "o", ms=12, mfc="none", mec=INK, mew=1.3, label="the best")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("trial")
        axes.set_ylabel("accuracy that chooses, %")
        legend(figure, axes)

    return drawn(draw, 5.6, 3.4)


def _xy(trials: Sequence[TrialRecord]) -> tuple[list[int], list[float]]:
    return [each.number for each in trials], [100 * (each.value or 0.0) for each in trials]


def importance(shares: Mapping[str, float]) -> str:
    """Share of the variance of the accuracy that each option explains, the largest on top."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        names = sorted(shares, key=lambda name: shares[name])
        axes.barh(
            [drawable(name) for name in names], [100 * shares[name] for name in names],
            facecolor="none", edgecolor=COLOURS[0], hatch="////", height=0.6,
        )  # fmt: skip
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of the variance, %")
        axes.grid(axis="y", visible=False)

    return drawn(draw, 5.2, 0.9 + 0.32 * max(1, len(shares)))


def slices(record: SearchRecord) -> str:
    """Accuracy against each option that was searched, one small drawing each; the best is marked."""
    free = [each for each in record.space if len(each.get("choices", (1, 2))) > 1]
    n_rows = max(1, math.ceil(len(free) / COLUMNS))
    n_columns = max(1, min(COLUMNS, len(free)))

    def draw(figure: Any) -> None:
        panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
        for axes, dimension in zip(panels, free, strict=False):
            _slice(axes, record, dimension)
        for axes in panels[len(free) :]:
            axes.set_visible(False)
        for axes in panels[::n_columns]:
            axes.set_ylabel("accuracy, %")

    return drawn(draw, SLICE[0] * n_columns + 0.6, SLICE[1] * n_rows + 0.2)


def _slice(axes: Any, record: SearchRecord, dimension: Mapping[str, Any]) -> None:
    name = dimension["name"]
    choices = list(dimension.get("choices", ()))

    def at(each: TrialRecord) -> float:
        value = each.params[name]
        return float(choices.index(value)) if choices else float(value)

    for state, mark, colour in ((DONE, "o", COLOURS[0]), (PRUNED, "x", COLOURS[7])):
        some = [each for each in record.trials if each.state == state and each.value is not None]
        axes.plot([at(each) for each in some], _xy(some)[1], mark, ms=4, color=colour, alpha=0.7)
    if (best := record.best_trial) is not None:
        axes.plot([at(best)], _xy([best])[1], "o", ms=11, mfc="none", mec=INK, mew=1.3)
    if choices:
        axes.set_xticks(range(len(choices)), [drawable(str(each)) for each in choices])
        axes.set_xlim(-0.5, len(choices) - 0.5)
        if max(len(str(each)) for each in choices) * len(choices) > 22:
            axes.tick_params(axis="x", labelrotation=30)
    elif dimension["log"]:
        axes.set_xscale("log")
        axes.set_xlim(dimension["low"] / 1.5, dimension["high"] * 1.5)
        axes.xaxis.get_major_locator().set_params(numticks=4)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.minorticks_off()
    axes.set_xlabel(drawable(name))
