"""`headstart map`: a collection in two dimensions, as a page to look through, with how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from headstart.base.errors import BadOptions
from headstart.base.events import Notice, emit
from headstart.base.options import option
from headstart.cli.declared import DataOptions, VectorOptions
from headstart.cli.flags import Data, Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_table
from headstart.cli.text import printable, say, say_json

if TYPE_CHECKING:
    from headstart.features.map_found import ImageMap
    from headstart.images.table import ImageTable
    from headstart.report.map_page import MapFiles

EXAMPLE = """
headstart map photos/ --out map.html
headstart map photos/ --method tsne --clusters 10 --colour cluster
headstart map photos/ --model model --colour error
"""
AUTO, NONE = "auto", "none"


def read_clusters(text: Any) -> int | str:
    """`auto`, `none`, or a whole number of at least 1."""
    if text in (AUTO, NONE):
        return str(text)
    if not str(text).isdecimal() or int(text) < 1:
        raise ValueError(f"expected auto, none or a whole number of at least 1, got {text!r}")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class MapOptions(VectorOptions):
    """What `map` takes beside its source."""

    out: str = option("map.html", "the page; an older page of Headstart is replaced", metavar="FILE")
    method: str = option(
        "auto",
        "how the map is drawn; auto is umap where it is installed, else tsne up to 10,000 images, else pca",
        choices=("auto", "umap", "tsne", "pca"),
    )
    colour: str = option(
        "",
        "column to colour by at first: a label column, cluster, split, group, prediction or error",
        metavar="COLUMN",
    )
    clusters: int | str = option(
        AUTO, "groups to colour by: their number, auto or none", metavar="NUMBER", read=read_clusters
    )
    predictions: str | None = option(
        None, "a CSV with the columns path and prediction, to colour by and to find errors", metavar="FILE"
    )
    model: str | None = option(None, "a model that `fit` wrote, to predict every image with", metavar="MODEL")
    neighbors: int = option(
        15, "of umap: neighbours an image is held to; more show more of the whole", low=2, high=1000
    )
    perplexity: float = option(30.0, "of tsne: its soft number of neighbours", low=1, high=1000)
    seed: int = option(0, "of everything random", low=0, high=2**31 - 1)


def add_to(app: typer.Typer) -> None:
    """Make `map` a verb of the app."""
    verb(app, MapOptions, DataOptions, example=EXAMPLE)(map_)


def map_(
    data: Data,
    json: Json = False,
    **flags: Any,
) -> None:
    """Draw a collection as a map: images that look alike to a pretrained network lie together.

    The page needs no network: zoom, hover for the picture, colour by label, cluster, split, prediction or
    error, draw a line round images to list them and save them as CSV. How far the map can be trusted is printed.
    """
    options, source = build(MapOptions, flags), build(DataOptions, flags)
    if options.predictions and options.model:
        raise BadOptions(["predictions: come from a file or from --model, not from both; leave one out"])
    from headstart.report.map_page import check_page, write_map_page

    check_page(options.out)
    with shown():
        found = _found(open_table(data, source), options, source)
        files = write_map_page(found, options.out, colour=options.colour)
    folder = None if files.folder is None else str(files.folder)
    if json:
        say_json({**found.to_dict(), "out": str(files.page), "folder": folder})
        return
    for line in lines(found, files):
        say(line)


def _found(table: ImageTable, options: MapOptions, source: DataOptions) -> ImageMap:
    from headstart.features.cluster import ImageClusterer
    from headstart.features.extractor import FeatureExtractor
    from headstart.features.map_found import map_table
    from headstart.report.map_columns import check_colour

    check_colour(options.colour, table)
    predictions, target = _predicted(table, options), source.target or None
    clusterer = None
    if options.clusters != NONE:
        clusterer = ImageClusterer(n=options.clusters, seed=options.seed)
    names = ("backbone", "layer", "pooling", "engine", "precision", "input_size", "cache_gb")
    return map_table(
        table,
        extractor=FeatureExtractor(**{name: getattr(options, name) for name in names}),
        clusterer=clusterer,
        predictions=predictions,
        target=target,
        method=options.method,
        n_neighbors=options.neighbors,
        perplexity=options.perplexity,
        seed=options.seed,
    )


def _predicted(table: ImageTable, options: MapOptions) -> dict[str, str] | None:
    if options.predictions:
        from headstart.features.predicted import read_predictions

        return read_predictions(options.predictions, table)
    if not options.model:
        return None
    from headstart.export.bundle import load_bundle

    bundle = load_bundle(options.model)
    found = bundle.predict_proba(table.items(), list(table.paths))
    first = bundle.outputs[0]
    if bundle.several:
        emit(Notice(f"{options.model} has several outputs; the map shows the first, {first.name!r}"))
    said = (first.said(row) for row in found.probabilities)
    words = ("; ".join(each) if isinstance(each, list) else str(each) for each in said)
    return dict(zip(found.paths, words, strict=True))


def lines(found: ImageMap, files: MapFiles) -> list[str]:
    """The map as text."""
    from headstart.report.map_words import sentences, subtitle

    first, *rest = sentences(found)
    said = [f"{found.table.name}: {subtitle(found)}", "", first[0].upper() + first[1:], *rest, ""]
    if found.errors is not None:
        known = [each for each in found.errors if each is not None]
        said.append(f"predictions that differ from the label: {sum(known):,} of {len(known):,}")
    said.append(f"page: {files.page}")
    if files.folder is not None:
        said.append(f"its pictures: {files.folder} (keep it beside the page)")
    return [printable(line) for line in said]
