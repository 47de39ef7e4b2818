"""How far images are from those that a network was trained on."""

import dataclasses

import numpy as np
import pytest
import torch

from headstart.backbones.load import load
from headstart.base.errors import BackboneError, UsageError
from headstart.features.similarity import batchnorm_distance, source_guess


@pytest.fixture(scope="module")
def lite0():
    return load("lite0").at(64)


def test_photos_are_nearer_to_the_source_than_noise(lite0):
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    photos = load_sample_images().images
    parts = [photo[at : at + 256 : 4, at : at + 256 : 4] for photo in photos for at in range(0, 160, 20)]
    assert 0 < 2 * batchnorm_distance(np.stack(parts), lite0) < batchnorm_distance(noise, lite0)


def test_images_whose_statistics_are_the_stored_ones_are_at_no_distance(lite0):
    import copy

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    module = copy.deepcopy(lite0.module).train()
    for part in module.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.momentum = None
            part.reset_running_stats()
    trunk = dataclasses.replace(lite0, module=module)
    from headstart.features.taps import Place, make_trunk

    with torch.no_grad():
        make_trunk(trunk, [Place("classifier", "avg")]).train()(torch.from_numpy(pixels))
    module.eval()
    assert batchnorm_distance(pixels, trunk) < 0.02 < batchnorm_distance(pixels, lite0)


def test_the_network_and_the_pixels_are_left_as_they_were(lite0):
    before = {name: value.clone() for name, value in lite0.module.state_dict().items()}
    pixels = np.full((2, 64, 64, 3), 90, np.uint8)
    first = batchnorm_distance(pixels, lite0)
    assert all(torch.equal(value, before[name]) for name, value in lite0.module.state_dict().items())
    assert (pixels == 90).all() and batchnorm_distance(pixels, lite0) == first


def test_a_network_without_batchnorm_is_refused_with_the_way_out(lite0):
    bare = dataclasses.replace(lite0, module=torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)))
    with pytest.raises(BackboneError, match="measure similarity on lite0"):
        batchnorm_distance(np.zeros((1, 64, 64, 3), np.uint8), bare)


def test_a_sure_classifier_has_no_entropy_and_an_even_one_has_all_of_it():
    sure, even = source_guess(np.eye(4)), source_guess(np.full((3, 4), 0.25))
    assert (sure.confidence, sure.entropy, sure.coverage) == (1.0, 0.0, 1.0)
    assert even.entropy == pytest.approx(1.0) and even.coverage == 0.25 and even.confidence == 0.25
    with pytest.raises(UsageError, match="shape"):
        source_guess(np.zeros((0, 4)))
