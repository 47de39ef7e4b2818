"""Copies are found however they were made, and different images are left alone."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageEnhance, ImageOps

from headstart.features.duplicate_align import SIDE, likeness
from headstart.features.duplicate_search import hashes, near_hashes, nearest_others
from headstart.features.duplicates import FLOOR, Prints, _best, _robust, find_copies, joined, limit, prints_of
from headstart.testing.scenes import scene

N = 120


def jpeg(image, quality=90):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def cropped(image):
    wide, high = image.size
    return image.crop((round(0.03 * wide), round(0.02 * high), round(0.98 * wide), round(0.97 * high)))


CHANGES = {
    "re-encoded": lambda image: jpeg(image, 55),
    "resized": lambda image: jpeg(image.resize((100, 75))),
    "cropped": lambda image: jpeg(cropped(image)),
    "brightened": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.3)),
    "mirrored": lambda image: jpeg(ImageOps.mirror(image)),
}


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(4)
    return [scene(rng) for _ in range(N)]


@pytest.fixture(scope="module")
def printed(scenes):
    return prints_of([jpeg(image) for image in scenes])


def digests(n):
    return [f"{row:032x}" for row in range(n)]


def looks_like(prints):
    """Features that say as little as features may: the coarse picture, either way round."""
    small = prints.grey.reshape(len(prints.grey), 8, 6, 8, 6).mean((2, 4)).astype(np.float32)
    both = small + small[:, :, ::-1]
    return np.concatenate(
        [both.reshape(len(small), -1), np.abs(small - small[:, :, ::-1]).reshape(len(small), -1)], 1
    )


def test_different_scenes_are_no_copies(printed):
    found = find_copies(printed, digests(N), looks_like(printed))
    assert len(found.pairs) == 0 and found.groups() == []
    assert found.n_compared > 0 or found.threshold == FLOOR


@pytest.mark.parametrize("kind", CHANGES)
def test_every_changed_copy_finds_its_original(scenes, printed, kind):
    rows = range(0, N, 12)
    new = prints_of([CHANGES[kind](scenes[row]) for row in rows])
    every = Prints(
        *(
            np.concatenate([getattr(printed, name), getattr(new, name)])
            for name in ("grey", "colours", "ok", "large")
        )
    )
    found = find_copies(every, digests(N + len(rows)), looks_like(every))
    wanted = [(row, N + at) for at, row in enumerate(rows)]
    assert [tuple(pair) for pair in found.pairs.tolist()] == wanted
    assert set(found.kinds) == {"mirrored" if kind == "mirrored" else "near"}


def test_the_same_shape_in_another_colour_is_no_copy_where_features_differ():
    def shirt(colour, seed):
        noise = np.random.default_rng(seed).integers(0, 8, (96, 96, 3))
        picture = np.full((96, 96, 3), 200) + noise
        picture[30:80, 30:66] = np.array(colour) + noise[30:80, 30:66]
        picture[30:44, 18:78] = np.array(colour) + noise[30:44, 18:78]
        return picture.astype(np.uint8)

    prints = prints_of([shirt((190, 50, 60), 0), shirt((110, 55, 62), 1), shirt((190, 50, 60), 2)])
    features = np.array([[1, 0, 0.2], [0.8, 0.6, 0.2], [1, 0, 0.25]], np.float32)
    found = find_copies(prints, digests(3), features)
    assert [tuple(pair) for pair in found.pairs.tolist()] == [(0, 2)]
    agreeing = find_copies(
        prints, digests(3), np.array([[1, 0, 0.2], [1, 0.1, 0.2], [1, 0, 0.25]], np.float32)
    )
    assert (0, 1) in [tuple(pair) for pair in agreeing.pairs.tolist()]


def test_where_every_second_image_has_a_copy_they_are_found_all_the_same(scenes, printed):
    rows = range(0, N, 2)
    new = prints_of([CHANGES["re-encoded"](scenes[row]) for row in rows])
    every = Prints(
        *(
            np.concatenate([getattr(printed, name), getattr(new, name)])
            for name in ("grey", "colours", "ok", "large")
        )
    )
    found = find_copies(every, digests(N + len(rows)), looks_like(every))
    wanted = {(row, N + at) for at, row in enumerate(rows)}
    assert {tuple(pair) for pair in found.pairs.tolist()} == wanted


def test_the_best_pair_of_each_image_is_known():
    pairs = np.array([[0, 1], [1, 2], [2, 3], [0, 3]])
    assert _best(pairs, np.array([0.9, 0.8, 0.7, 0.95], np.float32)).tolist() == [True, True, False, True]


def test_a_threshold_does_not_end_at_one_where_a_third_of_the_candidates_are_copies():
    rng = np.random.default_rng(0)
    alike = np.tanh(np.concatenate([rng.normal(0.45, 0.3, 400), rng.normal(2.4, 0.2, 200)])).astype(
        np.float32
    )
    other = np.arange(600) < 400
    assert limit(alike) > 0.999 > 0.97 > _robust(alike, other) >= FLOOR
    alone = alike[:400]
    assert _robust(alone, np.arange(400) % 2 == 0) == limit(alone)


def test_equal_files_are_one_cluster_though_they_show_nothing():
    prints = prints_of([np.full((40, 40, 3), 9, np.uint8)] * 3 + [np.full((40, 40, 3), 99, np.uint8)])
    found = find_copies(prints, ["x", "x", "x", "y"])
    assert found.kinds == ("equal", "equal") and [group.tolist() for group in found.groups()] == [[0, 1, 2]]


def test_images_of_a_few_pixels_are_compared_by_their_files_alone():
    rng = np.random.default_rng(0)
    tiny = [rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)] * 2
    assert len(find_copies(prints_of(tiny), ["a", "b"]).pairs) == 0


def test_an_unreadable_image_is_no_copy_of_another():
    found = find_copies(prints_of([b"no image", b"neither"]), ["a", "b"])
    assert len(found.pairs) == 0


def test_alignment_undoes_a_crop(scenes, printed):
    cut = prints_of([jpeg(cropped(image)) for image in scenes[:20]])
    plain = [
        float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
        for a, b in zip(printed.grey[:20], cut.grey, strict=True)
    ]
    assert likeness(printed.grey[:20], cut.grey).min() > 0.9 > np.median(plain)


def test_the_threshold_follows_how_alike_the_set_is():
    rng = np.random.default_rng(0)
    loose = np.tanh(rng.normal(0.2, 0.2, 5000)).astype(np.float32)
    alike = np.tanh(rng.normal(0.8, 0.35, 5000)).astype(np.float32)
    assert limit(loose) == FLOOR < limit(alike)
    assert (alike >= limit(alike)).mean() < 1e-3


def test_the_threshold_hardly_moves_with_copies_in_the_set():
    rng = np.random.default_rng(0)
    alike = np.tanh(rng.normal(0.5, 0.3, 5000)).astype(np.float32)
    with_copies = np.concatenate([alike, np.full(250, 0.999, np.float32)])
    assert abs(limit(with_copies) - limit(alike)) < 0.02


def test_neighbours_are_those_of_the_whole_vectors():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(30, 64))
    points = (centres[rng.integers(0, 30, 1500)] + 0.3 * rng.normal(size=(1500, 64))).astype(np.float32)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    found, near = nearest_others(points, 3)
    shared = [
        len(set(a) & set(b)) / 3
        for a, b in zip(np.argsort(-cosines)[:, :3].tolist(), found.tolist(), strict=True)
    ]
    assert np.mean(shared) > 0.999
    assert np.allclose(near, np.take_along_axis(cosines, found, 1), atol=1e-5)


def test_neighbours_of_hardly_any_images():
    assert nearest_others(np.ones((1, 4), np.float32), 3)[0].shape == (1, 0)
    assert nearest_others(np.eye(2, 4, dtype=np.float32), 3)[0].tolist() == [[1], [0]]


def test_near_hashes_of_many_images_are_found_by_quarters(printed):
    own = hashes(printed.grey)
    near = own ^ np.uint64(1 << 40)
    every = near_hashes(own, near, 3, 4)
    quarters = near_hashes(own, near, 3, 4, few=1)
    diagonal = {(row, row) for row in range(N)}
    assert diagonal <= set(map(tuple, every.tolist())) == set(map(tuple, quarters.tolist()))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_chains_of_pairs_share_a_number(n, pairs):
    pairs = np.array([(a, b) for a, b in pairs if a < n and b < n], np.int64).reshape(-1, 2)
    found = joined(pairs, n)
    assert (found[pairs[:, 0]] == found[pairs[:, 1]]).all()
    reached = {row: {row} for row in range(n)}
    for a, b in pairs.tolist():
        both = reached[a] | reached[b]
        for row in both:
            reached[row] = both
    assert len(np.unique(found)) == len({id(part) for part in reached.values()})


def test_likeness_of_a_picture_with_itself_is_one():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (3, SIDE, SIDE)).astype(np.uint8)
    assert likeness(pictures, pictures).min() > 0.999
    assert likeness(pictures[:0], pictures[:0]).shape == (0,)
