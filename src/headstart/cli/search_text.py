"""What `index` and `search` print: the index and its changes, the images found, the quality of a search."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from headstart.cli.text import printable, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headstart.features.index import ImageIndex
    from headstart.features.index_found import Found
    from headstart.features.index_quality import IndexQuality

HIDDEN = ("digest", "split", "group")


def index_value(made: ImageIndex, out: str) -> dict[str, Any]:
    """An index and its last changes as a JSON-like value."""
    changes = asdict(made.changes_)
    problems = [asdict(problem) for problem in made.changes_.problems]
    return {
        "index": out, "n": len(made), **changes, "problems": problems, **asdict(made.card),
        "columns": list(made.store.names), "approximate": made.store.approximate,
    }  # fmt: skip


def index_lines(made: ImageIndex, out: str) -> list[str]:
    """An index and its last changes as text."""
    card, did = made.card, made.changes_
    size = f", whitened to {card.whiten}" if card.whiten else ""
    lines = [
        f"{printable(out)}: {len(made):,} images by {printable(card.backbone)} {card.layer} ({card.pooling}), "
        f"{card.dimension} values{size}, {card.metric}",
        f"added {did.n_added:,}, changed {did.n_updated:,}, removed {did.n_removed:,}, "
        f"run through the network {did.n_computed:,}",
        f"columns: {', '.join(map(printable, made.store.names))}",
    ]
    approximate = made.store.approximate
    if approximate:
        lines.append(
            f"search is approximate ({approximate['kind']}): recall at {approximate['k']} against exact search "
            f"{approximate['recall']:.3f} on a sample"
        )
    else:
        lines.append("search is exact")
    return lines


def found_lines(found: Sequence[Found], metric: str) -> list[str]:
    """The images found as text."""
    lines: list[str] = []
    for each in found:
        lines += ["", printable(each.query)] if lines else [printable(each.query)]
        rows = [
            (
                hit.rank, f"{hit.score:.3f}", ", ".join(v for n, v in hit.columns.items() if n not in HIDDEN and v),
                "copy" if hit.duplicate else "", hit.file,
            )
            for hit in each.hits
        ]  # fmt: skip
        head = ("", "cosine" if metric == "cosine" else "distance", "label", "", "image")
        lines += table(head, rows, right=(0, 1)) if rows else ["nothing in the index meets the condition"]
    return lines


def quality_lines(found: IndexQuality, split: str) -> list[str]:
    """The quality of a search as text."""
    from headstart.report.wording import search_measures

    quality = found.quality
    measures = search_measures(quality.k)
    long = {"map": "mean average precision"}
    scores = [(long.get(name, title), quality.scores[name]) for name, title, _ in measures]
    rows = [(title, f"{each.value:.3f}", f"{each.low:.3f} to {each.high:.3f}") for title, each in scores]
    classes = [
        (label, values["n"], *(f"{values[name]:.3f}" for name, *_ in measures))
        for label, values in quality.per_class.items()
    ]
    heads = [title for _, title, _ in measures]
    worst = [(f"{value:.3f}", label, path) for path, label, value in found.worst]
    return [
        f"{quality.n:,} queries ({split}) by {printable(found.target)} against {found.n_index:,} images; queries with "
        f"nothing to find: {quality.n_nothing_to_find}, without a label: {found.n_unlabelled}",
        f"not counted: {found.n_same:,} pairs of the same content, {found.n_near:,} of a cosine of {found.near:g} or more",
        "",
        *table(("", "mean", "95 % interval"), rows, right=(1,)),
        "",
        *table((found.target, "n", *heads), classes, right=(1, 2, 3, 4, 5, 6)),
        "",
        "queries with the least average precision",
        *table(("", found.target, "image"), worst, right=(0,)),
    ]
