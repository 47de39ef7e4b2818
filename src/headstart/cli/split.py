"""`headstart split`: train, validation and test, or folds, that part neither copies nor groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from headstart.base.errors import BadOptions, DataError
from headstart.base.options import option
from headstart.cli.declared import DataOptions, same
from headstart.cli.flags import Data, Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_on_target, read_kinds, spoken_of
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    from headstart.audit.inflation import Inflation
    from headstart.images.table import ImageTable

EXAMPLE = """
headstart split photos/ --ratios 70/15/15 --out split.csv
headstart split photos/ --folds 5 --inner 3 --out folds.csv
headstart split labels.csv --group patient --out split.csv
headstart split faces.csv --target age --kind age=number --out split.csv
"""


def read_ratios(text: Any) -> tuple[float, float, float]:
    """Shares of train, validation and test from `70/15/15`; they are brought to a sum of 1."""
    try:
        parts = [float(part) for part in str(text).split("/")]
    except ValueError:
        parts = []
    fair = len(parts) == 3 and min(parts) >= 0 and parts[0] > 0 and max(parts) < float("inf")
    if not fair:
        raise ValueError(f"expected shares of train, validation and test, e.g. 70/15/15, got {text!r}")
    total = sum(parts)
    return parts[0] / total, parts[1] / total, parts[2] / total


def as_given(text: Any) -> str:
    """The text of shares that `read_ratios` understands."""
    read_ratios(text)
    return str(text)


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """What `split` takes beside its source."""

    ratios: str = option("70/15/15", "shares of train, validation and test", metavar="A/B/C", read=as_given)
    folds: int | None = option(
        None, "folds instead of a split: a column with the fold that holds each image out", low=2
    )
    inner: int | None = option(
        None, "with --folds: inner folds of the rest of each fold (nested), a column each", low=2
    )
    group: str | None = option(
        None, "column of what must never be parted (a patient, an object)", metavar="COLUMN"
    )
    kind: tuple[str, ...] = same("kind")
    duplicates: bool = option(True, "keep copies of one picture together")
    anew: bool = option(False, "set aside the splits that the data give")
    out: str | None = option(None, "write the table with its new columns to this file", metavar="FILE.csv")
    measure: bool = option(True, "measure what a random split that parts groups would have shown too much")
    backbone: str = option("lite0", "network whose features are looked at")
    cache_gb: float = same("cache_gb")
    seed: int = option(0, "of the draw", low=0, high=2**31 - 1)


def add_to(app: typer.Typer) -> None:
    """Make `split` a verb of the app."""
    verb(app, SplitOptions, DataOptions, example=EXAMPLE, skip=("group_column",))(split)


def split(
    data: Data,
    json: Json = False,
    **flags: Any,
) -> None:
    """Split a dataset so that copies and groups stay together and every label column keeps its shares.

    Prints how much a random split would have overstated what each column is scored by. Originals stay; --out writes a
    new table.
    """
    options = build(SplitOptions, flags)
    source = build(DataOptions, {**flags, "group_column": options.group})
    if options.inner and not options.folds:
        raise BadOptions(["inner: goes with --folds"])
    with shown():
        made = _made(data, source, options)
    if json:
        say_json(made)
        return
    for line in _lines(made):
        say(line)


def _made(data: str, source: DataOptions, options: SplitOptions) -> dict[str, Any]:
    import numpy as np

    from headstart.audit.labels import principal
    from headstart.audit.look import Looking
    from headstart.audit.mend import check_new_table, write_table
    from headstart.backbones.load import card
    from headstart.features.duplicates import find_copies
    from headstart.features.extractor import FeatureExtractor
    from headstart.images.prepare import least_side
    from headstart.images.split_whole import joined_groups

    images = open_on_target(data, source, spoken_of(options.kind))
    if images.splits is not None and not options.anew:
        raise BadOptions(["anew: the data give splits already; --anew sets them aside and draws new ones"])
    place = None
    if options.out:
        _check_names(images, options)
        place = check_new_table(options.out, images)
    target = images.target(source.target or None) if images.labels else None
    kinds = read_kinds(options.kind, images)
    features, copies = None, None
    if options.duplicates or (options.measure and images.groups is not None):
        extractor = FeatureExtractor(backbone=options.backbone, cache_gb=options.cache_gb)
        looking = Looking(images, least_side(card(options.backbone).preprocessing))
        seen = looking.see if options.duplicates else None
        features = extractor.joined(
            extractor.extract(images.items(), images.digests, images.paths, seen=seen)
        )
        if options.duplicates:
            copies = find_copies(looking.rest().prints, images.digests, features)
    groups = joined_groups(images, None if copies is None else copies.clusters)
    columns, parts = _columns(images, groups, options, kinds)
    sizes = np.bincount(groups)
    inflations: list[Inflation] = []
    if options.measure and target is not None and features is not None and (sizes > 1).any():
        from headstart.audit.inflation import measure_inflation

        held = 1 / options.folds if options.folds else sum(read_ratios(options.ratios)[1:])
        space, columns_of = principal(features), dict.fromkeys((target, *images.targets))
        measured = (
            measure_inflation(images, name, space, groups, held=held, seed=options.seed, kinds=kinds)
            for name in columns_of
        )
        inflations = [each for each in measured if each is not None]
    command = None
    if place is not None:
        named = {name: [label or "" for label in column] for name, column in images.labels.items()}
        rows, wanted = list(range(len(images))), [target] if target else []
        command = write_table(images, rows, named, columns, place, targets=wanted, kinds=kinds)
    return _result(images, data, options, groups, copies, parts, inflations, command, kinds)


def _check_names(images: ImageTable, options: SplitOptions) -> None:
    """Refuse label columns that are called as a study knows inner folds by."""
    inner = [f"inner_{number}" for number in range(options.folds or 0)]
    if taken := [name for name in images.targets if name in inner]:
        raise DataError(
            f"a label column is called {taken[0]!r}, as inner folds are; rename it in the source, or choose others with "
            "--label-columns"
        )


def _columns(
    images: ImageTable, groups: Any, options: SplitOptions, kinds: dict[str, str]
) -> tuple[dict[str, list[str]], list[str]]:
    """The new columns, and the part of each row that is counted."""
    import numpy as np

    from headstart.images.split_whole import folds_whole, split_whole

    columns = {"group": [f"g{number}" for number in groups.tolist()]}
    if not options.folds:
        ratios = read_ratios(options.ratios)
        parts = list(split_whole(images, groups, ratios=ratios, seed=options.seed, kinds=kinds))
        return {**columns, "split": parts}, parts
    fold = folds_whole(images, groups, options.folds, options.seed, range(len(images)), kinds)
    columns["fold"] = [str(number) for number in fold.tolist()]
    for outer in range(options.folds if options.inner else 0):
        rest = np.flatnonzero(fold != outer).tolist()
        inner = folds_whole(images, groups, int(options.inner or 2), options.seed + 1 + outer, rest, kinds)
        told = dict(zip(rest, inner.tolist(), strict=True))
        columns[f"inner_{outer}"] = [str(told.get(row, "")) for row in range(len(images))]
    return columns, [f"fold {number}" for number in fold.tolist()]


def _result(
    images: ImageTable, data: str, options: SplitOptions, groups: Any, copies: Any, parts: list[str],
    inflations: Sequence[Inflation], command: str | None, kinds: dict[str, str],
) -> dict[str, Any]:  # fmt: skip
    import numpy as np

    from headstart.images.column_kinds import kind_of

    sizes = np.bincount(groups)
    order = ("train", "validation", "test") if not options.folds else sorted(set(parts))
    counts = {
        name: _counted(column, kind_of(name, column, kinds), parts, order)
        for name, column in images.labels.items()
    }
    return {
        "data": data, "n_images": len(images), "seed": options.seed, "parts": {part: parts.count(part) for part in order},
        "classes": counts, "n_groups": len(sizes), "largest_group": int(sizes.max(initial=0)),
        "n_in_groups": int(sizes[sizes > 1].sum()), "n_copy_clusters": None if copies is None else len(copies.groups()),
        "inflation": asdict(inflations[0]) if inflations else None, "inflations": [asdict(each) for each in inflations],
        "measured": options.measure,
        "out": options.out, "command": command,
    }  # fmt: skip


def _counted(
    column: tuple[str | None, ...], kind: str, parts: list[str], order: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Images of each class in each part; of each label where cells hold several, of each fifth of numbers."""
    from headstart.images.column_kinds import split_labels, stratum_names

    cells = column if kind == "labels" else stratum_names(column, kind)
    found: dict[str, Counter[str]] = {part: Counter() for part in order}
    for cell, part in zip(cells, parts, strict=True):
        if cell is not None:
            found[part].update(split_labels(cell) if kind == "labels" else (cell,))
    return {part: dict(sorted(each.items())) for part, each in found.items()}


