"""Corruptions: pixels that depend on content alone, worse with severity, made one at a time."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.base.errors import UnknownName
from headstart.base.hashing import digest_bytes
from headstart.images.augment.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    SIDE,
    CorruptedItems,
    corrupt,
    corrupted_digest,
    find_corruptions,
)
from headstart.testing.images import tiny_image

IMAGE = np.asarray(tiny_image(1, np.random.default_rng(0)))
DIGEST = digest_bytes(b"an image")


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_every_corruption_changes_the_image_and_repeats_itself(name):
    plain = corrupt(IMAGE, DIGEST, "contrast", 1).shape
    for severity in SEVERITIES:
        made = corrupt(IMAGE, DIGEST, name, severity)
        assert made.dtype == np.uint8 and made.shape == plain and min(made.shape[:2]) == SIDE
    assert (corrupt(IMAGE, DIGEST, name, 5) == made).all()
    assert len({corrupted_digest(DIGEST, name, severity) for severity in SEVERITIES}) == 5


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"saturation"}))
def test_the_severest_is_further_from_the_image_than_the_mildest(name):
    from headstart.images.augment.corruptions import _at_side

    plain = _at_side(IMAGE).astype(float)
    away = [np.abs(corrupt(IMAGE, DIGEST, name, severity) - plain).mean() for severity in (1, 5)]
    assert 0 < away[0] < away[1]


def test_noise_depends_on_the_content_not_on_the_place():
    items = CorruptedItems(
        [IMAGE, IMAGE], [DIGEST, digest_bytes(b"another")], [("gaussian_noise", 2), ("jpeg", 1)]
    )
    assert len(items) == 4 and (items[0] == corrupt(IMAGE, DIGEST, "gaussian_noise", 2)).all()
    assert (items[0] != items[1]).any() and (items[2] == items[3]).all()
    assert len(items[1:3]) == 2
    with pytest.raises(IndexError):
        items[4]


def test_names_are_found_and_all_stands_for_all():
    assert find_corruptions(("jpeg", "contrast")) == ("contrast", "jpeg")
    assert find_corruptions(("all",)) == tuple(CORRUPTIONS)
    with pytest.raises(UnknownName, match="did you mean 'jpeg'"):
        find_corruptions(("jpg",))
