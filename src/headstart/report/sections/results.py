"""The results of one dataset: the table of methods, accuracy against seconds, accuracy by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headstart.measure.values import Score
from headstart.report.division import repeats
from headstart.report.document import Beside, Block, Column, Entry, Figure, Paragraph, Row, Section, Table
from headstart.report.figure_style import Mark
from headstart.report.figures import accuracy_by_layer
from headstart.report.run_links import RUNS, runs_entry
from headstart.report.sections.costs import cost_figures
from headstart.report.sections.curves import curve_blocks
from headstart.report.sections.shifted import shift_blocks, shift_columns, shift_entries
from headstart.report.sections.sizes import pixels, size_blocks
from headstart.report.told import ToldApart
from headstart.report.verdict import accuracy, datasets, ranked, selected_on
from headstart.report.wording import (
    DASH,
    decimal,
    duration,
    interval,
    listed,
    percent,
    seconds_parts,
    size,
    total_seconds,
)
from headstart.study.records import Cell, MethodSummary, StudyRecord

Cells = dict[str, Cell]
SERIES_SHOWN = 8
PARTS = ("scenario", "backbone", "layer", "cut", "augment", "pooling", "head", "options")
METRICS = (
    ("accuracy", "accuracy"),
    ("balanced_accuracy", "balanced accuracy"),
    ("macro_f1", "macro F1"),
    ("log_loss", "log loss"),
    ("ece", "ECE"),
)


def cells_of(record: StudyRecord) -> Cells:
    """Every cell that has run, by its id."""
    return record.cells


def results_section(
    record: StudyRecord, dataset: str, id: str, inner: tuple[Section, ...], told: ToldApart | None
) -> Section:
    """Table and plots of one dataset; `inner` are the sections that follow in it."""
    rows = ranked(record, dataset)
    title = "Results" if len(datasets(record)) == 1 else f"Results: {dataset}"
    if not rows:
        return Section(id, title, (Paragraph("No method was planned for this dataset."),), inner)
    blocks: list[Block] = [results_table(record, dataset, id, told)]
    scored = [row for row in rows if accuracy(row) is not None]
    by, of = _shape_of([row for row in scored if not row.trains], cells_of(record))
    names = {row.method: _trained_series(row, scored) if row.trains else of(row) for row in scored}
    drawn = cost_figures(record, dataset, scored, (_shapes(scored, by), names), id, told)
    blocks += [Beside(tuple(drawn))] if drawn else []
    drawn = _layer_figures(record, [row for row in scored if not row.trains and not row.tuned], id)
    blocks += [Beside(tuple(drawn))] if drawn else []
    blocks += shift_blocks(record, dataset, id)
    blocks += size_blocks(record, scored, id)
    blocks += curve_blocks(record, dataset, id)
    return Section(id, title, tuple(blocks), inner)


def results_table(record: StudyRecord, dataset: str, id: str, told: ToldApart | None) -> Table:
    """One row a method, the best first; failed, partial and missing rows stand in it too."""
    rows = ranked(record, dataset)
    cells = cells_of(record)
    sizes = {row.method: pixels(cells, row) for row in rows}
    varying = [part for part in PARTS if _varies(rows, part)] or ["scenario"]
    by_size = len(set(sizes.values()) - {""}) > 1
    columns = [
        Column("#", "rank: the best first, then by the choosing score less one standard error", numeric=True),
        *(Column(part) for part in varying),
    ]
    columns += [Column("pixels")] if by_size else []
    parts = " + ".join(dict.fromkeys(name for row in rows for name in row.seconds if name != "total"))
    trains = any(row.trains for row in rows)
    scores = _score_columns(selected_on(record, dataset), parts, trains, f"{repeats(record, dataset)}s")
    columns += [*scores[:2], *shift_columns(rows), *scores[2:]]
    best = record.best.get(dataset)
    made = []
    for rank, row in enumerate(rows, start=1):
        mark = (
            "best" if row.method == best else {"done": "", "missing": "not run"}.get(row.status, row.status)
        )
        entries = [Entry(str(rank), rank, small=mark), *(_name(getattr(row, part)) for part in varying)]
        entries += [_name(sizes[row.method])] if by_size else []
        own = _scores(row, trains, told)
        made.append(
            Row(
                (*entries, *own[:2], *shift_entries(row, rows), *own[2:]),
                "best" if row.method == best else row.status if row.status != "done" else "",
            )
        )
    same = (
        [f"{part} {value}" for part in PARTS[:-1] if part not in varying and (value := _shared(rows, part))]
        if len(rows) > 1
        else []
    )
    same += [f"{sizes[rows[0].method]} pixels"] if not by_size and sizes[rows[0].method] else []
    caption = (
        "Methods, the best first. Under each score stands its 95 % interval over test images and "
        f"{repeats(record, dataset)}s. "
    )
    caption += "Touch a heading to sort; the choosing score alone picks the best."
    caption += f" Seconds are {parts}." if "+" in parts else ""
    if same:
        caption += f" The same in every row: {listed(same)}."
    return Table(f"{id}-table", caption, tuple(columns), tuple(made), sortable=True)


def _shared(rows: Sequence[MethodSummary], part: str) -> str:
    """What a part is in every row; "" where it is not the same in all."""
    values = {str(getattr(row, part)) for row in rows}
    return values.pop() if len(values) == 1 else ""


def _varies(rows: Sequence[MethodSummary], part: str) -> bool:
    """Whether methods differ in a part; augmentation is of those that train alone."""
    return len({getattr(row, part) for row in rows if part != "augment" or row.trains}) > 1


_TRAINING_COLUMNS = (
    Column("training", "seconds of training alone, part of the fit", numeric=True),
    Column("images seen", "images that training took a step on, views counted each time", numeric=True),
)


def _score_columns(chosen_on: str, parts: str, trains: bool, runs: str) -> list[Column]:
    titles = {"log_loss": "lower is better", "ece": "expected calibration error; lower is better"}
    return [
        Column("choosing score", f"accuracy on {chosen_on}; picks the best", numeric=True),
        *(Column(title, titles.get(key, "on the test images"), numeric=True) for key, title in METRICS),
        Column(
            "against the best",
            "by the paired test, over test images, splits or folds, with Holm's correction over all pairs",
        ),
        Column("n", "test images", numeric=True),
        Column(runs, numeric=True),
        Column("seconds", f"wall clock: {parts}", numeric=True),
        *(_TRAINING_COLUMNS if trains else ()),
        Column("peak memory", numeric=True),
        Column("model size", numeric=True),
        Column("status"),
        RUNS,
    ]


def _name(text: str) -> Entry:
    return Entry(text or DASH, text.casefold() or None)


def _scores(row: MethodSummary, trains: bool, told: ToldApart | None) -> list[Entry]:
    took = total_seconds(row.seconds)
    n = max((score.n for score in row.scores.values()), default=0)
    return [
        Entry(percent(row.selection), row.selection),
        *(_score(row.scores.get(key), as_percent=key not in ("log_loss", "ece")) for key, _ in METRICS),
        against_entry(row, told),
        Entry(f"{n:,}" if n else DASH, n or None),
        Entry(str(row.n_seeds) if row.n_seeds else DASH, row.n_seeds or None),
        Entry(duration(took), took, small=seconds_parts(row.seconds)),
        *(_training(row) if trains else ()),
        Entry(size(row.peak_bytes), row.peak_bytes or None),
        Entry(size(row.model_bytes), row.model_bytes or None),
        Entry(_status(row), row.status, small="; ".join(row.errors)[:160]),
        run_entry(row),
    ]


def against_entry(row: MethodSummary, told: ToldApart | None) -> Entry:
    """What the method is against the best, by the verdicts that every other part tells."""
    if told is None:
        return Entry(DASH, None)
    kind = "the best" if row.method == told.best.method else told.kind(row.method)
    return _name(kind)


def run_entry(row: MethodSummary) -> Entry:
    """The first run of a method with a link to it, and how many more there are; a dash where none has run."""
    if not (row.n_seeds or row.n_failed):
        return Entry(DASH, None)
    return runs_entry(row.cells)


def _training(row: MethodSummary) -> tuple[Entry, Entry]:
    seen = row.images_seen or None
    return (
        Entry(duration(row.train_seconds), row.train_seconds),
        Entry(f"{seen:,}" if seen else DASH, seen),
    )


def _status(row: MethodSummary) -> str:
    if row.status in ("done", "failed"):
        return row.status
    if row.status == "cut":
        return "cut by the budget"
    if row.status == "missing":
        return "not run yet"
    missing = len(row.cells) - row.n_seeds - row.n_failed
    parts = [f"{n} {word}" for n, word in ((row.n_failed, "failed"), (missing, "not run")) if n]
    return f"partial: {listed(parts)} of {len(row.cells)}"


def _score(score: Score | None, *, as_percent: bool) -> Entry:
    if score is None:
        return Entry(DASH, None)
    shown = percent(score.value) if as_percent else decimal(score.value)
    return Entry(shown, score.value if shown != DASH else None, small=interval(score, as_percent=as_percent))


def _trained_series(row: MethodSummary, rows: Sequence[MethodSummary]) -> str:
    """The scenario, with the cut where one scenario has several."""
    cuts = {each.cut for each in rows if each.scenario == row.scenario}
    return f"{row.scenario} {row.cut}" if len(cuts) > 1 else row.scenario


def _shape_of(rows: list[MethodSummary], cells: Cells) -> tuple[str, Callable[[MethodSummary], str]]:
    """What the marks of one shape share: a head or a backbone, else a size, where there are several."""
    by = _fewer(rows, ("options", "head", "backbone"))
    if len({getattr(row, by) for row in rows}) < 2 and len({pixels(cells, row) for row in rows}) > 1:
        return "size", lambda row: pixels(cells, row)
    return by, lambda row: str(getattr(row, by))


def _shapes(rows: Sequence[MethodSummary], by: str) -> str:
    by = "kind of options" if by == "options" else by
    kinds = [by] * any(not row.trains for row in rows) + ["scenario"] * any(row.trains for row in rows)
    return " or ".join(kinds)


def _fewer(rows: Sequence[MethodSummary], parts: Sequence[str]) -> str:
    """The first part of the method's name that gives from two to `SERIES_SHOWN` series."""
    fitting = [part for part in parts if 2 <= len({getattr(row, part) for row in rows}) <= SERIES_SHOWN]
    return fitting[0] if fitting else min(parts, key=lambda part: len({getattr(row, part) for row in rows}))


