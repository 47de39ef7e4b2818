"""A head that no epoch bettered is fitted on the inner fold that chose too, as the heads on frozen features are."""

import numpy as np
import pytest
import torch

from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.heads import make_head
from headstart.methods.heads_select import inner_folds
from headstart.methods.multi_output import MultiOutputTransfer
from headstart.methods.objective import Classes
from headstart.methods.probe import TransferClassifier
from headstart.methods.training_options import TrainingOptions
from headstart.testing.backbones import tiny_backbone
from headstart.testing.images import class_folders
from headstart.testing.outputs import KINDS, marked_squares

TOO_HIGH = 3.0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return scan(class_folders(tmp_path_factory.mktemp("refit"), n_per_class=12))


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def spoilt(backbone, **options):
    """Training that makes the fitted head worse."""
    given = {"epochs": 1, "batch_size": 8, "learning_rate": TOO_HIGH, "augment": "none", "dtype": "float32"}
    return FineTuneClassifier(backbone=backbone, trainable="last:1", **{**given, **options})


def test_it_is_the_head_on_features_fitted_on_all_of_train(pictures, backbone):
    items, labels = pictures.items(), np.array(pictures.labels[pictures.target()])
    method = spoilt(backbone).fit(items, labels)
    probe = TransferClassifier(backbone=backbone, engine="torch").fit(items, labels)
    assert method.chosen_["epoch"] == 0 and method.record_["head_refitted"]
    assert method.record_["epoch_chosen_on"] == "1 of 5 inner folds"
    assert (method.selection_, method.selected_on_) == (probe.selection_, "5 inner folds")
    assert (method.n_train_, method.n_validation_) == (len(items), 0)
    assert np.abs(method.predict_proba(items) - probe.predict_proba(items)).max() < 1e-3


def test_training_starts_from_what_all_folds_chose_fitted_on_what_trains(pictures, backbone):
    items, labels = pictures.items(), np.array(pictures.labels[pictures.target()])
    method = spoilt(backbone, learning_rate=1e-8).fit(items, labels)
    matrix = (
        TransferClassifier(backbone=backbone, engine="torch").fit(items, labels).extractor_.transform(items)
    )
    codes = np.unique(labels, return_inverse=True)[1]
    train, out = inner_folds(codes, 5, seed=0)[0]
    chosen = make_head("logistic").fit(matrix, codes).chosen_
    begun = make_head("logistic", **chosen).fit(matrix[train], codes[train])
    assert method.start_selection_ == begun.score(matrix[out], codes[out])


def test_given_validation_images_train_nothing(pictures, backbone):
    method = spoilt(backbone).fit_table(split_table(pictures, seed=3))
    assert method.chosen_["epoch"] == 0 and "head_refitted" not in method.record_


def test_weights_that_were_trained_are_kept_as_they_are(pictures, backbone):
    items, labels = pictures.items(), np.array(pictures.labels[pictures.target()])
    method = spoilt(backbone, learning_rate=1e-4, keep="last").fit(items, labels)
    assert method.chosen_["epoch"] == 1 and "head_refitted" not in method.record_


def test_an_epoch_that_is_level_with_the_start_is_not_kept(pictures, backbone):
    items, labels = pictures.items(), np.array(pictures.labels[pictures.target()])
    method = spoilt(backbone, learning_rate=1e-8).fit(items, labels)
    assert method.record_["curve"][0]["held_accuracy"] == method.start_selection_
    assert method.chosen_["epoch"] == 0
    given = spoilt(backbone, learning_rate=1e-8).fit_table(split_table(pictures, seed=3))
    assert given.chosen_["epoch"] == 0, "and not on validation images either"


def test_the_score_that_chooses_is_the_share_that_a_head_would_have():
    truth = np.array([0, 0, 0, 1, 1, 1, 1])
    scores = torch.nn.functional.one_hot(torch.zeros(7, dtype=torch.long), 2).float()
    learns = Classes(truth, truth, 2, TrainingOptions(), torch.device("cpu"))
    assert learns.held(scores)[1] == float(np.mean(truth == 0))


@pytest.mark.parametrize("sharing", ["hard", "soft", "separate"])
def test_so_are_the_heads_of_several_outputs(sharing, backbone):
    images, columns = marked_squares()

    def fitted(rate):
        tuner = spoilt(backbone, batch_size=16, learning_rate=rate)
        return MultiOutputTransfer(estimator=tuner, kinds=KINDS, sharing=sharing).fit(images, columns)

    spoiling = fitted(TOO_HIGH)
    records = spoiling.record_.get("runs") or {"all": spoiling.record_}
    again = [name for name, each in records.items() if each["kept_epoch"] == 0]
    assert again and all(records[name]["head_refitted"] for name in again)
    assert not any(each.get("head_refitted") for each in records.values() if each["kept_epoch"])
    plain = MultiOutputTransfer(
        estimator=TransferClassifier(backbone=backbone, engine="torch"), kinds=KINDS
    ).fit(images, columns)
    theirs, own = plain.predict_outputs(images), spoiling.predict_outputs(images)
    name = again[0] if sharing == "separate" else "colour"
    assert np.corrcoef(own[name].ravel(), theirs[name].ravel())[0, 1] > 0.9
