"""Sanity: random weights change the map. Faithfulness: the score falls with the pixels that the map names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.backbones.load import load
from headstart.base.errors import BadOptions
from headstart.explain.cam import Maps
from headstart.explain.faithful import (
    Sanity,
    blurred,
    faithfulness,
    randomised,
    rank_correlation,
    sanity,
)
from headstart.explain.gradients import explain
from headstart.explain.target import target_of_backbone, target_of_head
from headstart.methods.heads import make_head

from .test_target import features_of


@pytest.mark.parametrize("method", ["gradcam", "integrated_gradients", "occlusion"])
def test_random_weights_change_the_map(method, looks_at_the_corner, with_patch):
    _, target = looks_at_the_corner
    options = {"integrated_gradients": {"steps": 6}, "occlusion": {"windows": 5}}.get(method, {})
    maps = explain(target, with_patch, [0] * 6, method=method, **options)
    found = sanity(target, with_patch, maps, draws=4, **options)
    assert found.correlations.shape == (4, 6)
    assert abs(found.mean) < 0.3 and found.passed


NEVER_NEGATIVE = ("gradcam++", "layercam", "eigencam")


def test_eigen_cam_of_a_patch_in_one_place_misses_the_bar_by_its_place(sure_of_the_corner, with_patch):
    """Every image of this class has its patch in the same place, so another image's map agrees as well."""
    maps = explain(sure_of_the_corner, with_patch, [0] * 6, method="eigencam")
    found = sanity(sure_of_the_corner, with_patch, maps, draws=5)
    assert found.mean > 0.3 and not found.passed
    assert abs(found.mean - found.other) < 0.05 and "what stays is the place" in found.verdict


@pytest.fixture(scope="module")
def photographs():
    """The pretrained network, and pieces of the two photographs that scikit-learn brings."""
    from sklearn.datasets import load_sample_images

    target = target_of_backbone(load("lite0"))
    pieces = [
        np.ascontiguousarray(image[y : y + 300, x : x + 300])
        for image in load_sample_images().images
        for x, y in ((0, 60), (330, 120))
    ]
    pixels = target.prepared(pieces)
    return target, pixels, target.probabilities(pixels).argmax(1).tolist()


def test_grad_cam_of_photographs_changes_with_random_weights(photographs):
    target, pixels, classes = photographs
    found = sanity(target, pixels, explain(target, pixels, classes), draws=2)
    assert abs(found.mean) < 0.2 and found.passed
    assert "hangs on what the network has learned" in found.verdict


@pytest.mark.parametrize("method", NEVER_NEGATIVE)
def test_maps_of_positive_weights_alone_miss_the_bar_on_photographs_and_say_so(method, photographs):
    """The docs tell 0.57 to 0.68 on 24 photographs; of these few it is 0.6 to 0.75."""
    target, pixels, classes = photographs
    found = sanity(target, pixels, explain(target, pixels, classes, method=method), draws=2)
    assert 0.5 < found.mean < 0.85 and not found.passed
    assert "not below 0.3" in found.verdict and "shows the image more than the network" in found.verdict


def test_the_same_network_correlates_with_itself(looks_at_the_corner, with_patch):
    _, target = looks_at_the_corner
    maps = explain(target, with_patch, [0] * 6)
    assert rank_correlation(maps.coarse[0], maps.coarse[0]) == pytest.approx(1)
    assert np.isnan(rank_correlation(maps.coarse[0], np.zeros_like(maps.coarse[0])))


def test_a_randomised_network_has_forgotten_and_the_first_has_not(looks_at_the_corner, with_patch):
    _, target = looks_at_the_corner
    before = {name: each.clone() for name, each in target.net.state_dict().items()}
    other = randomised(target, with_patch, 0)
    again = randomised(target, with_patch, 0)
    assert all(torch.equal(each, target.net.state_dict()[name]) for name, each in before.items())
    changed = [
        name
        for name, each in other.net.named_parameters()
        if each.ndim > 1 and not torch.allclose(each, target.net.get_parameter(name))
    ]
    assert len(changed) == sum(each.ndim > 1 for each in target.net.parameters())
    assert all(torch.equal(a, b) for a, b in zip(other.net.parameters(), again.net.parameters(), strict=True))


def test_behind_nearest_neighbours_the_network_is_drawn_anew_and_they_stay():
    backbone, images, known = features_of(30, 0)
    head = make_head("knn", n_neighbors=5).fit(known, np.array(["a", "b", "c"])[np.arange(30) % 3])
    target = target_of_head(backbone, [("flatten", "avg")], head)
    other = randomised(target, images[:4], 0)
    same = [
        name
        for name, each in other.net.named_parameters()
        if each.ndim > 1 and torch.allclose(each, target.net.get_parameter(name))
    ]
    assert not same
    np.testing.assert_array_equal(other.net.head.head.model_["features"], head.model_["features"])
    assert np.abs(other.probabilities(images[:4]) - target.probabilities(images[:4])).max() > 0
    maps = explain(target, images[:4], [0, 1, 2, 0], method="occlusion", windows=4)
    found = sanity(target, images[:4], maps, draws=2, windows=4)
    assert found.correlations.shape == (2, 4) and np.isfinite(found.correlations).any()


