"""How training went: loss and accuracy of train and validation by epoch, a panel a method, on the same axes."""

from __future__ import annotations

from typing import Any

from headstart.report.document import Beside, Block, Figure, Paragraph
from headstart.report.figures import Curve, training_curves
from headstart.report.verdict import ranked, results_of
from headstart.report.wording import count, duration, percent
from headstart.study.records import CellResult, StudyRecord

PANELS_SHOWN = 8


def curve_blocks(record: StudyRecord, dataset: str, id: str) -> list[Block]:
    """The curves of the first run of each method that trained, the best first; nothing where none did."""
    runs = [
        result
        for row in ranked(record, dataset)
        if row.trains
        for result in [each for each in results_of(record, row) if _curve(each)][:1]
    ]
    if not runs:
        return []
    shown = [(run, curve) for run in runs[:PANELS_SHOWN] if (curve := _curve(run)) is not None]
    curves = [curve for _, curve in shown]
    losses = [value for curve in curves for value in (*curve.loss, *curve.held_loss)]
    shares = [value for curve in curves for value in (*curve.accuracy, *curve.held_accuracy)]
    shares += [curve.start for curve in curves if curve.start is not None]
    loss = (0.0, 1.05 * max(losses) or 1.0)
    accuracy = (max(0.0, min(shares) - 0.03), 1.015)
    figures = tuple(
        Figure(
            f"{id}-curve-{at}",
            _caption(run, curve),
            training_curves(curve, loss, accuracy),
            f"Loss and accuracy of {run.cell.method} by epoch",
            (),
            (run.cell.id,),
        )
        for at, (run, curve) in enumerate(shown)
    )
    said = (
        "How training went: loss and accuracy by epoch on the same axes for every method. Train is measured on "
        "views while the weights move, with smoothed labels; validation on plain images."
    )
    if len(runs) > len(figures):
        said += f" The {len(figures)} best of {len(runs)} methods are drawn."
    return [Paragraph(said), Beside(figures)]


def _curve(result: CellResult) -> Curve | None:
    """The curve of a run's first fit, or None where it has none."""
    if not result.training or not result.training[0].get("curve"):
        return None
    fit: dict[str, Any] = result.training[0]
    lines = fit["curve"]
    start = fit.get("start_selection")
    return Curve(
        loss=_known(lines, "loss"),
        accuracy=_known(lines, "accuracy"),
        held_loss=_known(lines, "held_loss"),
        held_accuracy=_known(lines, "held_accuracy"),
        kept=len(lines) if fit.get("kept_epoch") is None else int(fit["kept_epoch"]),
        start=None if start is None or start != start else float(start),
    )


def _known(lines: list[dict[str, Any]], name: str) -> tuple[float, ...]:
    values = [line.get(name) for line in lines]
    return (
        ()
        if any(value is None for value in values)
        else tuple(float(value) for value in values if value is not None)
    )


def _caption(run: CellResult, curve: Curve) -> str:
    of = f", first of {count(len(run.training), 'fold')}" if len(run.training) > 1 else ""
    on = run.training[0].get("epoch_chosen_on") or run.selected_on
    said = f"{run.cell.method}, {run.cell.place}{of}: epoch {curve.kept} of {len(curve.loss)} kept"
    if not curve.kept and curve.start is not None:
        said += ", which is the linear head that none of them bettered"
        said += "" if on == "validation" else " by more than one standard error"
        said += f", with {percent(curve.start)} on {on}"
    elif curve.held_accuracy:
        said += f" with {percent(curve.held_accuracy[curve.kept - 1])} on {on}"
    if curve.kept and curve.start is not None:
        said += f", from {percent(curve.start)} of the linear head"
    return f"{said}; {run.images_seen:,} images seen in {duration(run.train_seconds)} of training."
