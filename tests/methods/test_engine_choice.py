"""The frozen part runs in the fastest engine that may, its activations are kept where that pays, under one cap."""

from types import SimpleNamespace

import numpy as np
import pytest

from headstart.base.errors import EngineError
from headstart.base.events import Notice, listening
from headstart.features.engines.prepare import Wish
from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.methods import engine_choice, frozen_part, prefix_cost
from headstart.methods.engine_choice import candidates, fastest
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.kept import activations_folder
from headstart.methods.prefix_cost import PrefixCost
from headstart.testing.backbones import tiny_backbone
from headstart.testing.images import class_folders

RATES = {
    "onnxruntime/float32": 100.0, "openvino/float32": 120.0, "openvino/bfloat16": 200.0, "onnxruntime/int8": 300.0,
    "openvino/int8": 400.0,
}  # fmt: skip


@pytest.fixture
def machine(monkeypatch):
    """A processor that can do all, with every engine there, unless it is told otherwise."""

    def be(**can):
        given = {"has_bfloat16": True, "has_int8": True, "openvino": True, **can}
        monkeypatch.setattr(engine_choice, "has_bfloat16", lambda: given["has_bfloat16"])
        monkeypatch.setattr(engine_choice, "has_int8", lambda: given["has_int8"])
        monkeypatch.setattr(engine_choice, "installed", lambda package: given[package])

    be()
    return be


@pytest.fixture
def pictures(tmp_path):
    return split_table(scan(class_folders(tmp_path / "photos", n_per_class=12)), seed=1)


def ready(name):
    engine, precision = name.split("/")
    return SimpleNamespace(facts=SimpleNamespace(engine=engine, precision=precision), name=name)


def choose(monkeypatch, rates=RATES, right=None, wished="auto", refuse=()):
    opened, asked = [], []
    monkeypatch.setattr(engine_choice, "rate_of", lambda each, pixels: rates[each.name])

    def open_runner(wish):
        name = engine_choice.named(wish)
        opened.append(name)
        if name in refuse:
            raise EngineError("least cosine 0.9, bound 0.999")
        return ready(name)

    def rightness(each):
        asked.append(each.name)
        share = right.get(each.name, 1.0)
        return np.arange(1000) < 1000 * share

    found = fastest(
        ready("onnxruntime/float32"), wished, open_runner, None, None if right is None else rightness
    )
    return found, opened, asked


def test_what_can_be_tried_is_what_is_installed_and_what_the_processor_can_do(machine):
    assert [engine_choice.named(each) for each in candidates("onnxruntime", "auto")[0]] == list(RATES)[1:]
    assert candidates("onnxruntime", "float32")[0] == [Wish("openvino", "float32")]
    machine(has_bfloat16=False, has_int8=False)
    found, why = candidates("onnxruntime", "auto")
    assert found == [Wish("openvino", "float32")] and set(why) == {"bfloat16", "int8"}
    machine(openvino=False)
    found, why = candidates("onnxruntime", "auto")
    assert found == [Wish("onnxruntime", "int8")] and "turbo" in why["openvino"]
    assert candidates("torch", "auto")[0] == []


def test_the_fastest_that_costs_no_accuracy_serves_and_slower_ones_are_not_measured(machine, monkeypatch):
    right = {"onnxruntime/float32": 0.9, "openvino/int8": 0.88, "onnxruntime/int8": 0.897}
    found, opened, asked = choose(monkeypatch, right=right)
    assert found["used"] == "onnxruntime/int8" and opened == list(RATES)[1:]
    assert asked == ["onnxruntime/float32", "openvino/int8", "onnxruntime/int8"]
    assert found["accuracy"]["openvino/int8"] == pytest.approx(0.88)
    assert "costs accuracy" in found["refused"]["openvino/int8"]
    assert found["images_per_second"] == RATES