def test_deletion_and_insertion_follow_the_planted_patch(looks_at_the_corner, with_patch):
    _, target = looks_at_the_corner
    maps = explain(target, with_patch, [0] * 6)
    scores = {
        name: each.mean() for name, each in faithfulness(target, with_patch, maps, steps=10).scores().items()
    }
    assert scores["deletion"] < scores["chance_deletion"]
    assert scores["insertion"] > scores["chance_insertion"]


def test_the_ends_of_the_curves_are_the_image_and_nothing_of_it(looks_at_the_corner, with_patch):
    _, target = looks_at_the_corner
    maps = explain(target, with_patch[:2], [0, 0])
    found = faithfulness(target, with_patch[:2], maps, steps=4)
    whole = target.probabilities(with_patch[:2])[:, 0]
    np.testing.assert_allclose(found.deletion[:, 0], whole, atol=1e-5)
    np.testing.assert_allclose(found.insertion[:, -1], whole, atol=1e-5)
    np.testing.assert_allclose(found.deletion[:, -1], found.chance_deletion[:, -1], atol=1e-5)
    assert found.share[0] == 0 and found.share[-1] == 1


def test_the_opposite_of_a_map_is_less_faithful(looks_at_the_corner, with_patch):
    _, target = looks_at_the_corner
    maps = explain(target, with_patch, [0] * 6)
    other = Maps(
        maps.method, maps.output, maps.classes, maps.coarse, 1 - maps.values, maps.layer, maps.signed
    )
    good, bad = (faithfulness(target, with_patch, each, steps=10).scores() for each in (maps, other))
    assert good["deletion"].mean() < bad["deletion"].mean()
    assert good["insertion"].mean() > bad["insertion"].mean()


def test_blurring_keeps_the_mean_and_loses_the_detail(with_patch):
    soft = blurred(with_patch[0])
    assert abs(soft.mean() - with_patch[0].mean()) < 3 and soft[30:].std() < with_patch[0][30:].std() / 2


def test_mistakes_are_told(looks_at_the_corner, with_patch):
    _, target = looks_at_the_corner
    maps = explain(target, with_patch, [0] * 6)
    with pytest.raises(BadOptions, match="draws"):
        sanity(target, with_patch, maps, draws=0)
    with pytest.raises(BadOptions, match="steps"):
        faithfulness(target, with_patch, maps, steps=1)


def test_agreement_in_place_alone_is_told_from_agreement_with_the_image():
    place, image = (
        Sanity("layercam", np.full((2, 3), own), np.full((2, 3), other))
        for own, other in ((0.6, 0.58), (0.6, 0.1))
    )
    assert "the place" in place.verdict and not place.passed
    assert "shows the image" in image.verdict
    alone = Sanity("layercam", np.full((2, 1), 0.6), np.full((2, 1), np.nan))
    assert "two images or more" in alone.verdict
    assert "below 0.3" in Sanity("gradcam", np.full((1, 2), 0.1), np.full((1, 2), 0.1)).verdict
    flat = Sanity("gradcam", np.full((1, 2), np.nan), np.full((1, 2), np.nan))
    assert flat.words == flat.verdict == "cannot tell: every map is flat, or is so with random weights"
    assert image.words.startswith("0.60, not below 0.3")


def test_the_map_of_another_image_is_compared_with_where_there_is_one(looks_at_the_corner, with_patch):
    _, target = looks_at_the_corner
    found = sanity(target, with_patch, explain(target, with_patch, [0] * 6, method="layercam"), draws=2)
    assert found.others.shape == (2, 6) and np.isfinite(found.other)
    one = sanity(target, with_patch[:1], explain(target, with_patch[:1], [0], method="layercam"), draws=1)
    assert np.isnan(one.other)


def test_correlations_of_both_signs_do_not_cancel_out():
    found = Sanity("gradcam", np.array([[0.8, -0.8]]), np.array([[np.nan, np.nan]]))
    assert found.mean == 0 and found.size == pytest.approx(0.8) and not found.passed
    assert found.verdict.startswith("not below 0.3 in size (0.80)")
    assert Sanity("gradcam", np.array([[0.1, -0.2]]), np.zeros((1, 2))).passed


def test_own_and_other_maps_are_measured_alike_and_told_as_they_were_measured():
    """Draws of both signs cancel out in either; images of both signs in neither."""
    own = np.array([[0.6, -0.6], [0.6, -0.6]])
    draws = Sanity("gradcam", own, np.array([[0.6, 0.6], [-0.6, -0.6]]))
    assert draws.other_size == pytest.approx(0) and "shows the image" in draws.verdict
    images = Sanity("gradcam", own, np.array([[0.55, -0.55], [0.55, -0.55]]))
    assert images.other == pytest.approx(0) and images.other_size == pytest.approx(0.55)
    assert "as high with the map of another image (0.55)" in images.verdict
