"""The task retrieval on one dataset: layers and backbones ranked for search, mAP by layer, classes hard to find.

What is said of who is better, in words, table and drawing, is `headstart.report.told_search`.
"""

from __future__ import annotations

from headstart.measure.values import Score
from headstart.report.document import (
    Beside,
    Block,
    Claim,
    Column,
    Entry,
    Figure,
    Paragraph,
    Row,
    Section,
    Table,
)
from headstart.report.figure_style import Mark
from headstart.report.figures import accuracy_by_step
from headstart.report.run_links import RUNS
from headstart.report.sections.results import against_entry, cells_of, depth_order, run_entry
from headstart.report.sections.sizes import pixels
from headstart.report.sections.told_apart import HOLM, gap_column, gap_entry, told_figure
from headstart.report.told import ToldApart
from headstart.report.told_search import search_told
from headstart.report.verdict import results_of, told_claims
from headstart.report.wording import (
    DASH,
    count,
    duration,
    interval,
    percent,
    scored,
    search_measures,
    total_seconds,
)
from headstart.study.records import MethodSummary, StudyRecord
from headstart.study.retrieval import K

METRICS = search_measures(K)
CLASSES_SHOWN = 12


def ranked_for_search(record: StudyRecord, dataset: str) -> list[MethodSummary]:
    """Rows of the task on one dataset: the best by the choosing score first."""
    best = record.best_retrieval.get(dataset)
    rows = [row for row in record.retrieval if row.dataset == dataset]
    return sorted(rows, key=lambda row: (row.method != best, -(row.standing or -1.0), row.method))


def search_claims(record: StudyRecord, dataset: str) -> list[Claim]:
    """What is best for search, and whether the next can be told from it."""
    rows = [row for row in ranked_for_search(record, dataset) if "map" in row.scores]
    if not rows:
        return []
    best, score = rows[0], rows[0].scores["map"]
    said = (
        f"For search in {dataset}, {best.method} is best by the choosing score: mAP {scored(score)}, "
        f"{percent(best.scores['precision_at_k'].value)} of the ten nearest are of the query's class."
    )
    claims = [Claim(said, best.cells, strong=True)]
    told = search_told(record, ranked_for_search(record, dataset))
    if told is not None:
        claims += told_claims(told)
    elif len(rows) > 1:
        others = count(len(rows) - 1, "other way", "other ways")
        said = f"Whether it is better than the {others} of searching was not tested: {_untold(rows)}."
        claims.append(Claim(said, tuple(cell for row in rows for cell in row.cells)))
    return claims


def _untold(rows: list[MethodSummary]) -> str:
    if rows[0].status != "done" or all(row.status != "done" for row in rows[1:]):
        return "not all of their runs are there"
    return "what each query found is not in the record"


def retrieval_section(record: StudyRecord, dataset: str, id: str) -> Section | None:
    """None where the study had no such task."""
    rows = ranked_for_search(record, dataset)
    if not rows:
        return None
    several = len({row.dataset for row in record.retrieval}) > 1
    told = (
        "Each test image is searched among the training images; an image of its class is a hit. Copies and near-copies "
        "of the query are left out of the ranking."
    )
    found = search_told(record, rows)
    blocks: list[Block] = [
        *search_claims(record, dataset),
        Paragraph(told),
        _table(record, rows, found, id),
        *(told_figure(record, found, id) if found is not None else ()),
    ]
    drawn = _figures(record, [row for row in rows if "map" in row.scores], id)
    blocks += [Beside(tuple(drawn))] if drawn else []
    hard = _classes(record, rows[0], id)
    return Section(id, f"Search: {dataset}" if several else "Search", (*blocks, *([hard] if hard else [])))


def _name(row: MethodSummary) -> str:
    parts = (row.backbone, row.layer, row.pooling if row.layer != "pool" else "", row.head)
    return " ".join(filter(None, parts))