def _mark(row: MethodSummary, series: str, x: float) -> Mark:
    score = accuracy(row)
    if score is None:
        raise ValueError(f"{row.method} has no accuracy to draw")
    return Mark(series, x, score.value, score.low, score.high)


def depth_order(record: StudyRecord, rows: Sequence[MethodSummary], backbone: str) -> list[str]:
    """Layers of one backbone, shallow to deep, by the order of its card; unknown ones last."""
    cells = cells_of(record)
    known: dict[str, str] = dict((record.cards.get(backbone) or {}).get("layers") or {})
    modules = {row.layer: cells[id].module for row in rows for id in row.cells if id in cells}
    names, places = list(known), list(known.values())

    def depth(layer: str) -> tuple[float, str]:
        if layer in names:
            return float(names.index(layer)), layer
        module = modules.get(layer, layer)
        inside = [at for at, place in enumerate(places) if module == place or module.startswith(f"{place}.")]
        return (
            (inside[-1] - (0.5 if module != places[inside[-1]] else 0.25), layer)
            if inside
            else (len(names), layer)
        )

    return sorted(dict.fromkeys(row.layer for row in rows), key=depth)


def _layer_figures(record: StudyRecord, scored: Sequence[MethodSummary], id: str) -> list[Figure]:
    figures: list[Figure] = []
    span, cells = _span(scored), cells_of(record)
    for number, backbone in enumerate(dict.fromkeys(row.backbone for row in scored)):
        rows = [row for row in scored if row.backbone == backbone]
        layers = depth_order(record, rows, backbone)
        if len(layers) < 2:
            continue
        series = _series(cells, rows)
        leading = sorted(
            {series(row) for row in rows},
            key=lambda name: -max(row.standing or 0 for row in rows if series(row) == name),
        )
        shown = [row for row in rows if series(row) in leading[:SERIES_SHOWN]]
        shown.sort(key=series)
        marks = [_mark(row, series(row), layers.index(row.layer)) for row in shown]
        tops = [
            max((row for row in rows if row.layer == layer), key=lambda row: row.standing or 0)
            for layer in layers
        ]
        caption = f"Test accuracy of {backbone} by layer, shallow to deep, with 95 % intervals."
        caption += _where_highest(tops)
        if len(leading) > SERIES_SHOWN:
            caption += f" The {SERIES_SHOWN} best of {len(leading)} lines are drawn."
        runs = tuple(id for row in shown for id in row.cells)
        figures.append(
            Figure(
                f"{id}-layers-{number}",
                caption,
                accuracy_by_layer(layers, marks, span),
                f"Accuracy of {backbone} by layer",
                (),
                runs,
            )
        )
    return figures


