"""A map of a collection as one HTML page that needs no network: its own script, pictures in a few sheets.

Up to 5,000 images everything stands in the page; above that the sheets lie in a folder beside it.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from headstart.base.errors import DataError, UnknownName
from headstart.base.files import folder_written_aside, plain_name, write_text
from headstart.images.collect import clean
from headstart.report.atlas import sheets, tiles_per_row
from headstart.report.html import filled, policy, resource
from headstart.report.map_columns import ERRORS, MapColumn, map_columns
from headstart.report.map_words import references, sentences, subtitle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.features.map_found import ImageMap
    from headstart.images.table import ImageTable

MOST_INSIDE = 5000
SCRIPTS = ("map_marks.js", "map_space.js", "map_pictures.js", "map_draw.js", "map.js")
SHEET_NAME = re.compile(r"\d{4,}\.jpg")
MARK = '<meta name="generator" content="Headstart">'


@dataclass(frozen=True)
class MapFiles:
    """What was written: the page, and the folder of its pictures where there is one."""

    page: Path
    folder: Path | None


def tile_side(n: int) -> int:
    """Pixels of a picture's longer side on the page: less the more there are."""
    return 128 if n <= 1500 else 96 if n <= 20_000 else 64


def check_page(path: str | Path) -> Path:
    """The page to be written: nothing is there yet, or pages and pictures of ours.

    Raises
    ------
    DataError
        A file that is no page of Headstart, or a folder that holds other things, would be replaced.
    """
    place = Path(path)
    if place.is_dir():
        raise DataError(f"out: {path} is a folder; name a file, e.g. {place / 'map.html'}")
    if place.exists():
        with place.open("rb") as file:
            if MARK.encode() not in file.read(4096):
                raise DataError(f"out: {path} is no page of Headstart and is not replaced; name another file")
    folder = folder_of(place)
    if folder.exists() and (
        not folder.is_dir() or not all(SHEET_NAME.fullmatch(each.name) for each in folder.iterdir())
    ):
        raise DataError(f"out: {folder} is not replaced, it holds other things; name another page")
    return place


def folder_of(page: Path) -> Path:
    """Where the pictures of a large map go."""
    return page.with_name(f"{page.stem}_files")


def write_map_page(
    found: ImageMap, path: str | Path, *, colour: str = "", most_inside: int = MOST_INSIDE
) -> MapFiles:
    """Write the page; an older one of ours is replaced whole.

    Parameters
    ----------
    found : ImageMap
    path : path
    colour : str
        The column to begin with; "" for the labels, else the clusters, else what there is.
    most_inside : int
        Images up to which pictures stand in the page.

    Raises
    ------
    DataError
        See `check_page`.
    UnknownName
        No such column.
    """
    place = check_page(path)
    columns = map_columns(found)
    first = _first(columns, colour)
    rows = near_together(found.projection.points)
    tile = tile_side(len(rows))
    folder = folder_of(place) if len(rows) > most_inside else None
    every = -(-len(rows) // tiles_per_row(tile) ** 2) if folder else 0
    pictured = _pictures(found.table, rows, tile, every, folder)
    data = _data(found, columns, rows) | pictured | {"first": first, "tile": tile, "every": every}
    write_text(place, _page(found, data, inside=folder is None))
    return MapFiles(place, folder)


def _pictures(
    table: ImageTable, rows: NDArray[np.int64], tile: int, every: int, folder: Path | None
) -> dict[str, Any]:
    """The sheets, in the page or in the folder, the last of every so manieth picture; and the pictures' sizes."""
    if folder is None:
        inside = list(sheets(table, rows.tolist(), tile))
        addresses, sizes = [_uri(each.jpeg) for each in inside], [each.sizes for each in inside]
    else:
        addresses, sizes = [], []
        with folder_written_aside(folder) as aside:
            for each in chain(*(sheets(table, part.tolist(), tile) for part in (rows, rows[::every]))):
                name = f"{len(addresses):04d}.jpg"
                (aside / name).write_bytes(each.jpeg)
                addresses.append(f"{quote(_valid(folder.name))}/{name}")
                sizes.append(each.sizes)
    pairs = np.array([pair for each in sizes for pair in each], np.uint8)[: len(rows)]
    return {"per_row": tiles_per_row(tile), "sheets": addresses, "sizes": _text(pairs)}


def near_together(points: NDArray[Any]) -> NDArray[np.int64]:
    """Rows in the order of Morton's curve (1966): what lies together on the map shares a sheet of pictures."""
    low, high = points.min(0), points.max(0)
    cells = ((points - low) / np.maximum(high - low, 1e-12) * 65535).astype(np.uint64)
    code = np.zeros(len(points), np.uint64)
    for bit in range(16):
        for axis in (0, 1):
            code |= (cells[:, axis] >> np.uint64(bit) & np.uint64(1)) << np.uint64(2 * bit + axis)
    return np.argsort(code, kind="stable")


def _first(columns: tuple[MapColumn, ...], colour: str) -> int:
    names = [column.name for column in columns]
    if not colour:
        return 0
    wanted = ERRORS if colour == "error" and "error" not in names else clean(colour)
    if wanted not in names:
        raise UnknownName("column of the map", colour, names)
    return names.index(wanted)


def _data(found: ImageMap, columns: tuple[MapColumn, ...], rows: NDArray[np.int64]) -> dict[str, Any]:
    points = found.projection.points[rows]
    quiet = {"split", "group", ERRORS}
    return {
        "file": f"{plain_name(clean(found.table.name)) or 'map'}-selection.csv",
        "names": [clean(found.table.paths[row]) for row in rows],
        "x": _text(points[:, 0].astype("<f4")),
        "y": _text(points[:, 1].astype("<f4")),
        "named": [column.name for column in columns if column.name not in quiet],
        "columns": [
            {
                "name": column.name, "numeric": column.numeric, "values": column.values,
                "codes": _text(column.codes[rows].astype("<f4" if column.numeric else "<i4")),
            }
            for column in columns
        ],
    }  # fmt: skip


def _page(found: ImageMap, data: dict[str, Any], *, inside: bool) -> str:
    style = resource("style.css") + resource("map.css")
    script = "\n".join(resource(name) for name in SCRIPTS)
    return filled(
        "map.html", title=f"Map of {clean(found.table.name)}", subtitle=subtitle(found), style=style,
        sentences=sentences(found), references=references(found), data=_json(data), script=script,
        policy=policy(style, script, "data:" if inside else "data: 'self' file:"),
    )  # fmt: skip


def _json(value: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _valid(name: str) -> bytes:
    """A file name as its bytes, as an address holds it."""
    return name.encode("utf-8", "surrogateescape")
