"""Groups as folders: copies or links, never a change to an original, never a path outside the new folder.

Everything is made in a folder beside the new one, which takes its place only while that is absent or empty.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.features.cluster_found import Clustering
from headstart.images.collect import clean
from headstart.images.table import ImageTable

WAYS = ("copy", "symlink")
OUTLIERS = "outliers"
COLUMNS = ("path", "cluster", "distance", "outlier")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
LONGEST_NAME = 120
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def check_new_folder(out: str | Path, images: str | Path | None = None) -> Path:
    """The folder to be made, absolute.

    Parameters
    ----------
    out : path
    images : path, optional
        The folder that images are read from: groups inside it would be images of the next run.

    Raises
    ------
    DataError
        It is no folder, holds something, or lies among the images.
    """
    place = Path(out).expanduser().resolve()
    if place.exists() and not place.is_dir():
        raise DataError(f"out: {out} is a file; name a folder that is new or empty")
    if place.is_dir() and any(place.iterdir()):
        raise DataError(f"out: {out} is not empty; name a folder that is new or empty")
    if images is not None and place.is_relative_to(Path(images).expanduser().resolve()):
        raise DataError(f"out: {out} lies in the folder of the images; name a folder outside it")
    return place


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
    table = found.table
    placed = [
        (OUTLIERS if found.outliers[row] else folders[int(found.labels[row])], _file_name(table, row))
        for row in range(len(table))
    ]
    times = Counter((folder, name.casefold()) for folder, name in placed)
    taken: set[tuple[str, str]] = {key for key, n in times.items() if n == 1}
    names = []
    for row, (folder, name) in enumerate(placed):
        final = name
        if times[folder, name.casefold()] > 1:
            final = _suffixed(folder, name, table.digests[row][:8], taken)
            taken.add((folder, final.casefold()))
        names.append((folder, final))
    return names


def _suffixed(folder: str, name: str, digest: str, taken: set[tuple[str, str]]) -> str:
    stem, ending = os.path.splitext(name)  # noqa: PTH122 (a name, not a path)
    made, number = f"{stem}-{digest}{ending}", 1
    while (folder, made.casefold()) in taken:
        number += 1
        made = f"{stem}-{digest}-{number}{ending}"
    return made


def safe_name(text: str) -> str:
    """One part of a path that can be nothing else: letters, digits, `_ . -`, no leading dot, not too long.

    Examples
    --------
    >>> safe_name("../../etc/a b"), safe_name("..")
    ('etc_a_b', '')
    """
    made = re.sub(r"[^\w.-]+", "_", clean(text)).lstrip("._-").rstrip("._")
    while len(made.encode()) > LONGEST_NAME:
        made = made[:-1]
    return f"_{made}" if RESERVED.fullmatch(made) else made


def _folder_name(number: int, label: str | None, n_groups: int) -> str:
    digits = max(2, len(str(n_groups - 1)))
    said = safe_name(label or "")[:60]
    return f"{number:0{digits}d}" + (f"-{said}" if said else "")


def _file_name(table: ImageTable, row: int) -> str:
    last = re.split(r"[/\\]", table.paths[row])[-1]
    stem, ending = os.path.splitext(last)  # noqa: PTH122 (a name, not a path)
    if table.pixels is not None:
        stem, ending = last, ".png"
    if not re.fullmatch(r"\.[A-Za-z0-9]{1,8}", ending):
        stem, ending = stem + ending, ""
    return (safe_name(stem) or table.digests[row]) + ending


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


def cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe goes before what begins like one."""
    whole = clean(text)
    return f"'{whole}" if whole.startswith(FORMULA) else whole


def _write_table(found: Clustering, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        rows = zip(found.table.paths, found.labels, found.distances, found.outliers, strict=True)
        for name, cluster, distance, outlier in rows:
            writer.writerow([cell(name), int(cluster), f"{distance:.6g}", int(outlier)])


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """A folder beside `place` that takes its place at the end; fails where something came there meanwhile."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=".part"))
    try:
        yield aside
        aside.chmod(0o755)
        if place.exists():
            place.rmdir()  # only ever an empty one: anything else raises
        aside.rename(place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
