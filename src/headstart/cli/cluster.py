"""`headstart cluster`: groups of images that look alike, as a table, a page and folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headstart.base.errors import BadOptions
from headstart.base.options import option
from headstart.cli.declared import DataOptions, VectorOptions
from headstart.cli.flags import Data, Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_table
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    from headstart.features.cluster_found import Clustering

EXAMPLE = """
headstart cluster photos/ --html groups.html
headstart cluster photos/ --n 10 --out groups --groups copy
headstart cluster photos/ --method hdbscan --dimensions 10
"""
AUTO = "auto"


def read_number(text: Any) -> int | str:
    """`auto`, or a whole number of at least 1."""
    if text == AUTO:
        return AUTO
    if not str(text).isdecimal() or int(text) < 1:
        raise ValueError(f"expected auto or a whole number of at least 1, got {text!r}")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class ClusterOptions(VectorOptions):
    """What `cluster` takes beside its source."""

    method: str = option(
        "kmeans", "how images are grouped", choices=("kmeans", "hdbscan", "agglomerative", "spectral")
    )
    n: int | str = option(
        AUTO, "clusters, or auto (hdbscan finds its own number)", metavar="NUMBER", read=read_number
    )
    choose: str = option(
        "modularity", "what --n auto goes by", choices=("modularity", "silhouette", "gap", "stability")
    )
    most: int = option(20, "largest number that --n auto tries", low=2, high=200)
    min_size: int | None = option(
        None, "fewest images of a cluster, for hdbscan (default: a hundredth, at least 5)", low=2
    )
    scale: str = option(
        "standard",
        "each feature with variance 1, features of unit length, or as they are",
        choices=("standard", "unit", "none"),
    )
    dimensions: int = option(
        50, "principal components that are kept; 0 keeps the features", low=0, high=100_000
    )
    whiten: bool = option(False, "give each component variance 1")
    out: str | None = option(None, "a new or empty folder for clusters.csv (and the groups)", metavar="DIR")
    groups: str | None = option(
        None,
        "write each cluster as a folder in --out; originals stay as they are",
        choices=("copy", "symlink"),
    )
    html: str | None = option(None, "write a page with the groups to this file", metavar="FILE")
    seed: int = option(0, "of everything random", low=0, high=2**31 - 1)


def add_to(app: typer.Typer) -> None:
    """Make `cluster` a verb of the app."""
    verb(app, ClusterOptions, DataOptions, example=EXAMPLE)(cluster)


def cluster(
    data: Data,
    json: Json = False,
    **flags: Any,
) -> None:
    """Group images that look alike to a pretrained network; labels are not needed, and judge the groups if there.

    Prints the clusters, how their number was chosen, and scores with 95 % intervals.
    """
    options, source = build(ClusterOptions, flags), build(DataOptions, flags)
    _check(options, flags, data)
    from headstart.features.cluster import ImageClusterer
    from headstart.features.cluster_found import cluster_table
    from headstart.features.cluster_groups import write_groups

    names = (
        "method", "n", "choose", "most", "min_size", "scale", "dimensions", "whiten", "backbone", "layer",
        "pooling", "engine", "precision", "input_size", "cache_gb", "seed",
    )  # fmt: skip
    with shown():
        clusterer = ImageClusterer(**{name: getattr(options, name) for name in names})
        found = cluster_table(open_table(data, source), clusterer, target=source.target or None)
        if options.out:
            write_groups(found, options.out, options.groups)
        if options.html:
            from headstart.report.clusters import write_cluster_page

            write_cluster_page(found, options.html)
    if json:
        say_json({**found.to_dict(), "out": options.out, "html": options.html})
        return
    for line in [*lines(found), *_written(options)]:
        say(line)


def _check(options: ClusterOptions, flags: dict[str, Any], data: str) -> None:
    from headstart.base.new_folder import check_new_folder

    wrong = []
    if options.groups and not options.out:
        wrong.append("groups: say where the folders go, e.g. --out groups")
    if options.method == "hdbscan" and (options.n != AUTO or flags.get("choose")):
        wrong.append(
            "n: hdbscan finds its own number of clusters; leave --n and --choose out, or set --min-size"
        )
    if options.method != "hdbscan" and options.min_size is not None:
        wrong.append("min-size: is for --method hdbscan")
    if options.n != AUTO and flags.get("choose"):
        wrong.append("choose: goes with --n auto")
    if wrong:
        raise BadOptions(wrong)
    if options.out:
        place = Path(data).expanduser()
        check_new_folder(options.out, place if place.is_dir() else None)


def lines(found: Clustering) -> list[str]:
    """The clustering as text."""
    said = [
        f"{printable(found.table.name)}: {len(found.labels):,} images in {len(found.groups)} clusters; "
        f"{int(found.outliers.sum()):,} outliers ({sum(found.seconds.values()):.1f} s)",
        "",
    ]
    if found.curve is not None:
        said += [*_curve(found), ""]
    rows = [
        (
            group.number, f"{group.n:,}", f"{group.n_outliers:,}", group.name or "",
            "" if group.share is None else f"{group.share:.0%}", found.table.paths[group.medoid],
        )
        for group in found.groups
    ]  # fmt: skip
    head = ("cluster", "images", "outliers", "most frequent label", "share", "medoid")
    said += table(head, rows, right=(0, 1, 2, 4)) if rows else []
    return [*said, "", *_scores(found)]


def _curve(found: Clustering) -> list[str]:
    curve = found.curve
    assert curve is not None
    rows = [
        (number, f"{value:.3f}", f"{error:.3f}", "chosen" if number == curve.chosen else "")
        for number, value, error in zip(curve.numbers, curve.values, curve.errors, strict=True)
    ]
    return table(("clusters", curve.rule, "s.e.", ""), rows, right=(0, 1, 2))


def _scores(found: Clustering) -> list[str]:
    rows = []
    for name, score in {**found.shape, **found.agreement}.items():
        if score is None:
            continue
        known = score.low == score.low
        rows.append(
            (
                name,
                f"{score.value:.3f}",
                f"{score.low:.3f} .. {score.high:.3f}" if known else "",
                f"{score.n:,}",
            )
        )
    return table(("score", "value", "95 %", "n"), rows, right=(1, 3)) if rows else []


def _written(options: ClusterOptions) -> list[str]:
    made = []
    if options.out:
        made.append(f"groups: {printable(options.out)}")
    if options.html:
        made.append(f"page: {printable(options.html)}")
    return ["", *made] if made else []
