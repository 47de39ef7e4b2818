"""`headstart study`: compare methods on the user's own images; plan first, best and table last."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.files import source_name
from headstart.cli.flags import Json, collected, verb
from headstart.cli.screen import shown
from headstart.cli.text import printable, say, say_json, table
from headstart.cli.tricks_text import trick_lines, write_effects
from headstart.study.spec import StudySpec

if TYPE_CHECKING:
    from headstart.measure.outputs import Measure
    from headstart.report.sections.tuned import TunedWorth
    from headstart.report.summary import Summary
    from headstart.study.records import StudyRecord
    from headstart.study.trick_effects import TrickTable

MOST_ROWS = 20
SHIFTS = {"folder": "second folder", "corruptions": "corrupted"}
EXAMPLE = """
headstart study photos/
headstart study photos/ --size 96,160,224 --head logistic
headstart study photos/ --backbone lite0,lite1 --layer auto --head logistic,knn --budget 10m
headstart study photos/ --scenario features,finetune,full,scratch --train-seeds 1 --train-input-size 96
headstart study photos/ --scenario finetune --tricks mixup,ema,sam --design leave-one-out
headstart study textiles elpv --seeds 5 --out runs/both
headstart study photos/ --shifted photos-of-may/ --corruptions all
headstart study folds.csv --image-root photos/ --label-columns label --fold-column fold
headstart study elpv --target defect,type --scenario features,finetune --sharing hard,separate
headstart study --spec study.toml
"""


def add_to(app: typer.Typer) -> None:
    """Make `study` a verb of the app."""
    verb(app, StudySpec, example=EXAMPLE, skip=("data",))(study)


def study(
    context: typer.Context,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA",
            help="Folders, ground-truth files or names of packaged sets.",
            show_default=False,
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option("--spec", metavar="FILE", help="a TOML file of these options; flags win over it"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="output folder [default: runs/NAME]")
    ] = None,
    advice: Annotated[
        bool | None,
        typer.Option(
            "--advice/--no-advice",
            help="first record what the adviser says, for `headstart advise --audit` "
            "(default: where it takes less than half of the study's time)",
            show_default=False,
        ),
    ] = None,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit/--no-audit",
            help="first look for what is wrong with the data: copies, leakage, labels, cues, drift [default: on]",
            show_default=False,
        ),
    ] = True,
    json: Json = False,
    **flags: Any,
) -> None:
    """Compare ways to use pretrained networks on your images, and say which is best and how sure that is.

    The plan and an estimate of the time are printed first. Each run is kept as soon as it is done: after
    Ctrl-C the same command goes on where it stopped.
    """
    from headstart.report.answers import load_answers
    from headstart.report.kept import keep_report
    from headstart.report.sections.tuned import worths_of
    from headstart.report.summary import summary_lines
    from headstart.study.execute import run_study
    from headstart.study.trick_effects import trick_tables

    chosen = _spec(data or [], spec, flags)
    folder = out or Path("runs") / _folder_name(chosen)
    with shown():
        command = shlex.join(["headstart", *context.obj["arguments"]])
        record = run_study(chosen, folder, command=command, advise=advice, audits=audit)
        report = keep_report(record, folder / "report.html")
        tricks = trick_tables(record)
        if tricks:
            write_effects(tricks, folder / "tricks.csv")
        answers = load_answers(record)
    summary = summary_lines(record, answers)
    worths = [each for found in worths_of(record, answers).values() for each in found]
    if json:
        tuned = [each.to_dict() for each in worths]
        say_json({**as_json(record, summary, report, tricks), "tuned": tuned})
    else:
        show(summary, report, worths, tricks)


def _spec(data: list[str], file: Path | None, flags: dict[str, Any]) -> StudySpec:
    """The spec of file and flags; every mistake at once, where something cannot be read."""
    from headstart.study.spec import spec_parts
    from headstart.study.spec_values import read_document

    unread: list[str] = []
    if file is None and not data:
        unread.append("name the images: headstart study DATA... (or --spec FILE); see headstart study --help")
    document = {} if file is None else read_document(file, data)
    base, unread_keys = spec_parts(document)
    named = StudySpec(**{**vars(base), "data": tuple(data) or base.data})
    made, unread_flags = collected(StudySpec, flags, named)
    unread += [*unread_keys, *unread_flags]
    if unread:
        from headstart.study.check import check_study

        check_study(made, unread)
    return made  # the study itself checks what could be read


def _folder_name(spec: StudySpec) -> str:
    return "-".join(filter(None, map(source_name, spec.data)))[:80] or "study"


def show(summary: Summary, report: Path, worths: list[TunedWorth], tricks: Sequence[TrickTable] = ()) -> None:
    """Verdict, table, what tuning was worth, and the path of the report; tricks first, where the study is of them."""
    from headstart.report.sections.tuned import tuned_lines

    for found in tricks:
        for line in trick_lines(found):
            say(printable(line))
        say()
    for line in summary.verdict:
        say(printable(line))
    say()
    several = len({row["dataset"] for row in summary.rows}) > 1
    for line in result_table(list(summary.rows), several) if summary.rows else ():
        say(line)
    for line in joint_table(list(summary.joint)) if summary.joint else ():
        say(line)
    if summary.joint:
        say(printable(joint_measures(list(summary.joint))))
    if any(row["best"] for row in (*summary.rows, *summary.joint)):
        say("* best: highest in `chosen by` (validation images or inner folds), never on test images")
    if summary.searches:
        say()
        for line in search_table(list(summary.searches)):
            say(line)
    for line in (*tuned_lines(worths), *summary.missing):
        say(printable(line))
    for each in summary.findings:
        say(printable(f"{each['method']}: {each['message']}; {each['advice']}"))
    say()
    say(f"report: {printable(report)}")


def result_table(rows: list[dict[str, Any]], several: bool) -> list[str]:
    """The methods, the best first; at most twenty a dataset."""
    parts = _parts(rows)
    kinds = list(dict.fromkeys(shift["kind"] for row in rows for shift in row["shifts"]))
    header = ["dataset"] * several + [
        *parts,
        "chosen by",
        "test accuracy",
        "95 %",
        *(title for kind in kinds for title in (SHIFTS[kind], "drop")),
        "F1",
        "time",
    ]
    shown_rows, counts = [], dict[str, int]()
    for row in rows:
        counts[row["dataset"]] = counts.get(row["dataset"], 0) + 1
        if counts[row["dataset"]] <= MOST_ROWS:
            shown_rows.append([row["dataset"]] * several + _cells(row, list(parts.values()), kinds))
    first = len(parts) + several
    lines = table(header, shown_rows, right=range(first, first + 5 + 2 * len(kinds)))
    hidden = sum(max(0, count - MOST_ROWS) for count in counts.values())
    return [*lines, f"... and {hidden} more in the report"] if hidden else lines


def joint_table(rows: list[dict[str, Any]]) -> list[str]:
    """The ways of serving several outputs, the best first; at most twenty a dataset."""
    several = len({row["dataset"] for row in rows}) > 1
    names = list(dict.fromkeys(name for row in rows for name in row["outputs"]))
    header = ["dataset"] * several + [
        "method",
        "sharing",
        "chosen by",
        "all right",
        "95 %",
        *names,
        "training",
    ]
    lines, counts = [], dict[str, int]()
    for row in rows:
        counts[row["dataset"]] = counts.get(row["dataset"], 0) + 1
        if counts[row["dataset"]] <= MOST_ROWS:
            lines.append([row["dataset"]] * several + _joint_cells(row, names))
    hidden = sum(max(0, count - MOST_ROWS) for count in counts.values())
    made = table(header, lines, right=range(2 + several, 6 + several + len(names)))
    return [*made, f"... and {hidden} more in the report"] if hidden else made


def joint_measures(rows: list[dict[str, Any]]) -> str:
    """What the columns of the outputs in `joint_table` are."""
    found: dict[str, str] = {}
    for row in rows:
        for name, scores in row["outputs"].items():
            if measure := _first_measure(scores):
                found.setdefault(name, f"{name}: {measure.title}")
    return "; ".join(found.values())


def _first_measure(scores: dict[str, Any]) -> Measure | None:
    """The measure that stands for an output, by the scores that it has; None without any."""
    from headstart.measure.outputs import MEASURES

    first = {measures[0].key: measures[0] for measures in MEASURES.values()}
    there = (key for key in first if key in scores and not (key == "macro_f1" and "accuracy" in scores))
    return first.get(next(there, ""))


def _joint_cells(row: dict[str, Any], names: list[str]) -> list[str]:
    from headstart.report.wording import decimal, duration, percent

    told = []
    for name in names:
        scores = row["outputs"].get(name, {})
        measure = _first_measure(scores)
        value = scores[measure.key]["value"] if measure else None
        told.append((percent if measure and measure.share else decimal)(value))
    joint = row["joint"]
    return [
        row["method"].removesuffix(f" {row['sharing']}") + " *" * row["best"],
        row["sharing"] if row["cut"] else "frozen",
        percent(row["selection"]) if row["outputs"] else row["status"],
        percent(joint["value"]) if joint else "",
        f"{100 * joint['low']:.1f}-{100 * joint['high']:.1f}" if joint else "",
        *told,
        duration(row["train_seconds"] if row["cut"] else row["fit_seconds"]),
    ]


def search_table(rows: list[dict[str, Any]]) -> list[str]:
    """The ways of searching, the best first; at most twenty a dataset."""
    from headstart.report.wording import duration, percent

    several = len({row["dataset"] for row in rows}) > 1
    keys = ("map", "precision_at_k", "recall_at_k")
    header = ["dataset"] * several + ["backbone", "pixels", "layer", "pooling", "search"]
    header += ["chosen by mAP", "test mAP", "95 %", "precision@10", "recall@10", "time"]
    lines, counts = [], dict[str, int]()
    for row in rows:
        counts[row["dataset"]] = counts.get(row["dataset"], 0) + 1
        if counts[row["dataset"]] > MOST_ROWS:
            continue
        names = [
            row["backbone"],
            _pixels(row),
            row["layer"],
            row["pooling"],
            row["search"] + " *" * row["best"],
        ]
        scores = [percent((row[key] or {}).get("value")) for key in keys]
        span = row["map"] and f"{100 * row['map']['low']:.1f}-{100 * row['map']['high']:.1f}"
        figures = [
            percent(row["selection"]) if row["map"] else row["status"],
            scores[0],
            span or "",
            *scores[1:],
        ]
        lines.append([row["dataset"]] * several + [*names, *figures, duration(row["seconds"])])
    first = 5 + several
    hidden = sum(max(0, count - MOST_ROWS) for count in counts.values())
    made = table(header, lines, right=range(first, first + 6))
    return [*made, f"... and {hidden} more in the report"] if hidden else made


def _parts(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Headings that name a method, with their keys: networks that train have a cut, and no pooling or head."""
    sizes = {"pixels": "pixels"} if len({_pixels(row) for row in rows} - {""}) > 1 else {}
    sizes |= {"options": "options"} if any(row["tuned"] for row in rows) else {}
    if all(row["scenario"] == "features" for row in rows):
        return {"backbone": "backbone", **sizes, **{name: name for name in ("layer", "pooling", "head")}}
    if len({row["augment"] for row in rows if row["augment"]}) > 1:
        sizes["augment"] = "augment"
    heads = {"pooling": "pooling", "head": "head"} if any(row["head"] for row in rows) else {}
    return {"scenario": "scenario", "backbone": "backbone", **sizes, "layer or cut": "place", **heads}


