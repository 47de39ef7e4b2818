"""What was compared: backbones with their cards, layers, heads, the use of splits, the choice of the best."""

from __future__ import annotations

from typing import Any

from headstart.report.division import division_of
from headstart.report.document import Block, Entry, Paragraph, Section, Table, plain_table
from headstart.report.sections.equal import equal_terms, tuning_terms
from headstart.report.verdict import datasets, selected_on
from headstart.report.wording import DASH, count, listed, size
from headstart.study.partition import DRAWN_FOLDS
from headstart.study.records import StudyRecord


def compared_section(record: StudyRecord) -> Section:
    """The methods of the study and the rules that make them comparable."""
    rows = (*record.summaries, *record.joint)
    backbones, heads = _names(record, "backbone"), _names(record, "head")
    layers, poolings = _names(record, "layer"), _names(record, "pooling")
    said = f"{count(len({row.method for row in rows}), 'method')}: "
    said += f"{count(len(backbones), 'backbone')} ({listed(backbones)})"
    sizes = _sizes(record)
    if len(sizes) > 1:
        said += f", {len(sizes)} input sizes ({listed(sizes)} pixels)"
    if heads:
        said += f", {count(len(layers), 'layer')} ({listed(layers)}), pooling {listed(poolings)}, "
        said += f"{count(len(heads), 'head')} ({listed(heads)})"
    if ways := list(dict.fromkeys(row.sharing for row in rows if row.sharing and row.trains)):
        said += f"; ways of sharing: {listed(ways)}"
    if trained := list(dict.fromkeys(f"{row.scenario} {row.cut}" for row in rows if row.trains)):
        said += f"; trained: {listed(trained)}"
    said = f"{said}.{_tuned(record)}" if record.planned else "No method was planned."
    blocks: list[Block] = [Paragraph(said)]
    if record.cards:
        blocks.append(_cards(record.cards, {name: _sizes(record, name) for name in record.cards}))
    blocks += [Paragraph(f"{name}: {use_of_splits(record, name)}") for name in datasets(record)]
    blocks.append(
        Paragraph(
            "The best method is the one with the highest score on validation (or inner folds of train), less one standard "
            "error (Wilson's), so that a score by few images does not win by luck: a head is judged by every training "
            "image, a network that trains by those of one inner fold, or by every one too where it keeps the head that "
            "it started from. "
            "The test score is reported and chooses nothing, neither the method nor its options."
            + _unequal_seeds(record)
        )
    )
    blocks += [Paragraph(said) for said in _adviser(record)]
    blocks += equal_terms(record)
    return Section("compared", "What was compared", tuple(blocks))


def _adviser(record: StudyRecord) -> list[str]:
    """Whether the adviser's word was recorded before the first run, and where not, why."""
    said = []
    if record.advised:
        said.append(
            f"What the adviser said of {listed(record.advised)} was recorded before the first run, and chose nothing; "
            "“headstart advise --audit” holds it against these results."
        )
    return said + [f"No advice was recorded on {name}: {why}." for name, why in record.unadvised.items()]


def _tuned(record: StudyRecord) -> str:
    """How methods were tuned beside their defaults; "" where none was."""
    if not (n := len({row.method for row in record.summaries if row.tuned})):
        return ""
    many = "is tuned beside its" if n == 1 else "are tuned beside their"
    return f" {n:,} of these {many} defaults, on equal terms: {tuning_terms(record)}"


def _unequal_seeds(record: StudyRecord) -> str:
    """How methods with different numbers of seeds are compared; "" where all have as many."""
    planned = {len(row.cells) for row in record.summaries if row.n_seeds}
    if len(planned) < 2:
        return ""
    return (
        " Where one method has run under more seeds than another, the best is chosen on those that both have."
    )


def _names(record: StudyRecord, part: str) -> list[str]:
    """The different values of one part of the methods, in the order of the plan."""
    planned = [getattr(result.cell, part) for result in record.results]
    named = dict.fromkeys([*planned, *(getattr(row, part) for row in (*record.summaries, *record.joint))])
    return [name for name in named if name]


def _sizes(record: StudyRecord, backbone: str = "") -> list[str]:
    """Input sizes of the runs, of one backbone or of all, by their pixels."""
    cells = [each.cell for each in record.results if not backbone or each.cell.backbone == backbone]
    found = sorted({(cell.height, cell.width) for cell in cells}, key=lambda pair: (pair[0] * pair[1], pair))
    return [f"{height} x {width}" for height, width in found]


def _cards(cards: dict[str, dict[str, Any]], sizes: dict[str, list[str]]) -> Table:
    titles = (
        "backbone",
        "input",
        "parameters",
        "weights",
        "licence",
        "trained on",
        "paper",
        "digest of weights",
    )
    rows = [_card(name, card, sizes[name]) for name, card in cards.items()]
    caption = "Backbones, as their cards state them. The digest names the exact weights."
    return plain_table("backbones", caption, titles, rows)


def _card(name: str, card: dict[str, Any], sizes: list[str]) -> list[Entry]:
    how = card.get("preprocessing") or {}
    paper = str(card.get("paper") or "")
    n = int(card.get("n_parameters") or 0)
    own = f"{how.get('height', DASH)} x {how.get('width', DASH)}"
    return [
        Entry(name, small=str(card.get("architecture") or "")),
        Entry(
            f"{', '.join(sizes) or own} px",
            small=f"{how.get('interpolation', '')}, crop {how.get('crop', '')}",
        ),
        Entry(f"{n / 1e6:.1f} M" if n else DASH),
        Entry(size(card.get("weights_bytes")), small=str(card.get("weights") or "")),
        Entry(str(card.get("licence") or "not stated")),
        Entry(str(card.get("trained_on") or DASH)),
        Entry(paper or DASH, href=paper),
        Entry(str(card.get("weights_digest") or DASH)),
    ]


def use_of_splits(record: StudyRecord, dataset: str) -> str:
    """How the images of a dataset were used: fitted on, chosen on, tested on."""
    done = [result for result in record.results if result.cell.dataset == dataset and result.status == "done"]
    if not done:
        return "no run has finished yet."
    one, on = done[0], selected_on(record, dataset)
    if one.cell.fold:
        n = max(result.cell.fold for result in done)
        said = f"{n} folds that the source gives, a run each: fitted on the others ({one.n_train:,} images in the "
        said += f"first), tested on its own; options and best chosen on {on}. Intervals know that training sets of "
        return said + "folds overlap (corrected resampled t)."
    if division_of(record, dataset) == DRAWN_FOLDS:
        said = (
            f"cross-validated: each of {count(one.n_test, 'image')} is tested once, by a model fitted on the "
        )
        return said + f"other folds ({one.n_train:,} images in the first); options and best chosen on {on}."
    each = f" ({one.cell.per_class:,} a class)" if one.cell.per_class else ""
    said = f"fitted on {count(one.n_train, 'train image')}{each}; options and best chosen on {on}"
    said += f" ({count(one.n_validation, 'image')})" if one.n_validation else " of train"
    return said + f"; scores are of {count(one.n_test, 'test image')}, read once by each run."
