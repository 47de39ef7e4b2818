"""Tricks held to account, on the screen and as a CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.base.files import write_text
from headstart.cli.text import table

if TYPE_CHECKING:
    from headstart.study.trick_effects import TrickEffect, TrickTable


def trick_lines(found: TrickTable) -> list[str]:
    """The table of one setting, the largest gain first; what to do where the start was kept."""
    from headstart.report.trick_words import REMEDY, at_the_start
    from headstart.report.wording import percent

    title = f"{found.scenario} {found.backbone} {found.cut}: {found.design}, {len(found.effects)} effects"
    start = "" if found.accuracy is None else f", from {percent(found.accuracy)}"
    rows = [
        _cells(each)
        for each in sorted(found.effects, key=lambda one: 1.0 if one.effect is None else -one.effect)
    ]
    header = ["trick", "points gained", "interval", "verdict", "p", "training", "whole run"]
    left = [f"not there: {name} ({reason})" for name, reason in found.left_out.items()]
    remedy = [REMEDY] if at_the_start((*found.effects, *found.by_dataset)) else []
    return [title + start, *table(header, rows, right=(1, 2, 4, 5, 6)), *left, *remedy]


def _cells(each: TrickEffect) -> list[str]:
    from headstart.report.trick_words import notes_of
    from headstart.report.wording import signed_points

    if each.why:
        return [each.trick, each.kind, "", each.why, "", "", ""]
    gained, between, p = "", "", ""
    if each.effect is not None and each.low is not None and each.high is not None:
        gained, between = signed_points(each.effect), signed_points(each.low, each.high)
        p = f"{each.adjusted_p:.3f}"
    notes = "; ".join([*([each.doubt] if each.doubt else []), *notes_of(each)])
    return [
        each.trick, gained, between, f"{each.kind} ({notes})" if notes else each.kind, p,
        _times(each.times, each.train_seconds), _times(each.run_times, each.seconds),
    ]  # fmt: skip


def _times(times: float | None, seconds: float | None) -> str:
    from headstart.report.wording import longer

    return "" if times is None else f"{times:.2f}x ({longer(seconds)})"


def write_effects(found: Sequence[TrickTable], path: Path) -> Path:
    """Every effect, over all datasets and on each, one a line."""
    from headstart.report.trick_csv import tricks_csv

    return write_text(path, tricks_csv(found))