def test_one_that_differs_from_torch_is_left_out_and_fewer_bits_need_a_measure_of_their_cost(
    machine, monkeypatch
):
    right = {"onnxruntime/int8": 0.5, "openvino/int8": 0.5}
    found, _, _ = choose(monkeypatch, right=right, refuse=("openvino/bfloat16",))
    assert found["used"] == "openvino/float32" and "bound" in found["refused"]["openvino/bfloat16"]
    found, opened, _ = choose(monkeypatch, right=None)
    assert found["used"] == "openvino/float32" and opened == ["openvino/float32"]
    found, _, _ = choose(monkeypatch, {**RATES, "openvino/float32": 105.0}, wished="float32")
    assert found["used"] == "onnxruntime/float32", "too little faster to change"


def small(**options):
    given = {"epochs": 3, "views": 2, "batch_size": 8, "learning_rate": 1e-3, "dtype": "float32", **options}
    return FineTuneClassifier(backbone=tiny_backbone(), trainable="last:1", **given)


def test_openvino_runs_the_frozen_part_of_a_fit_where_it_is_faster(pictures, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(frozen_part, "LEAST_IMAGES_TRIED", 1)
    monkeypatch.setattr(engine_choice, "has_bfloat16", lambda: False)
    monkeypatch.setattr(engine_choice, "has_int8", lambda: False)
    monkeypatch.setattr(
        engine_choice, "rate_of", lambda each, pixels: RATES[f"{each.facts.engine}/{each.facts.precision}"]
    )
    method = small().fit_table(pictures)
    trial, served = method.record_["prefix_trial"], method.record_["prefix"]
    assert trial["used"] == "openvino/float32" and served["engine"] == "openvino"
    assert served["parity"]["least_cosine"] >= 0.9999, "compared with torch before it served"
    plain = FineTuneClassifier(**{**method.get_params(), "prefix_precision": "auto"})
    monkeypatch.setattr(frozen_part, "LEAST_IMAGES_TRIED", 10**6)
    plain.fit_table(pictures)
    assert plain.record_["prefix"]["engine"] == "onnxruntime"
    for ours, theirs in zip(method.record_["curve"], plain.record_["curve"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-3)


def test_kept_and_computed_views_cost_what_they_are_made_of():
    cost = PrefixCost(compute=0.010, write=0.001, read=0.002)
    assert cost.kept(2, 8) == pytest.approx(0.038) and cost.anew(8) == pytest.approx(0.08)
    assert "38 ms" in cost.said(2, 8) and "80 ms" in cost.said(2, 8)


@pytest.mark.parametrize(("cost", "path"), [((0.001, 0.0, 0.01), "stream"), ((0.01, 0.0, 0.001), "cache")])
def test_activations_are_kept_only_where_reading_them_costs_less_than_computing(
    cost, path, pictures, monkeypatch
):
    monkeypatch.setattr(prefix_cost, "LEAST_BYTES", 0)
    monkeypatch.setattr(prefix_cost, "measure_cost", lambda *given: PrefixCost(*cost))
    method = small(seed=11 + (path == "cache")).fit_table(pictures)  # nobody else's activations lie there
    assert method.record_["path"] == path and ("cache" in method.record_) == (path == "cache")
    assert ("costs" in method.record_["path_reason"]) == (path == "stream")


def test_the_cost_is_measured_on_a_sample_that_does_not_stay(pictures, monkeypatch):
    monkeypatch.setattr(prefix_cost, "LEAST_BYTES", 0)
    method = small(seed=13).fit_table(pictures)
    cost = method.record_["cache_cost"]
    assert min(cost["read"], cost["write"], cost["compute"]) > 0
    assert not list(activations_folder().rglob("sample.f16"))


def test_activations_of_training_and_validation_images_share_one_cap(pictures):
    cap, heard = 25_000, []
    with listening(heard.append):
        method = small(start="plain", cache_gb=cap / 1e9).fit_table(pictures)
    held, train = method.record_["validation_prefix"], method.record_["cache"]
    assert held["share"] == 1.0 and 0 < train["share"] < 1
    assert held["bytes"] + train["bytes"] <= cap
    assert any(f"{train['share']:.0%}" in each.message for each in heard if isinstance(each, Notice))
