from dataclasses import replace

import pytest
from sklearn.datasets import load_sample_images

from headstart.backbones.load import load
from headstart.features.extract import extract
from headstart.features.normalisations import best_rival
from headstart.features.selftest import self_test_items
from headstart.features.taps import Tap


@pytest.fixture(scope="module")
def small():
    return load("lite0").at(96)


@pytest.fixture(scope="module")
def known(small):
    """Parts of two photographs, each named what the network makes of it."""
    images = [
        photo[top : top + 240, left : left + 240]
        for photo in load_sample_images().images
        for top in range(0, 181, 60)
        for left in range(0, 391, 80)
    ]
    names = [str(k) for k in range(len(images))]
    found = extract(images, names, backbone=small, taps=[Tap("logits")], engine="torch", cache_gb=0)
    return images, names, found.features[Tap("logits")].argmax(1)


def card_with(backbone, **changes):
    return replace(
        backbone, card=replace(backbone.card, preprocessing=replace(backbone.card.preprocessing, **changes))
    )


def test_no_other_normalisation_fits_better_than_the_right_one(small, known):
    images, names, truth = known
    found = self_test_items(images, truth, small, digests=names, engine="torch")
    assert found.passed and found.top1 == 1 and found.better == ""
    assert found.errors < -3


def test_a_card_with_another_mean_and_std_is_found_out_and_the_right_one_named(small, known):
    images, _, truth = known
    wrong = card_with(small, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    rival = best_rival(wrong, images, truth)
    assert rival.better and rival.name == "-1 to 1" and rival.gain > 0


def test_127_of_255_is_the_same_as_a_half(small, known):
    images, _, truth = known
    near = card_with(small, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    assert not best_rival(near, images, truth).better


def test_few_images_do_not_tell(small, known):
    images, _, truth = known
    assert best_rival(small, images[:19], truth[:19]) is None
