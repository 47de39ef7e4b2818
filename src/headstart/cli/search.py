"""`headstart index` and `headstart search`: images kept by their features, found again, and how well that goes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.errors import BadOptions, DataError
from headstart.base.options import option
from headstart.cli.declared import DataOptions, same
from headstart.cli.flags import Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.search_text import found_lines, index_lines, index_value, quality_lines
from headstart.cli.sources import image_files, open_table
from headstart.cli.text import printable, say, say_json

if TYPE_CHECKING:
    from headstart.features.index import ImageIndex
    from headstart.features.index_found import Found
    from headstart.features.index_quality import IndexQuality
    from headstart.images.table import ImageTable

INDEX_EXAMPLE = """
headstart index photos/ --out photos.index
headstart index photos/ --out photos.index --prune
headstart index photos/ --out small.index --layer stage6 --whiten 64
headstart index photos/ --store 'postgres://me@db.example/photos#clothes'
"""
SEARCH_EXAMPLE = """
headstart search photos.index new.jpg -k 6 --html found.html
headstart search photos.index new/ --where 'label in ("hat", "dress")' --expand 3
headstart search photos.index photos/ --evaluate --split test
"""


@dataclass(frozen=True, kw_only=True)
class IndexOptions:
    """What `index` takes beside its source."""

    out: str | None = option(
        None, "folder of the index; one that is there is brought up to date", metavar="INDEX"
    )
    store: str | None = option(
        None,
        "where the index goes instead: faiss:FOLDER, milvus:FILE.db, milvus:http://HOST:19530 or "
        "postgres://USER@HOST/DATABASE, a database with #NAME at the end; its password comes from the environment",
        metavar="ADDRESS",
    )
    split: str = option("all", "images of this split", choices=("all", "train", "validation", "test"))
    backbone: str | None = option(None, "network (default lite0, or the index's)")
    layer: str | None = option(None, "where features are taken (default pool, or the index's)")
    pooling: str | None = option(
        None,
        "pooling of feature maps (default avg, or the index's)",
        choices=("avg", "max", "avg+std", "gem", "flat"),
    )
    input_size: str | None = option(
        None, "224, or 100x200 (height x width) (default the network's, or the index's)", metavar="SIZE"
    )
    metric: str | None = option(
        None, "how nearness is measured (default cosine, or the index's)", choices=("cosine", "l2")
    )
    whiten: int | None = option(
        None, "PCA-whitening to this many dimensions, 0: none (default 0, or the index's)", low=0, high=65536
    )
    prune: bool = option(False, "remove images that the source no longer holds")
    memory_gb: float = option(
        4.0,
        "gigabytes that an approximate index in a folder (above 100,000 images) may take",
        low=0.01,
        high=10_000,
    )
    engine: str = same("engine")
    cache_gb: float = same("cache_gb")


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What `search` takes beside the index and the images."""

    where: str | None = option(
        None,
        "condition on the index's columns: ==, !=, <, >, <=, >=, in (..), and, or, parentheses",
        metavar="CONDITION",
    )
    expand: int = option(
        0, "search again with the mean of the query and its first results, this many", low=0, high=1000
    )
    near: float = option(0.98, "cosine from which an image counts as a copy of the query", low=0.0, high=1.0)
    html: str | None = option(
        None,
        "write a page with the pictures found; with --evaluate the figures and the worst queries",
        metavar="FILE.html",
    )
    evaluate: bool = option(
        False, "measure how well images of the same class are found; IMAGE is labelled data then"
    )
    split: str | None = option(
        None, "with --evaluate: queries of this split (default test where there is one, else all)",
        choices=("all", "train", "validation", "test"),
    )  # fmt: skip
    seed: int = option(0, "of the bootstrap intervals", low=0)
    engine: str = same("engine")
    cache_gb: float = same("cache_gb")


def add_to(app: typer.Typer) -> None:
    """Make `index` and `search` verbs of the app."""
    verb(app, IndexOptions, DataOptions, example=INDEX_EXAMPLE, skip=("target",))(index)
    verb(app, SearchOptions, DataOptions, example=SEARCH_EXAMPLE)(search)


def index(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Images: anything that `data` reads.", show_default=False)
    ],
    json: Json = False,
    **flags: Any,
) -> None:
    """Index images by their features, or bring an index up to date: only new and changed images are computed.

    The index keeps the labels, splits and groups of the data, for --where and --evaluate of `search`.
    """
    options = build(IndexOptions, flags)
    source = build(DataOptions, flags)
    if (options.out is None) == (options.store is None):
        raise BadOptions(["out: say where the index goes, e.g. --out photos.index, or --store ADDRESS"])
    from headstart.features.index import ImageIndex
    from headstart.features.stores.address import parse_address

    place = parse_address(options.store if options.store is not None else Path(str(options.out)))

    with shown():
        made = ImageIndex.build(
            open_table(data, source), place, split=options.split, backbone=options.backbone,
            layer=options.layer, pooling=options.pooling, input_size=options.input_size, metric=options.metric,
            whiten=options.whiten, prune=options.prune, engine=options.engine, cache_gb=options.cache_gb,
            memory_gb=options.memory_gb,
        )  # fmt: skip
    if json:
        say_json(index_value(made, options.out or str(place)))
        return
    for line in index_lines(made, options.out or str(place)):
        say(line)


