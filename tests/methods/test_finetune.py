"""The trained scenarios keep the contract of methods; frozen is frozen; kept and fresh activations agree."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.backbones.freeze import find_cut
from headstart.base.errors import BadOptions, DataError, UnknownName, UsageError
from headstart.base.events import Notice, listening
from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.images.views import policy
from headstart.methods import prefix, processes
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.network import make_net, may_move, normaliser, set_mode
from headstart.methods.prefix import SECONDS, open_cache
from headstart.methods.probe import TransferClassifier
from headstart.methods.sources import PixelBatches, StreamedBatches, Views
from headstart.methods.training import Training
from headstart.methods.training_options import TrainingOptions
from headstart.testing.backbones import tiny_backbone
from headstart.testing.images import class_folders
from headstart.testing.methods import check_method


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return scan(class_folders(tmp_path_factory.mktemp("trained"), n_per_class=12))


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def labels_of(table):
    return np.array(table.labels[table.target()])


def small(backbone, **options):
    given = {"epochs": 3, "views": 2, "batch_size": 8, "learning_rate": 1e-3, **options}
    return FineTuneClassifier(backbone=backbone, **given)


@pytest.mark.parametrize("scenario", ["finetune", "full", "scratch"])
def test_the_scenarios_keep_the_contract_of_methods(scenario, pictures, backbone):
    longer = {"epochs": 12, "learning_rate": 1e-2} if scenario == "scratch" else {}
    longer["dtype"] = "float32"  # "auto" measures in each fit

    def make():
        return small(backbone, **{"scenario": scenario, "augment": "none", "epochs": 2, **longer})

    check_method(make, [str(path) for path in pictures.items()], labels_of(pictures).tolist())


def test_scratch_learns_from_random_weights_and_says_so(pictures, backbone):
    method = small(backbone, scenario="scratch", epochs=8, augment="none", learning_rate=3e-3)
    method.fit(pictures.items(), labels_of(pictures))
    assert method.record_["start"] == "plain" and method.record_["batchnorm"] == "update"
    assert np.isnan(method.start_selection_)
    assert method.score(pictures.items(), labels_of(pictures)) > 0.6


def test_training_starts_from_the_accuracy_of_the_features_scenario(pictures, backbone):
    table = split_table(pictures, seed=3)
    probe = TransferClassifier(backbone=backbone, engine="torch").fit_table(table)
    tuned = small(backbone, trainable="last:1", epochs=1, learning_rate=1e-8, augment="none").fit_table(table)
    assert tuned.start_selection_ == probe.selection_
    held = table.select(table.rows("validation")).items()
    first = tuned.decision_scores(held)
    theirs = np.log(probe.predict_proba(held))
    assert (
        np.abs((first - first.mean(1, keepdims=True)) - (theirs - theirs.mean(1, keepdims=True))).max() < 2e-2
    )


@pytest.mark.parametrize("batchnorm", ["keep", "update"])
@pytest.mark.parametrize(
    "trainable", ["head", "last:1", "last:2", "norm", "bias", ("blocks.1.*", "blocks.2.0.weight")]
)
def test_nothing_frozen_moves_by_one_bit(trainable, batchnorm, pictures, backbone):
    method = small(
        backbone, trainable=trainable, batchnorm=batchnorm, learning_rate=1e-2, epochs=2, keep="last"
    )
    method.fit(pictures.items(), labels_of(pictures))
    trained = set(find_cut(backbone, trainable).trainable)
    after = method.network_.body.net.state_dict()
    moved = {
        name
        for name, tensor in backbone.module.state_dict().items()
        if name in after and not torch.equal(tensor, after[name])
    }
    statistics = {name for name in moved if "running" in name or "num_batches" in name}
    assert moved - statistics <= trained
    owners = {name.rpartition(".")[0] for name in trained}
    assert all(batchnorm == "update" and name.rpartition(".")[0] in owners for name in statistics)
    assert trained <= moved or trainable in ("norm", "bias")
    assert not [each for each in method.findings_ if each.kind == "frozen moved"]


def test_frozen_parts_stay_in_evaluation_mode_while_the_rest_trains(backbone):
    cut = find_cut(backbone, "last:1")
    net = make_net(backbone, cut, 3, from_cut=False, seed=0)
    set_mode(net, ["blocks.0", "blocks.1", "stem"], training=True, batchnorm="update")
    modes = {name: part.training for name, part in net.body.net.named_modules() if "." in name}
    assert not modes["blocks.0.1"] and not modes["blocks.1.1"] and modes["blocks.2.1"]
    assert not any("blocks.1" in name for name in may_move(net, "update"))
    set_mode(net, [], training=True, batchnorm="keep")
    assert not net.body.net.blocks[2][1].training


def test_kept_activations_train_the_same_network_as_the_plain_path(pictures, backbone, monkeypatch):
    table = split_table(pictures, seed=1)
    options = {"trainable": "last:1", "epochs": 4, "views": 2, "learning_rate": 3e-3, "manifold_mixup": 0.0}
    options |= {"dtype": "float32"}  # "auto" measures each path for itself
    kept = small(backbone, **options).fit_table(table)
    assert kept.record_["path"] == "cache" and kept.record_["cache"]["share"] == 1.0
    monkeypatch.setattr(Training, "_mode", lambda self, n_views, changes: ("plain", "asked by a test"))
    plain = small(backbone, **options).fit_table(table)
    assert plain.record_["path"] == "plain"
    for a, b in zip(kept.record_["curve"], plain.record_["curve"], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=2e-3)
        assert a["held_loss"] == pytest.approx(b["held_loss"], abs=5e-3)
    theirs = plain.network_.state_dict()
    for name, tensor in kept.network_.state_dict().items():
        assert torch.allclose(tensor, theirs[name], atol=2e-2), name


def cache_of(backbone, pictures, tmp_path, n_views=3):
    from headstart.features.calibration import Calibration
    from headstart.features.engines.prepare import prepare_runner, settle
    from headstart.features.taps import Place

    how = backbone.card.preprocessing
    views = Views(pictures.items(), pictures.digests, how, policy("light"), 0, n_views)
    pixels = PixelBatches(views, TrainingOptions(), normaliser(how.mean, how.std))
    nothing = Calibration("", lambda n: np.stack([pixels.pixels(np.array([0]), 0)[0]] * n))
    place = Place("blocks.1", "flat")
    ready = prepare_runner(lambda: backbone, backbone.card, [place], settle("torch", "float32"), nothing)
    folder = tmp_path / "cache"
    folder.mkdir(exist_ok=True)
    return StreamedBatches(pixels, ready.runner, backbone.layers["blocks.1"].shape), folder


def test_a_cap_keeps_a_fixed_subset_and_computes_the_rest_alike(backbone, pictures, tmp_path):
    stream, folder = cache_of(backbone, pictures, tmp_path)
    row_bytes = 3 * int(np.prod(stream.shape)) * 2
    heard = []
    with listening(heard.append):
        cached, kept = open_cache(stream, folder, range(3), 20 * row_bytes, "frozen part")
    assert kept.n_kept == 20 and kept.share == 20 / len(pictures)
    assert any("56%" in each.message for each in heard if isinstance(each, Notice))
    rows = np.arange(len(pictures))
    for epoch in (0, 1, 5, -1):
        assert torch.equal(cached.get(rows, epoch).inputs, stream.get(rows, epoch).inputs)


def test_every_view_of_an_image_runs_through_the_frozen_part_once(backbone, pictures, tmp_path):
    stream, folder = cache_of(backbone, pictures, tmp_path)
    seen = []
    run = stream.runner.run
    stream.runner.run = lambda pixels: seen.append(len(pixels)) or run(pixels)
    cached, kept = open_cache(stream, folder, range(3), 10**9, "frozen part")
    for epoch in range(6):
        cached.get(np.arange(len(pictures)), epoch)
    assert sum(seen) == 3 * len(pictures) and kept.n_computed == len(pictures)
    _, again = open_cache(stream, folder, range(3), 10**9, "frozen part")
    assert again.n_computed == 0 and sum(seen) == 3 * len(pictures)
    assert again.all_seconds == kept.all_seconds > 0, "what they took is known to the run that finds them"


def test_what_the_frozen_part_took_is_whole_or_not_known(backbone, pictures, tmp_path, monkeypatch):
    stream, folder = cache_of(backbone, pictures, tmp_path)

    def killed(path, text, *args, **options):
        path.write_bytes(text[:1].encode())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_text", killed)
        open_cache(stream, folder, range(3), 10**9, "frozen part")
    assert not (folder / SECONDS).exists()
    for broken in ("", "1.2.3"):
        (folder / SECONDS).write_text(broken)
        _, kept = open_cache(stream, folder, range(3), 10**9, "frozen part")
        assert kept.n_computed == 0 and kept.all_seconds == 0


def test_images_that_are_not_augmented_run_through_the_frozen_part_once(backbone, pictures, monkeypatch):
    real, streamed = StreamedBatches.run, []
    monkeypatch.setattr(
        StreamedBatches, "run", lambda self, given: streamed.append(len(given)) or real(self, given)
    )
    method = small(backbone, trainable="last:1", augment="none", epochs=4)
    method.fit(pictures.items(), labels_of(pictures))
    assert method.record_["path"] == "cache" and method.record_["cache"]["n_views"] == 1
    assert sum(streamed) == 4, "the four images of the check of the cut, and none in any epoch"


def test_a_full_disk_costs_the_cache_and_nothing_else(backbone, pictures, tmp_path, monkeypatch):
    import shutil

    stream, folder = cache_of(backbone, pictures, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10, 10, 0))
    heard = []
    with listening(heard.append):
        source, kept = open_cache(stream, folder, range(3), 10**9, "frozen part")
    assert source is stream and kept.n_kept == 0
    assert any("cannot be kept" in each.message for each in heard if isinstance(each, Notice))
    assert list(folder.iterdir()) == []


def test_a_network_that_cannot_be_cut_trains_whole_and_says_so(pictures):
    from torch import nn

    from headstart.backbones.load import from_module

    net = tiny_backbone().module
    how = tiny_backbone().card.preprocessing

    class Carries(nn.Module):
        """Carries what the stem says past every stage."""

        def __init__(self):
            super().__init__()
            self.stem, self.blocks, self.pool, self.flatten = net.stem, net.blocks, net.pool, net.flatten
            self.widen = nn.Linear(8, 64)

        def forward(self, images):
            early = self.stem(images)
            late = 5 * self.widen(early.amax((2, 3)))[:, :, None, None]
            return self.flatten(self.pool(self.blocks(early)) + late)

    method = small(from_module(Carries(), how, "carries"), trainable="last:1", epochs=3, views=2)
    heard = []
    with listening(heard.append):
        method.fit(pictures.items(), labels_of(pictures))
    assert method.record_["path"] == "plain" and "differs from the whole" in method.record_["path_reason"]
    assert any("runs plainly" in each.message for each in heard if isinstance(each, Notice))


def test_training_that_makes_it_worse_gives_back_the_fitted_head(pictures, backbone, monkeypatch):
    from headstart.methods.loop import Loop

    monkeypatch.setattr(Loop, "_loss", lambda self, scores, labels, rows: (labels * scores).sum(1).mean())
    table = split_table(pictures, seed=3)
    tuned = small(backbone, trainable="last:1", learning_rate=1e-2, augment="none").fit_table(table)
    assert tuned.chosen_["epoch"] == 0 and tuned.selection_ == tuned.start_selection_


def test_a_trial_of_int8_that_is_refused_is_recorded_and_nobody_is_warned(pictures, backbone, monkeypatch):
    from headstart.methods import engine_choice, frozen_part

    monkeypatch.setattr(engine_choice, "has_int8", lambda: False)
    monkeypatch.setattr(engine_choice, "installed", lambda package: False)
    monkeypatch.setattr(frozen_part, "LEAST_IMAGES_TRIED", 1)
    heard = []
    with listening(heard.append):
        method = small(backbone, trainable="last:1").fit(pictures.items(), labels_of(pictures))
    trial = method.record_["prefix_trial"]
    assert trial["used"] == "onnxruntime/float32" and "no int8 arithmetic" in trial["refused"]["int8"]
    assert not [each for each in heard if isinstance(each, Notice) and each.level == "warning"]


def test_mixed_pixels_run_the_frozen_part_anew(pictures, backbone):
    method = small(backbone, trainable="last:1", mixup=0.4, cutmix=0.4).fit(
        pictures.items(), labels_of(pictures)
    )
    assert method.record_["path"] == "stream" and "mixed" in method.record_["path_reason"]


def test_views_that_are_seen_once_are_not_kept(pictures, backbone):
    method = small(backbone, trainable="last:1", views=5).fit(pictures.items(), labels_of(pictures))
    assert method.record_["path"] == "stream" and "saves nothing" in method.record_["path_reason"]


@pytest.mark.parametrize(
    "options",
    [
        {"optimiser": "sgd", "schedule": "cosine", "clip": 0.5},
        {"ema": 0.9, "layer_decay": 0.7, "l2_sp": 0.1},
        {"unfreeze": "gradual", "trainable": "last:2", "schedule": "constant", "warmup": 0.0},
        {"manifold_mixup": 0.3, "balance": "weights"},
        {"balance": "sampling", "patience": 1, "keep": "last"},
        {"start": "plain", "fresh": True, "augment": "medium"},
        {"dtype": "bfloat16"},
    ],
)
def test_every_option_of_the_loop_trains(options, pictures, backbone):
    method = small(backbone, **{"trainable": "last:1", **options}).fit(pictures.items(), labels_of(pictures))
    assert np.isfinite([line["loss"] for line in method.record_["curve"]]).all()
    assert method.score(pictures.items(), labels_of(pictures)) > 0.6


@pytest.mark.parametrize("balance", ["none", "weights"])
def test_a_batch_in_pieces_trains_the_same_network_as_a_whole_one(balance, pictures, backbone, monkeypatch):
    from headstart.methods import batches

    options = {
        "scenario": "full",
        "batch_size": 16,
        "epochs": 2,
        "balance": balance,
        "l2_sp": 0.1,
        "keep": "last",
        "dtype": "float32",
    }
    labels = ["a" if label == "disc" else "b" for label in labels_of(pictures)]
    whole = small(backbone, **options).fit(pictures.items(), labels)
    monkeypatch.setattr(batches, "PIECE_VALUES", 5 * 3 * 32 * 32)
    pieces = small(backbone, **options).fit(pictures.items(), labels)
    theirs = whole.network_.state_dict()
    assert all(
        torch.allclose(each, theirs[name], atol=1e-4) for name, each in pieces.network_.state_dict().items()
    )


def test_the_rate_is_found_where_none_is_given_and_the_test_is_kept(pictures, backbone):
    method = small(backbone, learning_rate=None, epochs=1).fit(pictures.items(), labels_of(pictures))
    found = method.record_["range_test"]
    assert 1e-6 <= method.chosen_["learning_rate"] <= 0.034
    assert len(found["rates"]) == len(found["losses"]) >= 5
    assert method.chosen_["learning_rate"] == min(found["chosen"], found["limit"])
    assert found["limit"] == 1e-4, "so few steps say little of the rate"


def test_a_loss_that_is_not_finite_is_tried_once_more_at_a_tenth(pictures, backbone, monkeypatch):
    from headstart.methods.loop import Loop

    real, blown = Loop._loss, []

    def loss(self, *given):
        out = real(self, *given)
        if self.rate > 0.05 and self.step == 1:
            blown.append(self.rate)
            return out * float("nan")
        return out

    monkeypatch.setattr(Loop, "_loss", loss)
    method = small(backbone, learning_rate=0.1).fit(pictures.items(), labels_of(pictures))
    assert [each.kind for each in method.findings_][:1] == ["not finite"]
    assert method.chosen_["learning_rate"] == pytest.approx(0.01) and len(blown) >= 1


def test_a_table_is_trained_on_train_chosen_on_validation_and_test_is_never_read(pictures, backbone):
    table = split_table(pictures, seed=1)
    hidden = table.rows("test")
    paths = tuple("/gone" if row in hidden else path for row, path in enumerate(table.paths))
    method = small(backbone, epochs=1).fit_table(replace(table, paths=paths))
    assert method.selected_on_ == "validation" and method.problems_ == ()
    assert not set(method.seen_) & {table.digests[row] for row in hidden}


def test_bad_input_is_one_clear_error(pictures, backbone):
    items, labels = pictures.items(), labels_of(pictures)
    with pytest.raises(UsageError, match="one class only"):
        small(backbone).fit(items, ["same"] * len(items))
    with pytest.raises(BadOptions, match="last:1 to last:3"):
        small(backbone, trainable="last:99").fit(items, labels)
    with pytest.raises(UnknownName, match="did you mean"):
        small(backbone, trainable="blocks.9").fit(items, labels)
    with pytest.raises(BadOptions, match=r"scenario.*views|views.*scenario"):
        FineTuneClassifier(backbone=backbone, scenario="fine", views=0).fit(items, labels)
    with pytest.raises(DataError, match="labels"):
        small(backbone).fit(items, labels[:-1])


def test_classes_of_one_image_and_more_classes_than_images_a_class_still_train(pictures, backbone):
    items = pictures.items()[:14]
    labels = ["a"] * 6 + ["b"] * 7 + ["alone"]
    method = small(backbone, epochs=1).fit(items, labels)
    assert set(method.classes_) == {"a", "b", "alone"}
    every = small(backbone, epochs=1).fit(items, [f"class {n}" for n in range(14)])
    assert "last epoch" in every.selected_on_ and len(every.classes_) == 14


def test_options_are_declared_once():
    ours = {field.name for field in dataclasses.fields(FineTuneClassifier)}
    assert {field.name for field in dataclasses.fields(TrainingOptions)} < ours
    assert all(field.metadata.get("help") for field in dataclasses.fields(FineTuneClassifier))


def test_what_averages_gradients_over_processes_is_what_is_compiled(pictures, backbone, monkeypatch):
    compiled = []
    monkeypatch.setattr(processes, "wrapped", lambda net: torch.nn.Sequential(net))
    monkeypatch.setattr(torch, "compile", lambda net: compiled.append(net) or net)
    small(backbone, compile=True, epochs=1).fit_table(pictures)
    assert compiled and all(type(each) is torch.nn.Sequential for each in compiled)


def test_kept_activations_of_another_decoder_are_not_served(backbone, pictures, monkeypatch):
    views = Views(pictures.items(), pictures.digests, backbone.card.preprocessing, policy("none"), 0, 1)
    before = prefix.cache_key(views, "weights", "layer1", ("torch", "float32"), (0,))
    assert before == prefix.cache_key(views, "weights", "layer1", ("torch", "float32"), (0,))
    monkeypatch.setattr(prefix, "DECODER", "another")
    assert before != prefix.cache_key(views, "weights", "layer1", ("torch", "float32"), (0,))