def _table(record: StudyRecord, rows: list[MethodSummary], told: ToldApart | None, id: str) -> Table:
    cells, best = cells_of(record), record.best_retrieval.get(rows[0].dataset)
    columns = (
        *(Column(title) for title in ("backbone", "pixels", "layer", "pooling", "compared by")),
        Column("choosing score", "mAP on images outside test; picks the best", numeric=True),
        *(Column(title, told, numeric=True) for _, title, told in METRICS),
        *((gap_column(told),) if told is not None else ()),
        Column("against the best", "by the paired test of mAP, with Holm's correction over all pairs"),
        Column("n", "queries that have something to find", numeric=True),
        Column("seconds", "wall clock: features of all images, and the search", numeric=True),
        Column("status"),
        RUNS,
    )
    made = tuple(
        Row(
            (
                *(Entry(text or DASH, text) for text in (row.backbone, pixels(cells, row), row.layer, row.pooling)),
                Entry(row.head, row.head),
                Entry(percent(row.selection), row.selection),
                *(_score(row.scores.get(key)) for key, *_ in METRICS),
                *((gap_entry(told.pair(row.method)),) if told is not None else ()),
                against_entry(row, told),
                Entry(f"{row.scores['map'].n:,}" if "map" in row.scores else DASH),
                Entry(duration(total_seconds(row.seconds)), total_seconds(row.seconds)),
                Entry(row.status, row.status, small="; ".join(row.errors)[:160]),
                run_entry(row),
            ),
            "best" if row.method == best else "" if row.status == "done" else row.status,
        )
        for row in rows
    )  # fmt: skip
    caption = "Layers and backbones for search, the best first. Under each score stands its 95 % interval over queries"
    caption += (
        "." if told is None else f", under a difference the one at the confidence that {HOLM} asks for."
    )
    return Table(f"{id}-table", caption, columns, made, sortable=True)


def _score(score: Score | None) -> Entry:
    return (
        Entry(DASH, None)
        if score is None
        else Entry(percent(score.value), score.value, small=interval(score))
    )


def _figures(record: StudyRecord, rows: list[MethodSummary], id: str) -> list[Figure]:
    made = []
    scores = [row.scores["map"] for row in rows]
    span = (min((s.low for s in scores), default=0.0), max((s.high for s in scores), default=1.0))
    for number, backbone in enumerate(dict.fromkeys(row.backbone for row in rows)):
        own = [row for row in rows if row.backbone == backbone]
        layers = depth_order(record, own, backbone)
        if len(layers) < 2:
            continue
        marks = [
            Mark(f"{row.head} {row.pooling}", layers.index(row.layer), s.value, s.low, s.high)
            for row in own
            for s in (row.scores["map"],)
        ]
        svg = accuracy_by_step(layers, marks, span, "layer, shallow to deep", "mAP, %")
        caption = f"mAP of {backbone} by layer, shallow to deep, with 95 % intervals over queries."
        runs = tuple(cell for row in own for cell in row.cells)
        made.append(Figure(f"{id}-layers-{number}", caption, svg, f"mAP of {backbone} by layer", (), runs))
    return made


def _classes(record: StudyRecord, best: MethodSummary, id: str) -> Table | None:
    """The classes that the best way finds worst."""
    results = results_of(record, best)
    if not results or not results[0].per_class:
        return None
    found = sorted(results[0].per_class.items(), key=lambda pair: pair[1]["map"])
    rows = tuple(
        Row(
            (
                Entry(name, name),
                *(Entry(percent(of[key]), of[key]) for key, *_ in METRICS),
                Entry(f"{of['n']:.0f}", of["n"]),
            )
        )
        for name, of in found[:CLASSES_SHOWN]
    )
    columns = (
        Column("class"),
        *(Column(t, told, numeric=True) for _, t, told in METRICS),
        Column("n", numeric=True),
    )
    caption = f"{_name(best)} by class, the hardest to find first"
    caption += "." if len(found) <= CLASSES_SHOWN else f" ({CLASSES_SHOWN} of {len(found)})."
    return Table(
        f"{id}-classes", caption, columns, rows, sortable=True, folded="Classes, the hardest to find first"
    )
