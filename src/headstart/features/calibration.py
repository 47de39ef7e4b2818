"""The sample of the user's own images that an int8 or bfloat16 network is fitted to, and its name.

A sample is kept by name for each backbone, and serves again wherever all its images are among those at hand:
ten new images in a folder do not make a new network, so they cost ten forward passes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.backbones.card import BackboneCard
from headstart.base.files import write_text
from headstart.base.hashing import digest_bytes
from headstart.base.runtime import cache_folder

N_CALIBRATION = 128

Sampler = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Calibration:
    """A named sample.

    Attributes
    ----------
    id : str
        Hash of the images' digests; "" where the precision needs none.
    sample : callable
        `sample(n)`: up to n prepared images, uint8 (n, height, width, 3).
    """

    id: str
    sample: Sampler


def sample_rows(digests: Sequence[str], n: int | None = None) -> list[int]:
    """Rows of the n distinct images whose digests hash lowest: a random sample that content alone decides."""
    first: dict[str, int] = {}
    for row, digest in enumerate(digests):
        first.setdefault(digest, row)
    ranked = sorted(first, key=lambda digest: digest_bytes(b"sample", digest.encode()))
    return [first[digest] for digest in ranked[:n]]


def calibration_rows(card: BackboneCard, digests: Sequence[str]) -> tuple[str, list[int]]:
    """Name and rows of the sample for these images: a kept one where all of it is here, else a new one."""
    path = _place(card)
    kept: dict[str, list[str]] = json.loads(path.read_text()) if path.exists() else {}
    rows = {digest: row for row, digest in enumerate(digests)}
    for name, images in kept.items():
        if all(digest in rows for digest in images):
            return name, [rows[digest] for digest in images]
    chosen = sample_rows(digests, N_CALIBRATION)
    images = [digests[row] for row in chosen]
    name = digest_bytes(*(digest.encode() for digest in images))[:12]
    write_text(path, json.dumps({**kept, name: images}))
    return name, chosen


def _place(card: BackboneCard) -> Path:
    name = digest_bytes(card.weights_digest.encode(), card.preprocessing.digest().encode())
    return cache_folder() / "calibrations" / f"{name}.json"
