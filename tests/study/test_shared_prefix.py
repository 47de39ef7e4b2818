"""Test images go through the frozen part of a network once; what a run says of them is the same."""

import numpy as np
import pytest

from headstart.images.scan import scan
from headstart.methods.finetune import FineTuneClassifier
from headstart.study.shared_prefix import SharedPrefix
from headstart.testing.backbones import tiny_backbone
from headstart.testing.images import class_folders


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return scan(class_folders(tmp_path_factory.mktemp("prefix"), n_per_class=12))


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def trained(pictures, backbone, **options):
    given = {
        "epochs": 1,
        "batch_size": 8,
        "learning_rate": 0.01,
        "augment": "none",
        "keep": "last",
        "dtype": "float32",
    }
    model = FineTuneClassifier(backbone=backbone, **{"trainable": "last:1", **given, **options})
    return model.fit(pictures.items(), np.array(pictures.labels[pictures.target()]))


def counting(monkeypatch):
    from headstart.study import shared_prefix

    seen, real = [], shared_prefix._run

    def run(model, prefix, items):
        seen.append(len(items))
        return real(model, prefix, items)

    monkeypatch.setattr(shared_prefix, "_run", run)
    return seen


def test_scores_are_those_of_the_whole_network_and_images_run_once(pictures, backbone, monkeypatch):
    seen, kept = counting(monkeypatch), SharedPrefix()
    items, digests = pictures.items(), list(pictures.digests)
    for seed, n in ((0, 20), (1, len(items))):
        model = trained(pictures, backbone, seed=seed)
        found = kept.scores(model, items[:n], digests[:n])
        assert np.allclose(found, model.decision_scores(items[:n]), atol=1e-4)
        assert np.allclose(model.proba_of(found), model.predict_proba(items[:n]), atol=1e-5)
    assert sum(seen) == len(items)
    assert kept.charged > 0, "the second run is charged what the first one had computed"


def test_another_cut_has_its_own_activations(pictures, backbone, monkeypatch):
    seen, kept = counting(monkeypatch), SharedPrefix()
    items, digests = pictures.items()[:8], list(pictures.digests)[:8]
    for cut in ("last:1", "last:2", "head"):
        model = trained(pictures, backbone, trainable=cut)
        assert np.allclose(kept.scores(model, items, digests), model.decision_scores(items), atol=1e-4)
    assert seen == [8, 8, 8]


def test_tokens_of_a_transformer_and_pooled_features_are_kept_as_they_are(pictures):
    import timm

    from headstart.backbones.card import Preprocessing
    from headstart.backbones.load import from_module

    backbone = from_module(timm.create_model("test_vit", img_size=64), Preprocessing(64, 64))
    items, digests = pictures.items()[:8], list(pictures.digests)[:8]
    for cut in ("last:1", "head"):
        model = trained(pictures, backbone, trainable=cut)
        assert np.allclose(
            SharedPrefix().scores(model, items, digests), model.decision_scores(items), atol=1e-4
        )


def test_what_has_no_room_is_computed_each_time(pictures, backbone, monkeypatch):
    seen, none = counting(monkeypatch), SharedPrefix(0)
    items, digests = pictures.items()[:8], list(pictures.digests)[:8]
    model = trained(pictures, backbone)
    for _ in range(2):
        assert np.allclose(none.scores(model, items, digests), model.decision_scores(items), atol=1e-4)
    assert seen == [8, 8] and none.charged == 0


def test_a_network_that_trains_whole_or_answers_by_mirror_images_shares_nothing(pictures, backbone):
    items, digests = pictures.items()[:4], list(pictures.digests)[:4]
    for options in ({"scenario": "full"}, {"test_views": "mirror"}):
        assert SharedPrefix().scores(trained(pictures, backbone, **options), items, digests) is None
