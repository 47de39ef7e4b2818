"""How long a scenario trains where that is left open: all of a network for longer on few images."""

import numpy as np
import pytest

from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.training_options import DEFAULT_EPOCHS, own_epochs
from headstart.methods.tune.plan import TunePlan
from headstart.methods.tune.run import make_job
from headstart.testing.backbones import tiny_backbone
from headstart.testing.images import class_folders


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return scan(class_folders(tmp_path_factory.mktemp("epochs"), n_per_class=12))


def test_of_full_it_hangs_on_the_number_of_images_and_of_nothing_else():
    assert [own_epochs("full", n) for n in (1, 400, 800, 2000, 90_000)] == [20, 20, 10, 4, 4]
    for name in ("finetune", "scratch"):
        assert {own_epochs(name, n) for n in (1, 800, 90_000)} == {DEFAULT_EPOCHS[name]}


def test_a_network_trains_for_so_many_epochs(pictures):
    items, labels = pictures.items(), np.array(pictures.labels[pictures.target()])
    method = FineTuneClassifier(
        backbone=tiny_backbone(), scenario="full", augment="none", learning_rate=1e-5, batch_size=16
    ).fit(items, labels)
    assert len(method.record_["curve"]) == own_epochs("full", method.n_train_) == 20


@pytest.mark.parametrize("validation, learned", [(600, 900), (0, 720)])
def test_the_tuner_knows_the_length_of_a_whole_trial(pictures, validation, learned):
    job = make_job(split_table(pictures, seed=0), TunePlan(scenario=("full",)))
    (search,) = job.searches()
    trials = job.trials(search)
    rows = range(900), range(900, 900 + validation)
    trials.part = type(trials.part)(train=tuple(rows[0]), validation=tuple(rows[1]), test=())
    assert trials.epochs == own_epochs("full", learned)
