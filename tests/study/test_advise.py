"""The adviser's ranking, its doubts, its place in the textbook's table, and its audit."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.base.errors import DataError, UsageError
from headstart.cli.advise import lines
from headstart.images.arrays import array_table
from headstart.report.advice import advice_document
from headstart.report.html import render
from headstart.study.advice_model import (
    Gain,
    Parameters,
    accuracies,
    deviation,
    interval,
    packaged_parameters,
    parameters_from,
    relative_accuracies,
)
from headstart.study.advise import BETWEEN, GAINS, TABLE, predict
from headstart.study.situation import Probe
from headstart.testing.situations import tiny_situation

PLAIN = Parameters(
    layers={0: 0.0, 1: 0.0, 2: 0.05, 3: 0.0, 4: -0.05},
    heads={"lda": 0.01, "logistic": 0.0, "linear_svm": 0.0, "ridge": 0.0},
    layer_spread=0.03,
    head_spread=0.01,
    bias=(0.0, 0.0),
    spread=(0.05, 1.0),
    relative=(0.01, 0.5),
    stretch=1.0,
)
PROBES = {(at, head): 0.8 - 0.1 * (at != 4) for at in range(5) for head in ("lda", "ridge")}


def test_the_first_advice_is_the_layer_whose_probes_were_clearly_best():
    for layer in ("stage4", "stage7", "pool"):
        first = predict(tiny_situation(layer, n_measured=1000, n=1000), PLAIN).candidates[0]
        assert (first.layer, first.head) == (layer, "lda")


def test_little_that_was_measured_gives_way_to_the_evidence():
    few = relative_accuracies({(at, "lda"): 0.6 + 0.01 * (at == 4) for at in range(5)}, 10, PLAIN)
    assert max(few, key=few.__getitem__) == (2, "lda")
    many = relative_accuracies(PROBES, 1000, PLAIN)
    assert max(many, key=many.__getitem__) == (4, "lda")


@given(st.floats(0, 1), st.integers(2, 1000), st.integers(2, 10**6), st.floats(0, 0.1), st.floats(-0.3, 0.3))
def test_predictions_and_intervals_stay_within_nought_and_one(level, m, n, slope, step):
    probes = {(at, head): min(max(level + at * step, 0), 1) for at in range(5) for head in PLAIN.heads}
    for value in accuracies(probes, m, n, slope, PLAIN).values():
        low, high = interval(value, deviation(value, m, 100, PLAIN.spread), PLAIN)
        assert 0 <= low <= value <= high <= 1


def test_more_images_raise_the_expectation_by_the_slope_and_never_above_one():
    same, more = (accuracies(PROBES, 500, n, 0.03, PLAIN)[4, "lda"] for n in (500, 4000))
    assert same < more < 1
    assert accuracies(PROBES, 500, 4000, 0.0, PLAIN)[4, "lda"] < more


def test_a_smaller_test_split_and_fewer_images_measured_widen_the_interval():
    assert deviation(0.8, 500, 50, (0.05, 1)) > deviation(0.8, 500, 5000, (0.05, 1)) > 0
    assert deviation(0.8, 50, 50, (0.05, 1)) > deviation(0.8, 500, 50, (0.05, 1))


def test_clear_probes_give_one_method_and_unclear_ones_the_two_to_run():
    clear = predict(tiny_situation(drop=0.15, n=5000, n_measured=1000), PLAIN)
    assert len(clear.run) == 1 and clear.verdict.startswith("Use features of lite0 at stage6 with lda")
    unsure = dataclasses.replace(PLAIN, layers={}, relative=(0.02, 1.0))
    flat = predict(tiny_situation(drop=0.001, n=40, n_measured=40), unsure)
    assert len(flat.run) == 2 and flat.run[0].kind != flat.run[1].kind
    assert flat.verdict.startswith("Cannot tell: run these two") and flat.doubt > 0.2


def test_training_is_advised_where_it_gained_elsewhere_and_not_offered_without_evidence():
    situation = tiny_situation(n=4000, n_measured=1000)
    assert {each.scenario for each in predict(situation, PLAIN).candidates} == {"features"}
    gains = {"finetune last:1": Gain(0.04, 0.0, 0.005, 9), "scratch": Gain(-0.3, 0.1, 0.05, 6, 96)}
    found = predict(situation, dataclasses.replace(PLAIN, trained=gains))
    assert (
        found.candidates[0].name == "finetune lite0 (last:1)" and found.candidates[-1].scenario == "scratch"
    )
    assert found.candidates[-1].name == "scratch lite0 at 96 px"
    assert "9 runs on other data sets" in found.candidates[0].evidence[0]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("similar", [False, True])
def test_the_textbook_has_four_places_and_each_is_reached(large, similar):
    found = predict(tiny_situation(n=2000 if large else 60, distance=0.03 if similar else 0.5), PLAIN)
    assert (found.large, found.similar) == (large, similar) and found.textbook == TABLE[large, similar]


def test_the_packaged_parameters_read_and_rank_and_name_their_evidence():
    known = packaged_parameters()
    assert (
        len(known.datasets) >= 5
        and set(known.heads) == set(PLAIN.heads)
        and set(known.layers) == set(range(5))
    )
    assert 0.5 <= known.stretch <= 2
    text = json.dumps(dataclasses.asdict(known), default=vars)
    assert parameters_from(json.loads(text)) == known


def test_advice_goes_into_json_and_comes_out_the_same():
    found = predict(tiny_situation()).to_dict()
    assert json.loads(json.dumps(found))["run"] == found["run"]
    assert found["situation"]["best_layer"] == {"lite0": "stage6"}


def test_several_backbones_are_ranked_together():
    two = tiny_situation(n=5000, n_measured=1000)
    other = [dataclasses.replace(p, backbone="lite1", accuracy=p.accuracy + 0.05) for p in two.probes]
    found = predict(dataclasses.replace(two, probes=(*two.probes, *other)), PLAIN)
    assert found.candidates[0].backbone == "lite1" and two.probes[0].backbone == "lite0"


def test_what_the_ranking_does_not_rest_on_is_said_where_it_applies():
    one = tiny_situation(n=5000, n_measured=1000)
    other = tuple(dataclasses.replace(probe, backbone="lite1") for probe in one.probes)
    two = dataclasses.replace(one, probes=(*one.probes, *other))
    trains = dataclasses.replace(PLAIN, trained={"finetune last:1": Gain(0.04, 0.0, 0.005, 9)})
    assert predict(one, PLAIN).notes == ()
    assert predict(two, PLAIN).notes == (BETWEEN,)
    assert predict(one, trains).notes == (GAINS,)
    found = predict(two, trains)
    assert found.to_dict()["notes"] == [BETWEEN, GAINS]
    printed, page = lines(found), render(advice_document(found))
    assert all(said in printed and said in page for said in (BETWEEN, GAINS))
    assert not {BETWEEN, GAINS} & set(lines(predict(one, PLAIN)))


def test_gains_from_training_do_not_depend_on_the_distance():
    trains = dataclasses.replace(PLAIN, trained={"full": Gain(0.04, 0.0, 0.005, 9)})
    near, far = (predict(tiny_situation(distance=distance), trains) for distance in (0.01, 0.6))
    assert [each.accuracy for each in near.candidates] == [each.accuracy for each in far.candidates]


# ---- measuring ---------------------------------------------------------------------------------------


def striped(n, seed=0):
    import numpy as np

    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (n, 32, 32, 3), dtype=np.uint8)
    images[: n // 2, :, ::4] += 150
    images[n // 2 :, ::4] += 150
    labels = tuple(["upright"] * (n // 2) + ["level"] * (n - n // 2))
    return array_table("stripes", {"": images}, {"": {"label": labels}})


def test_measuring_finds_classes_that_are_easy_to_tell(tmp_path, monkeypatch):
    from headstart.study.measure_situation import measure

    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    found = measure(striped(24), engine="torch")
    assert (found.n, found.n_classes, found.n_measured, found.per_class) == (24, 2, 24, 12)
    assert len(found.probes) == 20 and max(probe.accuracy for probe in found.probes) > 0.9
    assert found.likeness.distance > 0.1 and 0 < found.likeness.coverage <= 24 / 1000
    assert found.transfers[0].neighbours > 0.8 and found.transfers[0].leep <= 0
    assert all(isinstance(probe, Probe) for probe in found.probes)
    assert predict(found).candidates[0].accuracy > 0.7


def test_two_backbones_are_measured_on_the_same_images_one_after_the_other(tmp_path, monkeypatch, tiny_name):
    from headstart.study.measure_situation import measure

    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    found = measure(striped(24), engine="torch", backbones=(tiny_name, "lite0"))
    assert found.backbones == (tiny_name, "lite0") and len(found.transfers) == 2
    assert {probe.backbone for probe in found.probes} == {tiny_name, "lite0"}
    alone = measure(striped(24), engine="torch", backbones=("lite0",))
    assert alone.likeness == found.likeness
    assert [p.accuracy for p in alone.probes] == [p.accuracy for p in found.probes if p.backbone == "lite0"]


def test_test_images_are_never_measured():
    from headstart.study.measure_situation import _learning_rows

    table = striped(8).with_splits(["train", "test"] * 4)
    assert _learning_rows(table) == [0, 2, 4, 6]
    assert _learning_rows(table.with_splits(["validation", "test"] * 4)) == [0, 2, 4, 6]


def test_a_thousand_are_drawn_in_the_shares_of_the_classes_with_two_of_each():
    from headstart.study.measure_situation import _drawn

    labels = ["many"] * 3000 + ["few"] * 1000 + ["rare"] * 3
    table = array_table(
        "big", {"": __import__("numpy").zeros((4003, 1, 1), "uint8")}, {"": {"label": tuple(labels)}}
    )
    drawn = _drawn(table, "label", range(len(labels)), 0)
    counts = {name: sum(labels[row] == name for row in drawn) for name in set(labels)}
    assert len(drawn) == 1000 and counts["rare"] >= 2 and abs(counts["many"] - 3 * counts["few"]) < 20
    assert (
        drawn
        == _drawn(table, "label", range(len(labels)), 0)
        != _drawn(table, "label", range(len(labels)), 1)
    )


def test_what_cannot_be_measured_is_refused_before_a_network_runs():
    from headstart.study.measure_situation import measure

    with pytest.raises(DataError, match="1 class; advice needs two"):
        measure(striped(4).select([0, 1]))
    with pytest.raises(DataError, match="single image"):
        measure(striped(6).select([0, 1, 5]))


def test_situations_that_do_not_hold_a_backbone_say_so():
    with pytest.raises(UsageError, match="measured: lite0"):
        tiny_situation().best_layer("lite2")
