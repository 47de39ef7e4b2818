"""Search results as one page: each query with the pictures found, re-encoded, under the report's style and policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.base.errors import HeadstartError
from headstart.features.index_found import Found, Hit
from headstart.images.collect import clean
from headstart.images.decode import ImageItem
from headstart.report import papers
from headstart.report.cited import references_section, together
from headstart.report.document import Block, Document, Gallery, Paragraph, Picture, Section, plain_table
from headstart.report.html import render
from headstart.report.wording import interval, percent, search_measures

if TYPE_CHECKING:
    from headstart.features.index_quality import IndexQuality

SIDE = 200
BUDGET_BYTES = 40_000_000
HIDDEN = ("digest", "split", "group")
WAYS = {
    "gem": "generalised-mean pooling",
    "whitened": "whitened vectors",
    "expand": "query expansion",
    "hnsw": "approximate search by a graph (HNSW)",
    "ivfpq": "approximate search by inverted lists of product codes",
}
"""What of a search has a paper, in words."""
NOTHING = (
    "data:image/svg+xml;base64,"
    "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAxIDEiLz4="
)
"""An empty picture, where an image can no longer be read."""


def similar_page(
    found: Sequence[Found],
    items: Sequence[ImageItem],
    *,
    index: str,
    metric: str,
    where: str = "",
    used: Sequence[str] = (),
) -> str:
    """The page as text.

    Parameters
    ----------
    found : sequence of Found
    items : sequence
        The image of each query, as `decode` takes it.
    index : str
        What the index is called on the page.
    metric : str
    where : str
        The condition, as it was written.
    used : sequence of str
        What the search was done with that has a paper: names of `WAYS`.
    """
    maker = _Pictures()
    sections = tuple(
        _section(number, each, item, metric, maker)
        for number, (each, item) in enumerate(zip(found, items, strict=True), 1)
    )
    told = f"{len(found)} {'query' if len(found) == 1 else 'queries'} against {clean(index)}"
    whole = (*sections, *_references(used))
    return render(Document("Similar images", told + (f", where {clean(where)}" if where else ""), whole))


def quality_page(
    quality: IndexQuality,
    worst: Sequence[Found],
    items: Sequence[ImageItem],
    *,
    index: str,
    metric: str,
    where: str = "",
    used: Sequence[str] = (),
) -> str:
    """How well an index is searched: means with intervals, classes, and the worst queries with what they found.

    Parameters
    ----------
    quality : IndexQuality
    worst : sequence of Found
        What `quality.worst` found, in its order.
    items : sequence
        The images of these queries.
    used : sequence of str
        As `similar_page` takes it.
    """
    scores = quality.quality.scores
    measures = search_measures(quality.quality.k)
    rows = [(title, percent(scores[key].value), interval(scores[key]), told) for key, title, told in measures]
    means = plain_table(
        "means", "Means over queries.", ("measure", "mean", "95 % interval", "what it is"), rows
    )
    classes = [
        (clean(name), f"{values['n']:.0f}", *(percent(values[key]) for key, *_ in measures))
        for name, values in sorted(quality.quality.per_class.items(), key=lambda pair: pair[1]["map"])
    ]
    heads = ("class", "n", *(title for _, title, _ in measures))
    per_class = plain_table("classes", "By class, the hardest to find first.", heads, classes)
    maker = _Pictures()
    sections = [
        _section(number, each, item, metric, maker)
        for number, (each, item) in enumerate(zip(worst, items, strict=True), 1)
    ]
    told = [f"{label}: average precision {value:.3f}" for _, label, value in quality.worst]
    named = tuple(
        Section(each.id, f"{each.title} ({clean(said)})", each.blocks)
        for each, said in zip(sections, told, strict=True)
    )
    said = f"{quality.quality.n:,} queries against {quality.n_index:,} images of {clean(index)}"
    first = Section("quality", "Quality", (means, per_class))
    title = f"How well {clean(index)} is searched"
    shown = (first, Section("worst", "The worst queries", (), named)) if named else (first,)
    whole = (*shown, *_references(used))
    return render(Document(title, said + (f", where {clean(where)}" if where else ""), whole))


def ways_of(pooling: str, whiten: int, expand: int, approximate: str = "") -> tuple[str, ...]:
    """What of a search has a paper, as names of `WAYS`.

    Parameters
    ----------
    pooling : str
        Of the index.
    whiten, expand : int
        Dimensions that it is whitened to, and results that a query is expanded by; 0 where it is not.
    approximate : str
        Kind of an approximate index; "" where search is exact.
    """
    there = {
        "gem": pooling == "gem", "whitened": bool(whiten), "expand": bool(expand), "hnsw": approximate == "hnsw",
        "ivfpq": approximate == "ivfpq",
    }  # fmt: skip
    return tuple(name for name, is_used in there.items() if is_used)


def _references(used: Sequence[str]) -> tuple[Section, ...]:
    """The papers behind what was used, where there is any."""
    known = {**papers.SEARCH, **papers.POOLING}
    uses = together((known[name], WAYS[name]) for name in used)
    return (references_section(uses, of="this search"),) if uses else ()


def _section(number: int, found: Found, item: ImageItem, metric: str, maker: _Pictures) -> Section:
    name = clean(Path(found.query).name)
    query = Picture(maker.uri(item), clean(found.query), (name, "the query"))
    blocks: list[Block] = [Gallery(f"query-{number}-image", "Query", (("", "", (query,)),))]
    if found.hits:
        pictures = tuple(_picture(hit, metric, maker) for hit in found.hits)
        what = "cosine similarity" if metric == "cosine" else "distance"
        blocks.append(
            Gallery(f"query-{number}-hits", f"Found, nearest first ({what})", (("", "", pictures),))
        )
    else:
        blocks.append(Paragraph("Nothing was found."))
    return Section(f"query-{number}", name, tuple(blocks))


def _picture(hit: Hit, metric: str, maker: _Pictures) -> Picture:
    labels = [clean(cell) for key, cell in hit.columns.items() if key not in HIDDEN and cell]
    score = f"{hit.rank}. {hit.score:.3f}" + (" (a copy)" if hit.duplicate else "")
    lines = (score, ", ".join(labels) or " ", clean(hit.path))
    return Picture(maker.uri(hit.file), clean(str(hit.file)), lines)


class _Pictures:
    """Thumbnails, until the page is large enough."""

    def __init__(self) -> None:
        self.left = BUDGET_BYTES

    def uri(self, item: ImageItem) -> str:
        from headstart.images.thumbnail import data_uri, thumbnail

        if self.left <= 0:
            return NOTHING
        try:
            made = data_uri(thumbnail(item, SIDE))
        except (HeadstartError, OSError, ValueError):
            return NOTHING
        self.left -= len(made)
        return made