def _lines(made: dict[str, Any]) -> list[str]:
    n = made["n_images"]
    rows = [(part, f"{count:,}", f"{count / max(n, 1):.1%}") for part, count in made["parts"].items()]
    said = [*table(("part", "images", "share"), rows, right=(1, 2)), ""]
    copies = made["n_copy_clusters"]
    known = "" if copies is None else f", {copies:,} of them clusters of copies" if copies else ", no copies"
    several = made["n_in_groups"]
    said.append(
        f"{several:,} images lie in groups that stay whole{known}"
        if several
        else f"every image stands alone{known}"
    )
    said += _inflated(made)
    if made["out"]:
        said += ["", f"table: {printable(made['out'])}", f"  $ {printable(made['command'])}"]
    return said


def _inflated(made: dict[str, Any]) -> list[str]:
    if not made["n_in_groups"]:
        return ["a random split would show the same: nothing is parted by it"]
    several = len(made["classes"]) > 1
    return [
        (f"{printable(each['column'])}: " if several else "") + _told_inflation(each)
        for each in made["inflations"]
    ]


def _told_inflation(found: dict[str, Any]) -> str:
    """How much more a random split shows: shares in percent and points, R2 and mean average precision as they are."""
    share = found["metric"] == "accuracy"
    scale, digits, points = (100, 2, " points") if share else (1, 3, "")
    by, low, high = (f"{scale * found[name]:+.{digits}f}" for name in ("difference", "low", "high"))
    naive, whole = (f"{found[name]:.1%}" if share else f"{found[name]:.3f}" for name in ("naive", "whole"))
    what = {"map": "a mean average precision of ", "r2": "an R2 of "}.get(found["metric"], "")
    said = (
        f"a random split that parts them shows {what}{naive} instead of {whole}: {by}{points} (95 %: {low} .. {high}; a "
        f"linear head on features, {found['n_seeds']} seeds)"
    )
    return said if found["low"] > 0 else f"{said}, which chance explains" if found["high"] > 0 else said
