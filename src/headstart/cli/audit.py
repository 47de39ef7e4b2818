"""`headstart audit`: what is wrong with a dataset, what it does to results, and what mends it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from headstart.audit.commands import READ
from headstart.base.options import given_flags, option
from headstart.cli.declared import DataOptions, same
from headstart.cli.flags import Data, Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_on_target, open_targets, read_kinds, spoken_of
from headstart.cli.text import printable, say, say_json

if TYPE_CHECKING:
    from headstart.audit.finding import Audit
    from headstart.audit.mend import Mended

EXAMPLE = """
headstart audit photos/ --html audit.html
headstart audit photos/ --only duplicates,labels --mend mended.csv
headstart audit faces.csv --target age --kind age=number
"""


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """What `audit` takes beside its source."""

    only: tuple[str, ...] = option(
        (),
        "checks to make (default: all)",
        choices=("files", "duplicates", "labels", "balance", "quality", "cues", "drift", "enough"),
    )
    html: str | None = option(None, "write a page with the images to this file", metavar="FILE")
    mend: str | None = option(
        None, "write a new table without what was found wrong; originals stay as they are", metavar="FILE.csv"
    )
    kind: tuple[str, ...] = same("kind")
    backbone: str = option("lite0", "network whose features are looked at")
    cache_gb: float = same("cache_gb")
    seed: int = option(0, "of folds and draws", low=0, high=2**31 - 1)


def add_to(app: typer.Typer) -> None:
    """Make `audit` a verb of the app."""
    verb(app, AuditOptions, DataOptions, example=EXAMPLE)(audit)


def audit(
    data: Data,
    json: Json = False,
    **flags: Any,
) -> None:
    """Look for copies, leakage, wrong labels, poor images, cues, drift and gaps in a dataset.

    Every finding says what it does to results and what mends it. Nothing of the data is changed.
    """
    options, source = build(AuditOptions, flags), build(DataOptions, flags)
    from headstart.audit.mend import check_new_table, write_mended
    from headstart.audit.run import audit as look_for

    mended = None
    with shown():
        targets: tuple[str, ...] = ()
        said = spoken_of(options.kind)
        if source.target:
            images, targets = open_targets(data, source, said)
        else:
            images = open_on_target(data, source, said)
        if options.mend:
            check_new_table(options.mend, images)
        found = look_for(
            images, source=data, target=targets or None, only=options.only, backbone=options.backbone,
            seed=options.seed, cache_gb=options.cache_gb, kinds=read_kinds(options.kind, images),
            given=(*given_flags(source, READ), *given_flags(options, ("kind",))),
        )  # fmt: skip
        if options.mend:
            mended = write_mended(found, options.mend)
        if options.html:
            from headstart.report.audit_page import write_audit_page

            write_audit_page(found, options.html)
    if json:
        say_json(
            {
                **found.to_dict(ranking=True),
                "mended": asdict(mended) if mended else None,
                "html": options.html,
            }
        )
        return
    for line in [*lines(found), *_written(options, mended)]:
        say(line)


def lines(found: Audit) -> list[str]:
    """The audit as text."""
    n, checks = len(found.findings), {each.check for each in found.checked if not each.skipped}
    said = [
        f"{printable(found.table.name)}: {len(found.table):,} images, {n} finding{'s' if n != 1 else ''} of "
        f"{len(checks)} checks, {found.seconds:.1f} s"
    ]
    for each in found.findings:
        said += ["", f"{each.severity}: {printable(each.message)}", f"  {each.effect}", f"  {each.advice}"]
        said += [f"  {printable(line)}" for line in _examples(found, each.rows, each.details)]
        if command := found.mending(each):
            said.append(f"  $ {printable(command)}")
    for check in found.checked:
        if check.skipped:
            of = f" of {printable(check.column)}" if len(found.targets) > 1 and check.column else ""
            said += ["", f"{check.check}{of}: not looked at, {printable(check.skipped)}"]
    return said


def _examples(
    found: Audit, rows: tuple[int, ...], details: tuple[tuple[str, str], ...], most: int = 3
) -> list[str]:
    shown = [found.table.paths[row] for row in rows[:most]] or [": ".join(pair) for pair in details[:most]]
    n = len(rows) or len(details)
    return shown + ([f"and {n - most:,} more"] if n > most else [])


def _written(options: AuditOptions, mended: Mended | None) -> list[str]:
    said = [""] if mended or options.html else []
    if options.html:
        said.append(f"page: {printable(options.html)}")
    if mended:
        said.append(
            f"table: {printable(mended.path)} ({mended.n_rows:,} rows, {mended.n_left_out:,} left out, "
            f"{mended.n_suggested:,} with a suggestion, {mended.n_renamed:,} spelt otherwise)"
        )
        said.append(f"  $ {printable(mended.command)}")
    return said
