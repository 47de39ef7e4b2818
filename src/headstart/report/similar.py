"""Search results as one page: each query with the pictures found, re-encoded, under the report's style and policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.base.errors import HeadstartError
from headstart.features.index_found import Found, Hit
from headstart.images.collect import clean
from headstart.images.decode import ImageItem
from headstart.report.document import Block, Document, Gallery, Paragraph, Picture, Section
from headstart.report.html import render

SIDE = 200
BUDGET_BYTES = 40_000_000
HIDDEN = ("digest", "split", "group")
NOTHING = (
    "data:image/svg+xml;base64,"
    "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAxIDEiLz4="
)
"""An empty picture, where an image can no longer be read."""


def similar_page(
    found: Sequence[Found], items: Sequence[ImageItem], *, index: str, metric: str, where: str = ""
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
    """
    maker = _Pictures()
    sections = tuple(
        _section(number, each, item, metric, maker)
        for number, (each, item) in enumerate(zip(found, items, strict=True), 1)
    )
    told = f"{len(found)} {'query' if len(found) == 1 else 'queries'} against {clean(index)}"
    return render(Document("Similar images", told + (f", where {clean(where)}" if where else ""), sections))


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
