"""The benchmark of defaults with the project's own tuner: what it asks for, and the costs that it prints."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from headstart.methods.tune.found import Worth

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def defaults(monkeypatch):
    """The two files of the benchmark."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import defaults
    import defaults_tuned

    yield defaults, defaults_tuned
    for name in ("bars", "defaults", "defaults_tuned"):
        sys.modules.pop(name, None)


def worth(gain, half=0.02, n=400):
    found = {"value": gain, "low": gain - half, "high": gain + half, "p": 0.5, "test": "", "n_differ": 9}
    return Worth(
        "finetune", 0.91, 0.9, {"value": 0.9 + gain}, {"value": 0.9}, found, n, 3, ({"views": 4},), False
    )


def test_every_dataset_is_tuned_in_its_own_folder_within_its_time_and_its_cost_is_told(
    defaults, photos, tmp_path, monkeypatch, capsys
):
    asked, gains = [], iter((0.02, 0.012))

    def tune_table(table, plan, out, *, target):
        asked.append((out.name, plan, target))
        trial = SimpleNamespace(seconds=7.0)
        search = SimpleNamespace(method="finetune", trials=(trial, trial))
        return SimpleNamespace(searches=(search,), worth=(worth(next(gains)),))

    monkeypatch.setattr(defaults[1], "tune_table", tune_table)
    words = f"defaults.py a={photos} b:label={photos} --scenario finetune --budget 30m --epochs 2 --out {tmp_path}"
    monkeypatch.setattr(sys, "argv", words.split())
    with pytest.raises(SystemExit) as left:
        defaults[0].main()
    said = capsys.readouterr().out
    assert left.value.code == 1, "1.6 points are more than the bar"
    assert [(name, target) for name, _, target in asked] == [
        ("a-finetune", None),
        ("b-label-finetune", "label"),
    ]
    plan = asked[0][1]
    assert (plan.methods, plan.seconds, plan.training) == (("finetune",), 1800.0, {"epochs": 2})
    assert "a finetune: defaults 90.0 %, tuned 92.0 % of 400 test images (3 runs each)" in said
    assert (
        "the defaults cost +1.2 points (-0.8 to +3.2)" in said and "14 s" in said and "{'views': 4}" in said
    )
    assert "finetune: over 2 datasets the defaults cost +1.60 points (+0.18 to +3.02)" in said


def test_datasets_that_disagree_make_the_mean_cost_uncertain(defaults):
    cost = defaults[1].cost
    value, low, high = cost([worth(0.05), worth(-0.03), worth(0.04)])
    assert value == pytest.approx(2.0) and low < 0 < high
    value, low, high = cost([worth(0.0, half=0.0, n=50)])
    assert low < -1 and high > 1, "that no answer differs is not certainty"
