"""A folder that is made whole or not at all: beside its place first, which it takes only while that is empty."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart.base.errors import DataError


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