def _where_highest(tops: Sequence[MethodSummary]) -> str:
    """Where the choosing score is highest, of the best method of each layer, shallow to deep.

    Layers within one standard error of the highest are as good: then none is named.
    """
    known = [(row.layer, row.selection, row.standing) for row in tops]
    scored = [(layer, score, low) for layer, score, low in known if score is not None and low is not None]
    if not scored:
        return ""
    least = max(low for *_, low in scored)
    level, deepest = [layer for layer, score, _ in scored if score >= least], tops[-1].layer
    if len(level) == 1:
        where = (
            "the deepest layer taken" if level[0] == deepest else f"before the deepest layer taken, {deepest}"
        )
        return f" The choosing score is highest at {level[0]} ({where})."
    if len(level) == len(tops):
        return " No layer stands out: at each the choosing score is within one standard error of the highest."
    return f" The choosing score is as good at {listed(level)} as anywhere: within one standard error of the highest."


def _span(rows: Sequence[MethodSummary]) -> tuple[float, float]:
    """Least and greatest end of an interval, so that the drawings of all backbones share one axis."""
    scores = [score for row in rows if (score := accuracy(row)) is not None]
    return min((score.low for score in scores), default=0.0), max(
        (score.high for score in scores), default=1.0
    )


def _series(cells: Cells, rows: Sequence[MethodSummary]) -> Callable[[MethodSummary], str]:
    """The name of a line: the head, with pooling, scenario and size where they differ."""
    extra = [part for part in ("scenario", "pooling") if len({getattr(row, part) for row in rows}) > 1]
    by_size = len({pixels(cells, row) for row in rows}) > 1

    def name(row: MethodSummary) -> str:
        parts = [
            row.head,
            *(getattr(row, part) for part in extra),
            *([pixels(cells, row)] if by_size else []),
        ]
        return " ".join(parts)

    return name
