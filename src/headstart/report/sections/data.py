"""What the data is: source, counts, example pictures, what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from headstart.images.table import SPLITS, ImageTable
from headstart.methods.output import Output, encode
from headstart.report.division import groups_words
from headstart.report.document import (
    Block,
    Column,
    Entry,
    Gallery,
    Paragraph,
    Picture,
    Row,
    Section,
    Table,
    plain_table,
)
from headstart.report.pictures import PictureBook
from headstart.report.wording import count, listed

NUMBERS = ("least", "lower quarter", "median", "upper quarter", "largest")
CLASSES_SHOWN, EXAMPLES_SHOWN, PROBLEMS_SHOWN = 12, 6, 200
EXAMPLE_SIDE = 144


def data_section(
    table: ImageTable, target: str, book: PictureBook, id: str, outputs: Sequence[dict[str, Any]] = ()
) -> Section:
    """Everything that a reader must know of one dataset; `outputs` are what a study of several learned."""
    told, *counted = outputs_blocks(table, outputs, id) or (
        _opening(table, target),
        _counts(table, target, id),
    )
    blocks: list[Block] = [told]
    if table.source:
        blocks.append(Paragraph(f"Source: {table.source}"))
    blocks += counted
    shown = examples(table, target, book, id, outputs)
    blocks += [shown] if shown is not None else []
    blocks += _left_out(table, id)
    return Section(id, f"The data: {table.name}", tuple(blocks))


def _opening(table: ImageTable, target: str) -> Paragraph:
    labels = table.labels[target]
    missing = sum(label is None for label in labels)
    said = f"{count(len(table), 'image')} in {count(len(table.classes(target)), 'class', 'classes')}"
    said += f" of “{target}”"
    if missing:
        said += f"; {count(missing, 'image has', 'images have')} no label and take no part"
    said += groups_words(table)
    others = [name for name in table.targets if name != target]
    if others:
        said += f". Other label columns, not used here: {listed(others)}"
    return Paragraph(said + ".")


def outputs_blocks(table: ImageTable, outputs: Sequence[dict[str, Any]], id: str) -> list[Block]:
    """What is said of several outputs, and a table for each; [] without any."""
    if not outputs:
        return []
    tables = [_output_table(table, each, f"{id}-output-{at}") for at, each in enumerate(outputs)]
    return [_opening_of(table, outputs), *tables]


def _opening_of(table: ImageTable, outputs: Sequence[dict[str, Any]]) -> Paragraph:
    names = [each["name"] for each in outputs]
    said = f"{count(len(table), 'image')} with {count(len(names), 'output')}: {listed(names)}"
    for name in names:
        if missing := sum(label is None for label in table.labels[name]):
            said += f"; {count(missing, 'image has', 'images have')} no label of {name}"
    said += groups_words(table)
    others = [name for name in table.targets if name not in names]
    said += f". Other label columns, not used here: {listed(others)}" if others else ""
    return Paragraph(said + ".")


def _output_table(table: ImageTable, output: dict[str, Any], id: str) -> Table:
    """Images of each class, level or label of an output by split; of a number where its values lie."""
    name, kind = output["name"], output["kind"]
    splits = [split for split in SPLITS if table.has_split(split)]
    columns = (Column("split"), *(Column(title, numeric=True) for title in ("images", *NUMBERS)))
    parts = [(split, [table.labels[name][row] for row in table.rows(split)]) for split in (*splits, "all")]
    if kind == "number":
        made = []
        for split, cells in parts:
            values = sorted(float(cell) for cell in cells if cell is not None)
            at = [values[round(share * (len(values) - 1))] for share in (0, 0.25, 0.5, 0.75, 1) if values]
            if values:
                made.append(Row((Entry(split), _number(len(values)), *(Entry(f"{v:.4g}", v) for v in at))))
        return Table(id, f"{name}: a number; where its values lie.", columns, tuple(made))
    coded = Output.from_dict(output)
    counts = [(split, _held(coded, cells)) for split, cells in parts]
    heading = {"labels": "label", "ordinal": "level, the lowest first"}.get(kind, "class")
    rows = tuple(
        Row((Entry(level, level.casefold()), *(_number(int(held[at])) for _, held in counts)))
        for at, level in enumerate(coded.levels)
    )
    columns = (Column(heading), *(Column(split, numeric=True) for split, _ in counts))
    caption = f"{name}: images of each {heading.split(',')[0]} by split."
    return Table(
        id,
        caption + (" An image may bear several." if kind == "labels" else ""),
        columns,
        rows,
        sortable=True,
    )


def _held(output: Output, cells: Sequence[str | None]) -> list[int]:
    """How many images have each level or label."""
    codes = encode(output, cells)
    if output.kind == "labels":
        return [int(n) for n in (codes == 1).sum(axis=0)]
    return [int((codes == at).sum()) for at in range(len(output.levels))]


def _counts(table: ImageTable, target: str, id: str) -> Table:
    splits = [name for name in SPLITS if table.has_split(name)]
    places = table.splits or ("",) * len(table)
    counts = Counter(zip(table.labels[target], places, strict=True))
    classes = table.classes(target)
    most = max((sum(counts[label, at] for at in (*splits, "")) for label in classes), default=1) or 1
    columns = [
        Column("class"),
        *(Column(at, numeric=True) for at in splits),
        Column("all", numeric=True),
        Column("share of the largest class"),
    ]
    rows = []
    for label in classes:
        parts = [counts[label, at] for at in splits]
        total = sum(parts) + counts[label, ""]
        bars = tuple(part / most for part in (parts or [total]))
        rows.append(
            Row(
                (
                    Entry(label, label.casefold()),
                    *(_number(part) for part in parts),
                    _number(total),
                    Entry("", total, bars=bars),
                )
            )
        )
    caption = (
        "Images by class and split. The longer the bar, the larger the class; where bars are very unequal, "
    )
    caption += "balanced accuracy tells more than accuracy."
    return Table(f"{id}-counts", caption, tuple(columns), tuple(rows), sortable=True, legend=tuple(splits))


def _number(n: int) -> Entry:
    return Entry(f"{n:,}", n)


def examples(
    table: ImageTable, target: str, book: PictureBook, id: str, outputs: Sequence[dict[str, Any]] = (), *,
    n_classes: int = CLASSES_SHOWN, n_each: int = EXAMPLES_SHOWN,
) -> Gallery | None:  # fmt: skip
    """So many pictures of each of the largest classes; of several outputs those of the first that has classes."""
    if outputs:
        named = [each["name"] for each in outputs if each["kind"] in ("classes", "ordinal")]
        if not named:
            return None
        target = named[0]
    rows_of: dict[str, list[int]] = {}
    for row in sorted(range(len(table)), key=lambda at: table.digests[at]):
        if (label := table.labels[target][row]) is not None:
            rows_of.setdefault(label, []).append(row)
    largest = sorted(rows_of, key=lambda label: (-len(rows_of[label]), label))[:n_classes]
    shown: dict[str, list[Picture]] = {label: [] for label in sorted(largest)}
    for turn in range(n_each):
        for label in shown:
            if turn < len(rows_of[label]) and (
                made := book.picture(table, rows_of[label][turn], side=EXAMPLE_SIDE)
            ):
                shown[label].append(made)
    if not any(shown.values()):
        return None
    groups = tuple(
        (label, count(len(rows_of[label]), "image"), tuple(pictures)) for label, pictures in shown.items()
    )
    caption = "Examples of each class, taken by order of content hash, which is as good as by lot."
    if len(rows_of) > n_classes:
        caption += f" The {n_classes} largest of {len(rows_of)} classes are shown."
    return Gallery(f"{id}-examples", f"{caption} {book.remark()}".strip(), groups)


def _left_out(table: ImageTable, id: str) -> list[Block]:
    if not table.problems:
        return [Paragraph("No image was left out.")]
    n = len(table.problems)
    reasons = Counter(problem.reason.split(":")[0] for problem in table.problems)
    caption = f"{count(n, 'file was', 'files were')} left out: "
    caption += listed(f"{times:,} {reason}" for reason, times in reasons.most_common(6)) + "."
    if n > PROBLEMS_SHOWN:
        caption += f" The first {PROBLEMS_SHOWN} are listed."
    rows = [(problem.path, problem.reason) for problem in table.problems[:PROBLEMS_SHOWN]]
    return [plain_table(f"{id}-left-out", caption, ("file", "reason"), rows)]
