"""Groups as folders: copies or links, never a change to an original, never a path outside the new folder.

Everything is made in a folder beside the new one, which takes its place only while that is absent or empty.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.new_folder import check_new_folder, new_folder
from headstart.features.cluster_found import Clustering
from headstart.images.file_names import cell, placed, safe_name
from headstart.images.table import ImageTable

WAYS = ("copy", "symlink")
OUTLIERS = "outliers"
COLUMNS = ("path", "cluster", "distance", "outlier")


def write_groups(found: Clustering, out: str | Path, ways: str | None = None) -> Path:
    """Write `clusters.csv`, and with `ways` one folder a cluster and one for outliers.

    Parameters
    ----------
    found : Clustering
    out : path
        A folder that is absent or empty.
    ways : {"copy", "symlink"}, optional
        Images that are an array rather than files are written as PNG, and cannot be linked.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        The folder is not empty, or an original can no longer be read.
    BadOptions
        Links to images that are no files.
    UnknownName
    """
    if ways is not None and ways not in WAYS:
        raise UnknownName("way to write groups", ways, WAYS)
    if ways == "symlink" and found.table.pixels is not None:
        raise BadOptions([f"groups: {found.table.name} has no image files to link to; use copy"])
    place = check_new_folder(out)
    with new_folder(place) as aside:
        _write_table(found, aside / "clusters.csv")
        if ways is not None:
            for row, (folder, name) in enumerate(group_names(found)):
                (aside / folder).mkdir(exist_ok=True)
                _put(found.table, row, aside / folder / name, ways)
    return place


def group_names(found: Clustering) -> list[tuple[str, str]]:
    """Folder and file name of every image: safe names; equal ones get the digest as a suffix."""
    folders = {
        group.number: _folder_name(group.number, group.name, len(found.groups)) for group in found.groups
    }
    numbers = zip(found.labels, found.outliers, strict=True)
    paths = placed(found.table, [OUTLIERS if out else folders[int(label)] for label, out in numbers])
    return [(folder, name) for folder, _, name in (path.partition("/") for path in paths)]


def _folder_name(number: int, label: str | None, n_groups: int) -> str:
    digits = max(2, len(str(n_groups - 1)))
    said = safe_name(label or "")[:60]
    return f"{number:0{digits}d}" + (f"-{said}" if said else "")


def _put(table: ImageTable, row: int, place: Path, ways: str) -> None:
    item = table.item(row)
    if not isinstance(item, Path):
        from PIL import Image

        Image.fromarray(item).save(place, "PNG")
    elif ways == "symlink":
        place.symlink_to(item.absolute())
    else:
        try:
            with item.open("rb") as source, place.open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        except FileNotFoundError as error:
            raise DataError(f"{table.paths[row]}: no longer there") from error


def _write_table(found: Clustering, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        rows = zip(found.table.paths, found.labels, found.distances, found.outliers, strict=True)
        for name, cluster, distance, outlier in rows:
            writer.writerow([cell(name), int(cluster), f"{distance:.6g}", int(outlier)])
