"""Several outputs on one dataset: every way of serving them, whether sharing helped, each output looked at closely."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from headstart.measure.cannot_tell import CannotTell
from headstart.measure.joint import ErrorsTogether
from headstart.measure.outputs import MEASURES, NUMBER, Measure, labelled
from headstart.measure.values import Score
from headstart.measure.verdict_words import p_short, points
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
from headstart.report.figures import said_against_true
from headstart.report.pictures import PictureBook
from headstart.report.run_links import RUNS
from headstart.report.sections.best import (
    binned,
    confusion_table,
    reliability_bins,
    reliability_figure,
    share_entry,
)
from headstart.report.sections.error_maps import error_maps_of_output
from headstart.report.sections.results import run_entry
from headstart.report.sharing import (
    NAMES,
    SEPARATE,
    SHARED,
    Ways,
    answers_of,
    helped,
    outputs_of,
    plain_name,
    ranked_jointly,
    training_words,
    ways_of,
)
from headstart.report.verdict import results_of
from headstart.report.wording import (
    DASH,
    count,
    decimal,
    duration,
    interval,
    listed,
    percent,
    scored,
    total_seconds,
)
from headstart.study.joint_cells import JOINT
from headstart.study.records import CellResult, MethodSummary, StudyRecord

LEVELS_SHOWN, DOTS_SHOWN = 30, 3000
KINDS = {
    "classes": "one of {n} classes", "labels": "any of {n} labels", "ordinal": "one of {n} ordered levels",
    "number": "a number",
}  # fmt: skip
TESTED = (
    "Classes and ordered levels are compared by right and wrong, labels by the share of them that is right, numbers "
    "by the share of error saved against always saying the median."
)


def several_claims(record: StudyRecord, dataset: str) -> list[Claim]:
    """The best way of all, and for each method whether sharing helped."""
    rows = [row for row in ranked_jointly(record, dataset) if row.scores]
    if not rows:
        return []
    best = rows[0]
    said = f"Best on {dataset} for {listed(f['name'] for f in outputs_of(record, dataset))} together: {best.method}."
    if (score := best.scores.get(JOINT)) is not None:
        said += f" It has all outputs right at once for {scored(score)}, n = {score.n:,}"
    said += f", in {duration(total_seconds(best.seconds))}." if score is not None else ""
    claims = [Claim(said, best.cells, strong=True)]
    for ways in ways_of(record, dataset):
        claims += [
            Claim(shared_words(ways, way), _runs(ways), strong=True) for way in SHARED if _judged(ways, way)
        ]
    return claims


def shared_words(ways: Ways, way: str) -> str:
    """Whether a way of sharing helped against separate networks: accuracy output by output, and seconds.

    Examples
    --------
    >>> shared_words(ways, "hard")  # doctest: +SKIP
    'finetune lite0 last:2 224px: hard sharing helped on defect ...'
    """
    better, worse = helped(ways, way)
    if better and worse:
        found = f"helped on {listed(better)} and cost accuracy on {listed(worse)}"
    elif better or worse:
        found = f"helped on {listed(better)}" if better else f"cost accuracy on {listed(worse)}"
    else:
        found = "neither helped nor hurt any output that this study could tell"
    each = [_difference(name, ways, way) for name in ways.verdicts]
    said = f"{ways.name}: {NAMES[way]} {found}, against {NAMES[SEPARATE]} {ways.how} ({'; '.join(each)})"
    ratio = ways.seconds_ratio(way)
    one, apart = ways.row(way), ways.row(SEPARATE)
    if ratio is None or one is None or apart is None:
        return said + "."
    took = f"{duration(one.train_seconds)} against {duration(apart.train_seconds)} for all of them"
    return f"{said}, in {ratio:.2f} of the seconds of training ({took})."


def _judged(ways: Ways, way: str) -> bool:
    return ways.row(way) is not None and ways.row(SEPARATE) is not None and bool(ways.verdicts)


def _difference(output: str, ways: Ways, way: str) -> str:
    verdict = ways.verdicts[output].between(NAMES[way], NAMES[SEPARATE])
    name = "all at once" if output == JOINT else output
    if isinstance(verdict.difference, CannotTell):
        return f"{name}: {verdict.difference.reason}"
    sign = 1 if verdict.a == NAMES[way] else -1
    gap = sign * verdict.difference.value
    ends = sorted((sign * verdict.difference.low, sign * verdict.difference.high))
    return f"{name} {points(gap) if gap <= 0 else '+' + points(gap)} points, {points(ends[0])} to {points(ends[1])}"


def _runs(ways: Ways) -> tuple[str, ...]:
    return tuple(cell for row in ways.rows for cell in row.cells)


def several_section(record: StudyRecord, dataset: str, id: str, book: PictureBook) -> Section | None:
    """None where the study had no several outputs on this dataset; pictures are of the book."""
    rows = ranked_jointly(record, dataset)
    if not rows:
        return None
    title = (
        f"Several outputs: {dataset}" if len({row.dataset for row in record.joint}) > 1 else "Several outputs"
    )
    facts = outputs_of(record, dataset)
    if not facts:
        said = "No run of several outputs has finished yet."
        failed = next((row.errors[0] for row in rows if row.errors), "")
        return Section(id, title, (Paragraph(f"{said} {failed}".strip()),))
    blocks: list[Block] = [*several_claims(record, dataset), Paragraph(_opening(facts))]
    blocks += [Paragraph(said)] if (said := training_words(record, dataset)) else []
    blocks.append(_overview(record, rows, facts, id))
    blocks += [_pairs_table(ways, f"{id}-ways-{at}") for at, ways in enumerate(ways_of(record, dataset))]
    shown = next((r for r in results_of(record, rows[0]) if r.whole), None)
    blocks += _together(shown) if shown else []
    parts = [_output_section(record, rows, shown, fact, f"{id}-{at}", book) for at, fact in enumerate(facts)]
    return Section(id, title, tuple(blocks), tuple(parts))


def _opening(facts: tuple[dict[str, Any], ...]) -> str:
    each = [f"{fact['name']} ({KINDS[fact['kind']].format(n=len(fact['levels']))})" for fact in facts]
    missing = [
        f"{fact['name']}: {count(fact['n_missing'], 'test image')}" for fact in facts if fact["n_missing"]
    ]
    said = f"The outputs are {listed(each)}. Each is measured where it has its label"
    said += f" (without: {listed(missing)})" if missing else ""
    return (
        f"{said}, all at once where every label is there. Hard sharing is one network with a head an output, soft "
        "sharing a network each whose weights are drawn together, separate networks are trained one after the other: "
        "their seconds are the sum. What stays frozen is run once for all ways and counts for none. A frozen network "
        "is shared as it is. The score that chooses is the mean over the outputs on validation images or inner folds."
    )


def _overview(
    record: StudyRecord, rows: list[MethodSummary], facts: tuple[dict[str, Any], ...], id: str
) -> Table:
    best = record.best_joint.get(rows[0].dataset)
    joint = any(JOINT in row.scores for row in rows)
    columns = [
        Column("method"),
        Column("sharing"),
        Column("chosen by", "mean over the outputs", numeric=True),
    ]
    columns += [Column("all right", "every output right at once", numeric=True)] if joint else []
    firsts = [(fact["name"], MEASURES[fact["kind"]][0]) for fact in facts]
    columns += [Column(f"{name}: {measure.title}", measure.help, numeric=True) for name, measure in firsts]
    columns += [
        Column(
            "seconds", "of training, of separate networks the sum; of frozen ones of fitting", numeric=True
        ),
        Column("status"),
        RUNS,
    ]
    made = []
    for row in rows:
        fit = row.train_seconds if row.trains else row.seconds.get("fit")
        entries = [
            Entry(plain_name(row), plain_name(row).casefold()),
            Entry(row.sharing if row.trains else "frozen", row.sharing),
            Entry(percent(row.selection), row.selection),
            *([_entry(row.scores.get(JOINT), share=True)] if joint else []),
            *(_entry(row.scores.get(f"{name}/{m.key}"), share=m.share) for name, m in firsts),
            Entry(duration(fit), fit),
            Entry(row.status, row.status, small="; ".join(row.errors)[:160]),
            run_entry(row),
        ]
        made.append(
            Row(tuple(entries), "best" if row.method == best else "" if row.status == "done" else row.status)
        )
    caption = "Every method in every way, the best first. Under each score stands its 95 % interval over test images"
    caption += " and seeds." if any(row.n_seeds > 1 for row in rows) else "."
    return Table(f"{id}-table", caption, tuple(columns), tuple(made), sortable=True)


def _entry(score: Score | None, *, share: bool) -> Entry:
    if score is None:
        return Entry(DASH, None)
    shown = percent(score.value) if share else decimal(score.value)
    return Entry(shown, score.value, small=interval(score, as_percent=share))


def _pairs_table(ways: Ways, id: str) -> Table:
    """Every pair of ways on every output."""
    columns = (
        Column("output"), Column("way"), Column("against"), Column("difference", "in points", numeric=True),
        Column("p", "Holm-adjusted over the pairs of an output", numeric=True), Column("verdict"),
    )  # fmt: skip
    rows = []
    for output, found in ways.verdicts.items():
        for pair in found.pairs:
            gap = pair.difference
            told = Entry(DASH, None, small=gap.reason) if isinstance(gap, CannotTell) else Entry(
                points(gap.value), gap.value, small=f"{points(gap.low)} to {points(gap.high)}"
            )  # fmt: skip
            p = Entry(DASH, None) if isinstance(gap, CannotTell) else Entry(
                p_short(pair.p, pair.alpha), pair.p
            )  # fmt: skip
            name = "all right at once" if output == JOINT else output
            rows.append(
                Row((Entry(name, name), Entry(pair.a), Entry(pair.b), told, p, Entry(pair.kind, pair.kind)))
            )
    caption = f"{ways.name}: the ways of sharing compared {ways.how}, output by output. {TESTED} "
    caption += "Under a difference stands its interval at the confidence that Holm's correction asks for."
    return Table(id, caption, columns, tuple(rows), sortable=True, runs=_runs(ways))


def _together(shown: CellResult) -> list[Block]:
    """Whether errors of the best method's outputs fall on the same images."""
    joint = shown.joint
    if not joint or joint.get("value") is None:
        return []
    said = f"{shown.cell.method}"
    said += f", {shown.cell.place}" if shown.cell.seed is not None else ""
    said += (
        f": all outputs are right at once on {percent(joint['value'])} of {count(joint['n'], 'test image')}; "
    )
    said += f"were their errors independent, it would be {percent(joint['independent'])}."
    claims: list[Block] = [Claim(said, (shown.cell.id,))]
    for pair in joint["pairs"]:
        claims.append(Claim(_errors_of(pair).words, (shown.cell.id,)))
    return claims