def _pixels(row: dict[str, Any]) -> str:
    return f"{row['height']}x{row['width']}" if row["height"] else ""


def _cells(row: dict[str, Any], parts: list[str], kinds: list[str]) -> list[str]:
    from headstart.report.wording import duration, percent

    named = {**row, "place": row["cut"] or row["layer"], "pixels": _pixels(row)}
    named["options"] = "tuned" if row["tuned"] else "defaults"
    names = [named[part] for part in parts]
    names[0 if not row["head"] else -1] += " *" if row["best"] else ""
    if row["status"] in ("failed", "missing", "cut"):
        return [*names, row["status"], "", "", "", "", *("", "") * len(kinds)]
    accuracy, f1 = row["accuracy"] or {}, row["macro_f1"] or {}
    low, high = accuracy.get("low"), accuracy.get("high")
    between = "" if low is None or high is None else f"{100 * low:.1f}-{100 * high:.1f}"
    partial = f" ({row['n_failed']} failed)" if row["n_failed"] else ""
    return [
        *names,
        percent(row["selection"]) + partial,
        percent(accuracy.get("value")),
        between,
        *_shifts(row, kinds),
        percent(f1.get("value")),
        duration(row["seconds"]),
    ]


def _shifts(row: dict[str, Any], kinds: list[str]) -> list[str]:
    """Accuracy and drop on other test images."""
    from headstart.report.wording import percent, signed_points

    own = {shift["kind"]: shift for shift in row["shifts"]}
    found = []
    for kind in kinds:
        shift = own.get(kind)
        found += (
            [percent(shift["accuracy"]["value"]), signed_points(shift["drop"]["value"])]
            if shift
            else ["", ""]
        )
    return found


def as_json(
    record: StudyRecord, summary: Summary, report: Path, tricks: Sequence[TrickTable] = ()
) -> dict[str, Any]:
    """What `--json` prints: see docs/json.md."""
    from headstart.report.sections.audited import audit_findings
    from headstart.study.rules import rules_of

    return {
        "folder": record.folder,
        "report": str(report),
        "best": record.best,
        "metric": record.spec.get("metric") or "accuracy",
        "verdict": summary.verdict,
        "missing": summary.missing,
        "methods": summary.rows,
        "sized": summary.sized,
        "searches": summary.searches,
        "outputs": summary.joint,
        "sharing": summary.sharing,
        "findings": summary.findings,
        "cut": [asdict(each) for each in record.cut],
        "tricks": [each.to_dict() for each in tricks],
        "audits": list(audit_findings(record)),
        "rules": [rule.to_dict() for rule in rules_of(record.results)],
        "n_planned": record.n_planned,
        "n_done": sum(result.status == "done" for result in record.results),
        "n_failed": sum(result.status == "failed" for result in record.results),
        "seconds": record.seconds_total,
        "warnings": record.warnings,
    }