def search(
    where_index: Annotated[
        str,
        typer.Argument(
            metavar="INDEX",
            help="An index that `index` made: its folder or address.",
            show_default=False,
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Images or folders; with --evaluate one source of labelled images.",
            show_default=False,
        ),
    ],
    k: Annotated[int, typer.Option("-k", help="images found for each query", metavar="NUMBER")] = 12,
    json: Json = False,
    **flags: Any,
) -> None:
    """Find the images of an index that are most like others, or measure how well that works.

    With --evaluate an image of the query's class counts as found rightly; the query itself and its copies do not count.
    """
    options = build(SearchOptions, flags)
    _refuse(options, images, flags)
    from headstart.features.index import ImageIndex

    with shown():
        opened = ImageIndex.open(where_index, engine=options.engine, cache_gb=options.cache_gb)
        if options.evaluate:
            return _evaluate(opened, where_index, images[0], k, options, build(DataOptions, flags), json)
        files = image_files(images)
        if len(images) == 1 and len(files) == 1 and not files[0].exists():
            raise DataError(f"{images[0]}: no such image file or folder")
        found = opened.search(files, k, where=options.where, expand=options.expand, near=options.near)
    if options.html:
        _write_page(options, opened, found, where_index)
    if json:
        say_json(_found_value(found, opened))
    else:
        for line in found_lines(found, opened.card.metric):
            say(line)
        if options.html:
            say(f"\n{printable(options.html)}: the pictures")
    return None


def _refuse(options: SearchOptions, images: list[str], flags: dict[str, Any]) -> None:
    wrong = []
    if options.evaluate:
        if len(images) != 1:
            wrong.append("--evaluate takes one source of images")
    else:
        names = (
            "split",
            "target",
            "path_column",
            "label_columns",
            "group_column",
            "split_column",
            "image_root",
        )
        wrong += [f"{name.replace('_', '-')}: goes with --evaluate" for name in names if flags.get(name)]
    if options.html is not None and not options.html.lower().endswith((".html", ".htm")):
        wrong.append(f"html: expected a name that ends with .html, got {options.html!r}")
    if wrong:
        raise BadOptions(wrong)


def _write_page(options: SearchOptions, opened: ImageIndex, found: tuple[Found, ...], name: str) -> None:
    from headstart.base.files import write_text
    from headstart.report.similar import similar_page

    page = similar_page(
        found, [Path(each.query) for each in found], index=_index_name(name), metric=opened.card.metric,
        where=options.where or "", used=_used(options, opened),
    )  # fmt: skip
    write_text(Path(str(options.html)), page)


def _used(options: SearchOptions, opened: ImageIndex) -> tuple[str, ...]:
    """What of the search has a paper."""
    from headstart.report.similar import ways_of

    approximate = opened.store.approximate or {}
    return ways_of(opened.card.pooling, opened.card.whiten, options.expand, str(approximate.get("kind", "")))


def _index_name(text: str) -> str:
    """A folder without what leads to it, or the address of a store."""
    from headstart.features.stores.address import parse_address

    where = parse_address(text)
    return Path(where.place).name if where.kind == "faiss" else str(where)


def _found_value(found: tuple[Found, ...], opened: ImageIndex) -> dict[str, Any]:
    return {
        "metric": opened.card.metric,
        "n_index": len(opened),
        "queries": [{**asdict(each), "hits": [asdict(hit) for hit in each.hits]} for each in found],
    }


def _evaluate(
    opened: ImageIndex, name: str, data: str, k: int, options: SearchOptions, source: DataOptions, json: bool
) -> None:
    from headstart.features.index_quality import evaluate_index

    table = open_table(data, source)
    split = options.split or ("test" if table.has_split("test") else "all")
    chosen = table.select(table.rows(split))
    if not len(chosen):
        raise DataError(f"{table.name}: no images of split {split!r}")
    target = source.target or None
    found = evaluate_index(
        opened, chosen, target=target, k=k, near=options.near, where=options.where, expand=options.expand,
        seed=options.seed,
    )  # fmt: skip
    if options.html:
        _write_quality(options, opened, found, chosen, name, k)
    if json:
        say_json({"split": split, "metric": opened.card.metric, **found.to_dict()})
        return
    for line in quality_lines(found, split):
        say(line)
    if options.html:
        say(f"\n{printable(options.html)}: the worst queries as pictures")


def _write_quality(
    options: SearchOptions, opened: ImageIndex, found: IndexQuality, table: ImageTable, name: str, k: int
) -> None:
    """The page of a quality: its figures, and what was found for the worst queries."""
    from headstart.base.files import write_text
    from headstart.report.similar import quality_page

    row_of = {path: row for row, path in enumerate(table.paths)}
    items = [table.item(row_of[path]) for path, _, _ in found.worst]
    told = [path for path, _, _ in found.worst]
    k = min(k, len(opened))
    hits = opened.search(items, k, where=options.where, expand=options.expand, near=options.near, names=told)
    page = quality_page(
        found, hits, items, index=_index_name(name), metric=opened.card.metric, where=options.where or "",
        used=_used(options, opened),
    )  # fmt: skip
    write_text(Path(str(options.html)), page)