def _errors_of(pair: dict[str, Any]) -> ErrorsTogether:
    known = {key: value for key, value in pair.items() if key != "expected"}
    high = np.inf if known["low"] is not None and known["high"] is None else known["high"]
    ratio = np.inf if known["low"] is not None and known["odds_ratio"] is None else known["odds_ratio"]
    numbers = {"odds_ratio": ratio, "low": known["low"], "high": high}
    return ErrorsTogether(**{**known, **{k: np.nan if v is None else v for k, v in numbers.items()}})


def _output_section(
    record: StudyRecord, rows: list[MethodSummary], shown: CellResult | None, fact: dict[str, Any], id: str,
    book: PictureBook,
) -> Section:  # fmt: skip
    blocks: list[Block] = [_measures_table(rows, fact, id)]
    own = None if shown is None else next((f for f in shown.outputs if f["name"] == fact["name"]), None)
    if shown is not None and own is not None:
        said = f"Looked at closely: {shown.cell.method}"
        said += f", {shown.cell.place}." if shown.cell.seed is not None else "."
        blocks.append(Claim(said, (shown.cell.id,)))
        blocks += _close(record, shown, own, id)
    blocks += error_maps_of_output(record, rows, fact["name"], book, id)
    return Section(id, f"{fact['name']}: {KINDS[fact['kind']].format(n=len(fact['levels']))}", tuple(blocks))


