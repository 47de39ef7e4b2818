"""`headstart advise`: which methods to try on a data set, before any is run; and how good earlier advice was."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.errors import BadOptions, UsageError
from headstart.base.options import option
from headstart.cli.declared import DataOptions, same
from headstart.cli.flags import Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_table
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    from headstart.study.advice_audit import Audit, AuditRow
    from headstart.study.advise import Advice
    from headstart.study.situation import Situation

EXAMPLE = """
headstart advise photos/
headstart advise elpv --target type --out advice.html
headstart advise photos/ --backbone lite0,lite1
headstart advise --audit runs/photos runs/textiles
"""
SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class AdviseOptions:
    """What `advise` takes beside its source."""

    backbone: tuple[str, ...] = same("backbone", help="pretrained networks to consider")
    audit: bool = option(False, "DATA are folders of studies: how good was the advice that they recorded?")
    out: str | None = option(
        None, "write a page with the advice and every number to this file", metavar="FILE"
    )
    engine: str = same("engine")
    cache_gb: float = same("cache_gb")
    seed: int = option(0, "of the images measured and of the inner folds", low=0, high=2**31 - 1)


def add_to(app: typer.Typer) -> None:
    """Make `advise` a verb of the app."""
    verb(app, AdviseOptions, DataOptions, example=EXAMPLE)(advise)


def advise(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA",
            help="A folder, a table, COCO or Parquet file, or the name of a packaged set; with --audit folders of studies.",
            show_default=False,
        ),
    ],
    json: Json = False,
    **flags: Any,
) -> None:
    """Say which methods to try on a data set, from measurements of two minutes, before any is run.

    Methods are ranked with an expected accuracy, its 90 % interval, seconds and the evidence; where the adviser
    cannot tell, it names the two to run. Every step looks at 1,000 images at most, and never at a given test split.
    """
    start = time.perf_counter()
    options, source = build(AdviseOptions, flags), build(DataOptions, flags)
    if options.audit:
        _audit(data, options, json)
        return
    if len(data) != 1:
        raise UsageError(
            f"advice is on one data set at a time, got {len(data)}; several go with --audit alone"
        )
    from headstart.report.advice import check_advice_page, write_advice_page
    from headstart.study.advise import predict
    from headstart.study.measure_situation import measure

    if options.out:
        check_advice_page(options.out)
    with shown():
        names = {"backbones": options.backbone, "engine": options.engine, "cache_gb": options.cache_gb}
        found = predict(
            measure(open_table(data[0], source), source.target or None, seed=options.seed, **names)  # type: ignore[arg-type]
        )
        if options.out:
            write_advice_page(found, options.out)
    seconds = time.perf_counter() - start
    if json:
        say_json({**found.to_dict(), "seconds": seconds, "out": options.out})
        return
    for line in lines(found):
        say(line)
    if options.out:
        say(f"\npage: {printable(options.out)}")
    say(f"\ntook {seconds:.1f} s, the reading of the images included")


def _audit(studies: list[str], options: AdviseOptions, json: bool) -> None:
    from headstart.study.advice_audit import audit_studies

    if options.out:
        raise BadOptions(["out: an audit has no page; leave it out"])
    found = audit_studies(studies)
    if json:
        say_json(found.to_dict())
        return
    for line in audit_lines(found):
        say(line)


def lines(found: Advice) -> list[str]:
    """The advice as text."""
    seen = found.situation
    rows = [
        (each.name, f"{each.accuracy:.1%}", f"{each.low:.1%} to {each.high:.1%}", f"{each.seconds:,.0f}")
        for each in found.candidates[:SHOWN]
    ]
    more = len(found.candidates) - len(rows)
    return [
        f"{printable(seen.name)}: {seen.n:,} images to learn from, {seen.n_classes} classes of "
        f"{printable(seen.target)}; measured on {seen.n_measured:,} in {seen.seconds:.0f} s",
        "",
        found.verdict,
        "",
        *table(("method", "expected", "90 % interval", "seconds"), rows, right=(1, 3)),
        *([f"and {more} more (--json or --out shows all)"] if more > 0 else []),
        *found.notes,
        "",
        "evidence for the first: " + "; ".join(found.run[0].evidence),
        "",
        *_decision(found),
        "",
        *_measured(seen),
    ]


def _decision(found: Advice) -> list[str]:
    """The textbook's table; the place of this data set stands in brackets."""
    from headstart.study.advise import TABLE

    rows = []
    for large, name in ((False, "small"), (True, "large")):
        cells = [TABLE[large, similar] for similar in (True, False)]
        marks = [(found.large, found.similar) == (large, similar) for similar in (True, False)]
        rows.append((name, *(f"[{cell}]" if mark else cell for cell, mark in zip(cells, marks, strict=True))))
    seen = found.situation
    return [
        "The textbook's rule, with the place of this data set in brackets:",
        *table(("", "similar to the source", "very different"), rows),
        f"({seen.per_class:,.0f} images a class; distance to the source {seen.likeness.distance:.3f})",
    ]


