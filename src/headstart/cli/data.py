"""The verbs on images alone: `features` writes them to a file, `datasets` lists the packaged sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.cli.declared import DataOptions, FeatureOptions
from headstart.cli.flags import Data, Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_table
from headstart.cli.text import printable, say, say_json, table

FEATURES = """
headstart features photos/ --out features.parquet
headstart features photos/ --layer stage5,pool --pooling avg,max --out features.npz
"""
DATASETS = "headstart datasets"


def add_to(app: typer.Typer) -> None:
    """Make them verbs of the app."""
    verb(app, FeatureOptions, DataOptions, example=FEATURES, skip=("target",))(features)
    verb(app, example=DATASETS)(datasets)


def features(
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="a .parquet or .npz file", show_default=False)
    ],
    json: Json = False,
    **flags: Any,
) -> None:
    """Write features to a file: path, digest, split, labels and one vector a layer for each image."""
    from headstart.features.extract import Tap, extract
    from headstart.features.save import check_format, save_features

    options, source = build(FeatureOptions, flags), build(DataOptions, flags)
    check_format(out)
    with shown():
        images = open_table(data, source)
        found = extract(
            images.items(),
            images.digests,
            paths=images.paths,
            backbone=options.backbone,
            taps=[Tap(layer, pooling) for layer in options.layer for pooling in options.pooling],
            engine=options.engine,
            precision=options.precision,
            input_size=options.input_size,
            cache_gb=options.cache_gb,
        )
        saved = save_features(images, found, out)
    facts = {
        "out": str(out),
        "n": saved.n,
        "n_unreadable": len(images.problems) + len(found.problems),
        "columns": saved.columns,
        "layers": saved.layers,
        "backbone": options.backbone,
        "engine": found.engine["engine"],
        "precision": found.engine["precision"],
        "n_cached": found.n_cached,
        "n_computed": found.n_computed,
        "seconds": found.seconds,
    }
    if json:
        say_json(facts)
        return
    layers = ", ".join(f"{name} ({width})" for name, width in saved.layers.items())
    say(printable(f"{saved.n:,} images; layers (values): {layers}"))
    say(f"{found.n_computed:,} computed, {found.n_cached:,} from the cache; {found.seconds:.1f} s")
    say(f"features: {printable(out)}")


def datasets(json: Json = False) -> None:
    """List the packaged sets of images, which can be named wherever DATA is asked for."""
    from headstart.base.optional import installed
    from headstart.images.packaged import DATASETS

    rows: list[dict[str, Any]] = []
    for name in DATASETS:
        card = DATASETS[name]
        there = not card.package or installed(card.package)
        rows.append(
            {
                "name": name,
                "title": card.title,
                "n_images": card.n_images,
                "classes": card.classes,
                "targets": card.targets,
                "licence": card.licence,
                "citation": card.citation,
                "extra": card.extra,
                "installed": there,
            }
        )
    if json:
        say_json(rows)
        return
    lines = [
        [row["name"], f"{row['n_images']:,}", ", ".join(row["targets"]), row["licence"],
         "installed" if row["installed"] else f"pip install 'headstart[{row['extra']}]'", row["title"]]
        for row in rows
    ]  # fmt: skip
    for line in table(["name", "images", "targets", "licence", "", "what"], lines, right=(1,)):
        say(line)
