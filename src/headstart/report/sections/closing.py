"""What went wrong, and how to repeat the study."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from headstart.report.document import Beside, Block, Entry, Paragraph, Points, Section, Table, plain_table
from headstart.report.run_links import place_of, runs_entry, telling
from headstart.report.verdict import missing_claims
from headstart.report.wording import DASH, count, duration, percent, size, total_seconds
from headstart.study.records import StudyRecord
from headstart.study.spec import TRAINING
from headstart.study.spec_values import per_class_word

OF_TRAINING = {*TRAINING, "train_input_size", "train_seeds", "train_seconds", "equal"}
ROWS_SHOWN = 200


def wrong_section(record: StudyRecord) -> Section:
    """Failed and missing runs, warnings, images left out: nothing is silently dropped."""
    blocks: list[Block] = [*missing_claims(record)]
    failed = [result for result in record.results if result.status == "failed"]
    if failed:
        words = telling(record)
        rows: list[tuple[Entry | str, ...]] = [
            (
                *(said(result.cell) for said in words.values()),
                result.error,
                runs_entry((result.cell.id,)),
            )
            for result in failed[:ROWS_SHOWN]
        ]
        blocks.append(
            plain_table(
                "failed",
                _first("Runs that failed", len(failed)),
                (*words, "error", "run"),
                rows,
            )
        )
    blocks += _findings(record) + _cut(record) + _missing(record)
    warnings = list(
        dict.fromkeys((*record.warnings, *(note for result in record.results for note in result.notes)))
    )
    if warnings:
        blocks.append(Points(tuple(warnings[:ROWS_SHOWN]), _first("Warnings", len(warnings))))
    for table in record.tables.values():
        if table.problems:
            blocks.append(
                Paragraph(
                    f"{table.name}: {count(len(table.problems), 'file was', 'files were')} left out; "
                    "the list stands with the data."
                )
            )
    if not blocks:
        blocks.append(
            Paragraph("Nothing: every planned run finished, there was no warning, and no image was left out.")
        )
    return Section("wrong", "What went wrong", tuple(blocks))


def _findings(record: StudyRecord) -> list[Block]:
    """Signs that a result is not what it seems, each with what to do."""
    rows = [
        (
            each.dataset,
            each.method,
            Entry(each.finding.message, small=f"{each.finding.kind}, {each.finding.level}"),
            each.finding.advice,
            runs_entry(each.runs),
        )
        for each in record.findings[:ROWS_SHOWN]
    ]
    if not rows:
        return []
    title = _first("Signs that a result is not what it seems", len(record.findings))
    return [plain_table("findings", title, ("dataset", "method", "what was seen", "what to do", "run"), rows)]


def _cut(record: StudyRecord) -> list[Block]:
    """What the race under the budget cut, when, and at which score."""
    rows = [
        (
            cut.dataset,
            cut.method,
            Entry(
                f"{cut.rung} of {cut.n_rungs}", small=f"{count(cut.epochs, 'epoch')}, {duration(cut.seconds)}"
            ),
            Entry(percent(cut.score), cut.score, small=cut.error[:160]),
            Entry(percent(cut.least_kept), cut.least_kept),
            Entry(duration(cut.after_seconds), cut.after_seconds),
        )
        for cut in record.cut
    ]
    if not rows:
        return []
    caption = (
        "Cut by the budget. Methods that train race under the first seed: at each rung the worse half by "
        "validation is cut and the rest train twice as long (successive halving; Jamieson and Talwalkar, "
        "AISTATS 2016). Test images are not looked at. The same command without a budget runs all of them whole."
    )
    titles = ("dataset", "method", "rung", "its score", "worst that went on", "cut after")
    return [plain_table("cut", caption, titles, rows)]


def _missing(record: StudyRecord) -> list[Block]:
    ran = {result.cell.id for result in record.results}
    rows = [
        (row.dataset, row.method, f"{lacking} of {len(row.cells)}")
        for row in record.summaries
        if row.status != "cut" and (lacking := sum(id not in ran for id in row.cells))
    ]
    if not rows:
        return []
    return [
        plain_table(
            "missing",
            _first("Methods with runs that have not been made", len(rows)),
            ("dataset", "method", "runs missing"),
            rows[:ROWS_SHOWN],
        )
    ]


def _first(title: str, n: int) -> str:
    return f"{title}: {n:,}." + (f" The first {ROWS_SHOWN} are listed." if n > ROWS_SHOWN else "")


def repeat_section(record: StudyRecord) -> Section:
    """Everything that is needed to run the study again."""
    blocks: list[Block] = []
    if record.command:
        blocks.append(Points((record.command,), "The command", code=True))
    if record.planned:
        made = f"{len(record.results):,} of {count(record.n_planned, 'planned run was', 'planned runs were')} made."
        blocks.append(Paragraph(f"The study took {duration(record.seconds_total)} in all; {made}"))
        blocks.append(Paragraph("Seeds: " + _seeds(record)))
    facts = (
        _facts("spec", "The specification", _told(record.spec)),
        _facts("machine", "The machine", record.machine),
        _facts("versions", "Versions", record.versions),
    )
    told = tuple(table for table in facts if table.rows)
    blocks += [Beside(told)] if told else []
    if record.engines:
        blocks.append(_engines(record.engines))
    blocks += [_datasets(record)] if record.tables else []
    return Section("repeat", "How to repeat it", tuple(blocks))


def runs_section(record: StudyRecord) -> Section:
    """The appendix that the numbers lead to: every run with its id."""
    made: Block = _runs(record) if record.results else Paragraph("No run was made yet.")
    return Section("run-list", "Runs", (made,))


def _seeds(record: StudyRecord) -> str:
    cells = [result.cell for result in record.results]
    seeds = sorted({cell.seed for cell in cells if cell.seed is not None and not cell.fold})
    said = ", ".join(map(str, seeds)) if seeds else "none drawn"
    if n_folds := len({cell.fold for cell in cells if cell.fold}):
        said += f"; {count(n_folds, 'given fold stands', 'given folds stand')} in their place"
    if any(result.cell.seed is None for result in record.results):
        said += ". Where the seed changes nothing a method ran once, so that no spread is a false zero"
    return said + "."


def _told(spec: dict[str, Any]) -> dict[str, Any]:
    """The specification, less the options of training where nothing trains."""
    if isinstance(numbers := spec.get("per_class"), list | tuple):
        spec = {**spec, "per_class": [per_class_word(number) for number in numbers]}
    if trains := set(spec.get("scenario", ())) - {"features"}:
        return spec if "finetune" in trains else {n: v for n, v in spec.items() if n != "trainable"}
    return {name: value for name, value in spec.items() if name not in OF_TRAINING}


def _facts(id: str, caption: str, facts: dict[str, Any]) -> Table:
    rows = [
        (str(name).replace("_", " "), _value(name, value))
        for name, value in facts.items()
        if value not in (None, "", [], ())
    ]
    return plain_table(id, caption, ("what", "value"), rows)


def _value(name: str, value: Any) -> Entry:
    if isinstance(value, bool):
        return Entry("yes" if value else "no", int(value))
    if isinstance(value, int | float):
        if name.endswith("bytes"):
            return Entry(size(value) if value else "0 B", value)
        if name.endswith("seconds"):
            return Entry(duration(value), value)
        return Entry(f"{value:,}" if isinstance(value, int) else f"{value:.6g}", value)
    if isinstance(value, str):
        return Entry(value, value)
    if isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
        return Entry(", ".join(map(str, value)))
    return Entry(DASH if value is None else json.dumps(value, ensure_ascii=False, default=str))


def _engines(engines: Iterable[dict[str, Any]]) -> Table:
    given = list(engines)
    told = [key for engine in given for key, value in engine.items() if value not in (None, "")]
    keys = list(dict.fromkeys(told))
    rows = [[_value(key, engine.get(key)) for key in keys] for engine in given]
    caption = (
        "Engines that ran the networks, and how closely their features agree with torch (cosine 1 is equal)."
    )
    return plain_table("engines", caption, [key.replace("_", " ") for key in keys], rows)


def _datasets(record: StudyRecord) -> Table:
    splits = {result.cell.dataset: result.cell for result in reversed(record.results)}
    rows = [
        (
            name,
            f"{len(table):,}",
            Entry(record.digests.get(name, DASH)),
            Entry(splits[name].split_digest if name in splits else DASH),
        )
        for name, table in record.tables.items()
    ]
    caption = (
        "Content of the data, before any split is drawn, and of the (first) split, as digests: equal digests mean equal "
        "data. They are those of results.csv."
    )
    return plain_table("digests", caption, ("dataset", "images", "data", "split"), rows)


def _runs(record: StudyRecord) -> Table:
    words = telling(record)
    rows: list[tuple[Entry | str, ...]] = [
        (
            Entry(result.cell.id, anchor=place_of(result.cell.id)),
            *(said(result.cell) for said in words.values()),
            result.status,
            Entry(duration(total_seconds(result.seconds))),
        )
        for result in record.results
    ]
    made = plain_table(
        "runs",
        "Every run with its id, which is the hash of its content.",
        ("run", *words, "status", "took"),
        rows,
    )
    return Table(made.id, made.caption, made.columns, made.rows, folded=f"Show {count(len(rows), 'run')}")


def machine_words(record: StudyRecord) -> str:
    """The machine in a sentence; "" where it was not recorded."""
    said = ", ".join(_of_machine(key, value) for key, value in record.machine.items())
    return f"The machine: {said}." if said else ""


def versions_words(record: StudyRecord) -> str:
    """What ran in which version, in a sentence; "" where that was not recorded."""
    said = ", ".join(f"{name} {value}" for name, value in record.versions.items())
    return f"Versions: {said}." if said else ""


def _of_machine(key: str, value: object) -> str:
    """`memory_bytes` as `memory 25.3 GB`, `n_threads` as `threads 2`."""
    name = key.removesuffix("_bytes").removeprefix("n_").replace("_", " ")
    return f"{name} {size(value) if key.endswith('bytes') and isinstance(value, int | float) else value}"