def _measures_table(rows: list[MethodSummary], fact: dict[str, Any], id: str) -> Table:
    measures: tuple[Measure, ...] = MEASURES[fact["kind"]]
    columns = (
        Column("method"), Column("sharing"), *(Column(m.title, m.help, numeric=True) for m in measures), RUNS,
    )  # fmt: skip
    made = tuple(
        Row((
            Entry(plain_name(row), plain_name(row).casefold()),
            Entry(row.sharing if row.trains else "frozen", row.sharing),
            *(_entry(row.scores.get(f"{fact['name']}/{m.key}"), share=m.share) for m in measures),
            run_entry(row),
        ))
        for row in rows
        if row.scores
    )  # fmt: skip
    caption = (
        f"{fact['name']}: every method in every way, on {count(fact['n'], 'test image')} with this label."
    )
    return Table(f"{id}-measures", caption, columns, made, sortable=True)


def _close(record: StudyRecord, shown: CellResult, fact: dict[str, Any], id: str) -> list[Block]:
    """Confusion or labels one by one, and calibration."""
    seen: list[Table | Figure] = []
    if fact["confusion"]:
        levels = tuple(map(str, fact["levels"]))
        seen.append(confusion_table(replace(shown, classes=levels, confusion=fact["confusion"]), id))
    elif fact["kind"] == "labels":
        seen.append(_labels_table(fact, id, shown.cell.id))
    drawn = _calibration(record, shown, fact, id)
    seen += [drawn] if drawn is not None else []
    wide = len(fact["levels"]) > LEVELS_SHOWN
    return list(seen) if wide or len(seen) < 2 else [Beside(tuple(seen))]