def _measured(seen: Situation) -> list[str]:
    like = seen.likeness
    layers = "; ".join(f"{name}: {seen.layer_words(name)}" for name in seen.backbones)
    said = [
        f"source classifier: confidence {like.confidence:.2f}, entropy {like.entropy:.2f}, coverage "
        f"{like.coverage:.1%}; layers of {layers}; {100 * seen.slope:.1f} points a doubling of the images",
        "",
    ]
    rows = [
        (
            each.backbone, f"{each.neighbours:.1%}", f"{each.probe:.1%}", f"{each.logme:.3f}", f"{each.h_score:.2f}",
            "" if each.nce is None else f"{each.nce:.3f}", "" if each.leep is None else f"{each.leep:.3f}",
            "" if each.source_accuracy is None else f"{each.source_accuracy:.1%}",
        )
        for each in seen.transfers
    ]  # fmt: skip
    head = ("backbone", "neighbours", "probe", "LogME", "H-score", "NCE", "LEEP", "source accuracy")
    return said + table(head, rows, right=tuple(range(1, 8)))


def audit_lines(found: Audit) -> list[str]:
    """The audit as text."""
    from headstart.study.advice_record import COSTLY

    rows = [
        (
            _name(row), row.advised, f"{row.rank}{'' if row.followed else ' *'}", f"{row.accuracy:.1%}", row.best,
            f"{row.best_accuracy:.1%}", f"{100 * row.regret:.1f}", f"{row.n_held} of {row.n_intervals}",
        )
        for row in found.rows
    ]  # fmt: skip
    head = ("data set", "advised", "place", "got", "best", "got", "regret", "intervals held")
    said = [*table(head, rows, right=(2, 3, 5, 6)), ""]
    if len(found.followed) < len(found.rows):
        said.append("* the study did not run all that the adviser said to run; it counts in no share or mean")
    if found.within_a_point is not None and found.mean_regret is not None:
        said.append(
            f"the best or within one point of it: {found.within_a_point:.0%} of {len(found.followed)}; mean regret "
            f"{100 * found.mean_regret:.2f} points"
        )
    else:
        said.append("no study ran what the adviser said to run: its regret is not known")
    said.append(f"90 % intervals that held: {found.held:.0%}")
    if found.n_costly:
        many = "1 data set has" if found.n_costly == 1 else f"{found.n_costly} data sets have"
        said.append(
            f"{many} none because {COSTLY}: these figures say nothing of such short studies (--advice records it)"
        )
    return said + [
        f"no advice: {printable(each.study)}: {printable(each.dataset)}: {printable(each.reason)}"
        for each in found.silent
    ]


def _name(row: AuditRow) -> str:
    """The data set, and of how many images a class the advice is where it is not of all."""
    return row.dataset + (f", {row.per_class:,} images a class" if row.per_class else "")
