"""Views are drawn by content, seed and number alone; evaluation sees the plain one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.backbones.card import Preprocessing
from headstart.base.errors import UnknownName
from headstart.images.prepare import prepare
from headstart.images.views import PLAIN, POLICIES, crop_box, policy, views_of

HOW = Preprocessing(32, 32, crop=1.0)


def picture(height=60, width=80):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 % 256, y * 4 % 256, (x + y) % 256], -1).astype(np.uint8)


def test_a_view_depends_on_image_seed_and_number_alone():
    both = views_of(picture(), "a", [0, 1], HOW, policy("medium"), 5)
    again = views_of(picture(), "a", [1], HOW, policy("medium"), 5)
    assert np.array_equal(both[1], again[0]) and not np.array_equal(both[0], both[1])
    for digest, seed in (("b", 5), ("a", 6)):
        assert not np.array_equal(again, views_of(picture(), digest, [1], HOW, policy("medium"), seed))


def test_the_plain_view_is_what_evaluation_sees_whatever_the_policy():
    for by in POLICIES.values():
        assert np.array_equal(views_of(picture(), "a", [PLAIN], HOW, by, 0)[0], prepare(picture(), HOW))


def test_a_mirrored_view_is_the_crop_the_other_way_round():
    crop, light = policy("crop"), policy("light")
    assert crop.mirror == 0 and light.mirror == 0.5
    seen = views_of(picture(), "a", range(40), HOW, light, 0).astype(int)
    rising = [
        np.diff(view[:, :, 1].mean(0)).mean() for view in seen
    ]  # green grows downwards, red to the right
    to_the_right = [np.diff(view[:, 8:24, 0].astype(float), axis=1) for view in seen]
    falling = sum(np.median(each) < 0 for each in to_the_right)
    assert len(rising) == 40 and 8 <= falling <= 32


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.05, 1.0), st.integers(0, 1000))
def test_crops_lie_inside_the_image(height, width, least, seed):
    left, top, right, bottom = crop_box(height, width, 1.0, least, np.random.default_rng(seed))
    assert -1e-6 <= left < right <= width + 1e-6 and -1e-6 <= top < bottom <= height + 1e-6


def test_an_unknown_policy_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="light"):
        policy("lihgt")
