"""Which operators destroy labels: controls on digits and on clothes, with the packaged weights."""

from pathlib import Path

import numpy as np
import pytest

from headstart.audit.augmentation import LIMIT, _Judge, check_augmentation, probes
from headstart.base.errors import DataError
from headstart.images.arrays import array_table
from headstart.images.augment import Policy, Step, find_policy
from headstart.images.scan import scan

CLOTHES = Path(__file__).parents[1] / "data" / "clothing"


@pytest.fixture(scope="module")
def digits():
    only = ["rotate 180", "sharpen", "grey", "gaussian_noise"]
    return check_augmentation(scan("digits"), only=only, n_images=200)


def test_digits_turned_by_half_are_flagged(digits):
    turned = digits["rotate 180"]
    assert turned.flagged and turned.crossed_low > LIMIT and turned.distance > 0.5
    assert turned.learned < 1, "a six turned is a nine: no classifier can have learned both"
    assert digits.operators[0].crossed >= digits.operators[-1].crossed and digits.plain_accuracy > 0.75


def test_grey_and_sharper_digits_are_not_flagged(digits):
    assert not digits["grey"].flagged and not digits["sharpen"].flagged
    assert digits["grey"].crossed == 0 and digits["grey"].distance < 0.01


def test_noise_moves_digits_further_than_classes_lie_apart(digits):
    assert digits["gaussian_noise"].flagged and digits["gaussian_noise"].distance > 1


def test_a_mirror_image_of_clothes_is_not_flagged_and_a_policy_is_checked_step_by_step():
    mine = Policy(
        "mine", (Step("horizontal_flip", p=0.5), Step("cutout", (("share", 1.0), ("count", 3)), p=0.1))
    )
    found = check_augmentation(scan(CLOTHES), policy=mine, n_images=56)
    assert not found["horizontal_flip"].flagged
    assert found["cutout"].flagged and found["cutout"].verdict == "destroys", "nothing is left of the image"
    assert found.n_classes == 4 and found.to_dict()["operators"][0]["name"] == "cutout"


def test_everything_is_tried_but_what_mixes_or_chooses_by_itself():
    names = probes()
    assert {"rotate", "rotate 180", "horizontal_flip", "invert", "cutout"} <= set(names)
    assert not {"mixup", "augmix", "resize"} & set(names)
    assert list(probes(find_policy("medium"))) == ["random_resized_crop", "horizontal_flip", "colour_jitter"]
    twice = Policy("t", (Step("invert"), Step("invert")))
    assert len(probes(twice)) == 2


def test_too_few_images_are_told():
    few = np.arange(6 * 64 * 3, dtype=np.uint8).reshape(6, 8, 8, 3)
    table = array_table("few", {"": few}, {"": {"label": tuple("aaaaab")}})
    with pytest.raises(DataError, match="two classes of 5 images"):
        check_augmentation(table)


def test_confusion_that_plain_images_have_too_is_not_blamed_on_the_operator():
    draw = np.random.default_rng(0)
    codes = np.repeat([0, 1], 60)
    hard = draw.normal(size=(120, 8)) + 0.8 * codes[:, None]  # classes that overlap
    judge = _Judge(hard, codes, ["a", "b"], 0)
    assert judge.accuracy < 0.95
    other = judge.of("another draw", draw.normal(size=(120, 8)) + 0.8 * codes[:, None])
    assert not other.pairs and other.verdict != "destroys"
    swapped = judge.of("swapped", draw.normal(size=(120, 8)) + 0.8 * (1 - codes[:, None]))
    assert swapped.verdict == "destroys"


def test_the_classes_that_an_operator_confuses_are_named():
    draw = np.random.default_rng(0)
    codes = np.repeat([0, 1], 60)
    judge = _Judge(draw.normal(size=(120, 8)) + 4.0 * codes[:, None], codes, ["six", "nine"], 0)
    turned = judge.of("six looks like nine", draw.normal(size=(120, 8)) + 4.0)
    assert [pair[:2] for pair in turned.pairs] == [("six", "nine")] and turned.verdict == "destroys"
