"""The page of the adviser: the advice, the textbook's table with this data set's place on it, and every number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headstart.base.errors import UsageError
from headstart.base.files import write_text
from headstart.report import papers
from headstart.report.cited import references_section, together
from headstart.report.document import (
    Claim,
    Column,
    Document,
    Entry,
    Paragraph,
    Row,
    Section,
    Table,
    plain_table,
)
from headstart.report.html import MARK, render
from headstart.report.wording import DASH, count, decimal, duration, percent
from headstart.study.advise import TABLE

if TYPE_CHECKING:
    from headstart.study.advise import Advice, Candidate

TRANSFERABILITY = {"logme": "LogME", "h_score": "H-score", "nce": "NCE", "leep": "LEEP"}
HERE = "this data set is here"


def check_advice_page(path: str | Path) -> None:
    """Refuse to replace a file that is no page of Headstart.

    Raises
    ------
    UsageError
    """
    file = Path(path)
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file for the page")
    if file.exists() and MARK not in file.read_text("utf-8", errors="replace")[:4000]:
        raise UsageError(f"{file} exists and is no page of Headstart; name another file")


def write_advice_page(found: Advice, path: str | Path) -> Path:
    """Write the page as one HTML file that needs no network; an older one is replaced whole."""
    check_advice_page(path)
    return write_text(path, render(advice_document(found)))


def advice_document(found: Advice) -> Document:
    """The page as values."""
    seen = found.situation
    subtitle = (
        f"{count(seen.n, 'image')} of {seen.n_classes} classes of “{seen.target}”; measured on "
        f"{seen.n_measured:,} of them in {duration(seen.seconds)}"
    )
    return Document(
        f"Advice on {seen.name}",
        subtitle,
        (
            Section(
                "advice", "In short", (Claim(found.verdict, strong=True), _ranked(found), *_notes(found))
            ),
            Section("table", "Size and similarity", (_decision(found), *_places(found))),
            Section("measured", "What was measured", (_likeness(found), _transfer(found), _curve(found))),
            Section("probes", "Probes", (_probes(found), _classes(found))),
            references_section(together(_uses(found)), of="this advice"),
        ),
    )


def _uses(found: Advice) -> list[tuple[tuple[str, ...], str]]:
    transfers = found.situation.transfers
    there = {"logme": bool(transfers), "h_score": bool(transfers)}
    there |= {"nce": any(each.nce is not None for each in transfers)}
    there |= {"leep": any(each.leep is not None for each in transfers)}
    return [
        (papers.TRANSFERABILITY[name], TRANSFERABILITY[name]) for name, measured in there.items() if measured
    ]


def _ranked(found: Advice) -> Table:
    columns = (
        Column("method"), Column("expected accuracy", numeric=True),
        Column("90 % interval", "of a test split of this data set's size"),
        Column("expected seconds", "on this machine", numeric=True), Column("evidence"),
    )  # fmt: skip
    rows = tuple(_row(each, each in found.run) for each in found.candidates)
    return Table(
        "ranked", "Every method that there is evidence on, best first.", columns, rows, sortable=True
    )


def _notes(found: Advice) -> tuple[Paragraph, ...]:
    return tuple(Paragraph(said) for said in found.notes)


def _row(each: Candidate, first: bool) -> Row:
    ends = f"{percent(each.low)} to {percent(each.high)}"
    return Row(
        (
            Entry(each.name, each.name), Entry(percent(each.accuracy), each.accuracy), Entry(ends, each.low),
            Entry(f"{each.seconds:,.0f}", each.seconds), Entry("; ".join(each.evidence)),
        ),
        "best" if first else "",
    )  # fmt: skip


def _decision(found: Advice) -> Table:
    rows = []
    for large, name in ((False, "small"), (True, "large")):
        entries = [Entry(name)]
        for similar in (True, False):
            here = (found.large, found.similar) == (large, similar)
            entries.append(Entry(TABLE[large, similar], small=HERE if here else "", heat=6 if here else 0))
        rows.append(Row(tuple(entries)))
    titles = ("size of the data set", "similar to the source task", "very different")
    caption = "What the textbook says of size and similarity, and where this data set stands."
    return Table("decision", caption, tuple(Column(title) for title in titles), tuple(rows), matrix=True)


def _places(found: Advice) -> tuple[Paragraph, ...]:
    seen = found.situation
    return (
        Paragraph(
            f"{seen.per_class:,.0f} images a class; distance to the source {seen.likeness.distance:.3f}. The table is "
            "the textbook's; the ranking above is from measurements."
        ),
    )


def _likeness(found: Advice) -> Table:
    like = found.situation.likeness
    rows = [
        (
            "BatchNorm distance",
            f"{like.distance:.3f}",
            "0.01 on source images, about 0.65 on pure noise (nats)",
        ),
        ("confidence", f"{like.confidence:.2f}", "mean probability of the source classifier's first guess"),
        ("entropy", f"{like.entropy:.2f}", "of its predictions; 0 sure, 1 evenly spread"),
        ("coverage", percent(like.coverage), "source classes that are some image's first guess"),
    ]
    caption = f"Likeness to the source images, on lite0; the distance on {count(like.n, 'image')}."
    return plain_table("likeness", caption, ("measure", "value", "meaning"), rows)


def _transfer(found: Advice) -> Table:
    rows = [
        (
            each.backbone, percent(each.neighbours), percent(each.probe), decimal(each.logme), decimal(each.h_score),
            DASH if each.nce is None else decimal(each.nce), DASH if each.leep is None else decimal(each.leep),
            DASH if each.source_accuracy is None else percent(each.source_accuracy),
        )
        for each in found.situation.transfers
    ]  # fmt: skip
    titles = ("backbone", "5 neighbours", "quick probe", "LogME", "H-score", "NCE", "LEEP", "source accuracy")
    return plain_table("transfer", "How well the last layer fits the labels; higher is better.", titles, rows)


def _curve(found: Advice) -> Table:
    rows = [(f"{n:,}", percent(value)) for n, value in found.situation.curve]
    caption = (
        f"The quick probe at the best layer, learning from fewer images: {100 * found.situation.slope:.1f} points a "
        "doubling."
    )
    return plain_table("curve", caption, ("images", "accuracy"), rows)


def _probes(found: Advice) -> Table:
    seen = found.situation
    rows = [(each.backbone, each.layer, each.head, percent(each.accuracy)) for each in seen.probes]
    words = [f"{name}: {seen.layer_words(name)}" for name in seen.backbones]
    caption = (
        f"Inner-fold accuracy of each head on each layer, of {count(seen.n_measured, 'image')}. Layers, by "
        f"their mean over the heads: {'; '.join(words)}. Layers within one standard error of the best are as good."
    )
    return plain_table("probes-table", caption, ("backbone", "layer", "head", "accuracy"), rows)


def _classes(found: Advice) -> Table:
    rows = [(name, f"{n:,}") for name, n in found.situation.class_counts[:200]]
    return plain_table("classes", "Images to learn from, a class.", ("class", "images"), rows)