def _labels_table(fact: dict[str, Any], id: str, run: str) -> Table:
    keys = (("precision", "precision"), ("recall", "recall"), ("f1", "F1"), ("ap", "average precision"))
    columns = (
        Column("label"), *(Column(title, numeric=True) for _, title in keys),
        Column("threshold", "chosen on validation", numeric=True), Column("test images", numeric=True),
    )  # fmt: skip
    rows = []
    for label in fact["levels"]:
        of = fact["per_level"].get(label, {})
        entries = [share_entry(of, key) for key, _ in keys]
        n, limit = int(of.get("n", 0)), of.get("threshold")
        rows.append(
            Row(
                (
                    Entry(label, label.casefold()),
                    *entries,
                    Entry(decimal(limit, 2), limit),
                    Entry(f"{n:,}", n),
                )
            )
        )
    known = any(f"{key}_low" in of for of in fact["per_level"].values() for key, _ in keys)
    spans = (
        "; under precision, recall and F1 stand their 95 % intervals over these test images" if known else ""
    )
    return Table(
        f"{id}-labels",
        f"Each label by itself{spans}.",
        columns,
        tuple(rows),
        sortable=True,
        runs=(run,),
    )


def _calibration(record: StudyRecord, shown: CellResult, fact: dict[str, Any], id: str) -> Figure | None:
    if shown.cell.id not in record.probabilities or shown.cell.dataset not in record.tables:
        return None
    truth, given = next((t, g) for f, t, g in answers_of(record, shown) if f["name"] == fact["name"])
    there, runs = labelled(fact["kind"], truth), (shown.cell.id,)
    truth, given = truth[there], given[there]
    if not len(truth):
        return None
    if fact["kind"] == NUMBER:
        slope, bias = (shown.scores.get(f"{fact['name']}/{key}") for key in ("slope", "bias"))
        caption = f"Answers against true numbers, {count(len(truth), 'test image')}."
        caption += (
            f" Slope of the truth on the answers {decimal(slope.value, 2)} (1: calibrated)" if slope else ""
        )
        caption += f", mean of answer minus truth {bias.value:.3g}." if bias else ""
        svg = said_against_true(truth[:DOTS_SHOWN].tolist(), given[:DOTS_SHOWN].tolist(), fact["name"])
        return Figure(f"{id}-dots", caption, svg, f"Said against true {fact['name']}", (), runs)
    score = shown.scores.get(f"{fact['name']}/ece")
    if fact["kind"] == "labels":
        bins = binned(given.ravel(), truth.ravel() == 1)
    else:
        bins = reliability_bins(truth, given)
    return reliability_figure(bins, score.value if score else None, id, runs)
