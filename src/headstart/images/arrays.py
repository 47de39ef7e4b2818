"""Image tables whose images are rows of one array: digests of pixels, names that count."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from headstart.base.errors import DataError
from headstart.base.hashing import digest_bytes
from headstart.base.runtime import n_threads
from headstart.images.table import ImageTable


def array_table(
    name: str,
    parts: Mapping[str, np.ndarray],
    labels: Mapping[str, Mapping[str, tuple[str | None, ...]]],
    *,
    source: str = "",
) -> ImageTable:
    """One table of several arrays.

    Parameters
    ----------
    name : str
    parts : dict of split to uint8 array, shape (n, h, w) or (n, h, w, 3)
        Under "train", "validation", "test", or under "" where there is no split.
    labels : dict of split to dict of target to labels

    Raises
    ------
    DataError
        Arrays of different shapes, or labels of another length.
    """
    shapes = {pixels.shape[1:] for pixels in parts.values()}
    if len(shapes) != 1:
        raise DataError(f"{name}: images of different shapes: {', '.join(map(str, sorted(shapes)))}")
    paths: list[str] = []
    splits: list[str] = []
    columns: dict[str, list[str | None]] = {}
    for split, pixels in parts.items():
        n = len(pixels)
        paths += [f"{split or 'image'}/{row:06d}" for row in range(n)]
        splits += [split] * n
        for target, column in labels[split].items():
            if len(column) != n:
                raise DataError(f"{name}: {len(column)} labels for {n} images ({split or 'all'}, {target})")
            columns.setdefault(target, []).extend(column)
    together = [np.ascontiguousarray(pixels) for pixels in parts.values()]
    pixels = together[0] if len(together) == 1 else np.concatenate(together)
    return ImageTable(
        name=name,
        root="",
        paths=tuple(paths),
        digests=array_digests(pixels),
        labels={target: tuple(column) for target, column in columns.items()},
        splits=tuple(splits) if "" not in parts else None,
        pixels=pixels,
        source=source,
    )


def array_digests(pixels: np.ndarray) -> tuple[str, ...]:
    """Digest of each image of a uint8 array, shape (n, ...): its shape and its pixels."""
    shape = ",".join(map(str, pixels.shape[1:])).encode()

    def digest(row: int) -> str:
        return digest_bytes(shape, pixels[row].tobytes())

    with ThreadPoolExecutor(n_threads()) as pool:
        return tuple(pool.map(digest, range(len(pixels)), chunksize=256))
