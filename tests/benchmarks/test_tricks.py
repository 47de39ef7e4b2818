"""The benchmark of tricks: what it asks a study for, every trick of the registry at once, and what it prints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headstart.methods.tricks.registry import TRICKS, clashes
from headstart.testing.backbones import tiny_weights

FOLDER = Path(__file__).parents[2] / "benchmarks"
QUICK = ("--input-size", "64", "--epochs", "1", "--views", "1", "--learning-rate", "0.001", "--no-audit")


@pytest.fixture
def tricks(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("bars", "tricks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import tricks

    yield tricks
    for name in ("bars", "tricks"):
        sys.modules.pop(name, None)


def asked(tricks, *words):
    """The studies that some options ask for, and tricks that are in none."""
    options, more = tricks.read(["photos", *words])
    parts, not_run = tricks.asked_of(options)
    return [tricks.command_of(options, *part, more) for part in parts], not_run


def value(command, name):
    return command[command.index(name) + 1]


def test_it_is_twelve_tricks_one_at_a_time_unless_told_otherwise(tricks):
    ((command,), not_run) = asked(tricks, "--", "--epochs", "3")
    assert command[4:6] == ["photos", "--scenario"] and command[-2:] == ["--epochs", "3"]
    expected = {
        "--scenario": "finetune", "--trainable": "last:1", "--per-class": "40", "--seeds": "2", "--backbone": "lite0",
        "--design": "one-at-a-time", "--start": "head-first", "--keep": "last", "--tricks": ",".join(tricks.TRICKS),
    }  # fmt: skip
    assert {name: value(command, name) for name in expected} == expected
    assert len(tricks.TRICKS) == 12 and "--teacher" not in command and not_run == {}


def test_design_images_seeds_start_and_what_is_kept_are_passed_on(tricks):
    words = "--per-class 10 --seeds 5 --design leave-one-out --start plain --keep last --backbone lite1"
    ((command,), not_run) = asked(tricks, *words.split())
    given = words.split()
    assert all(value(command, name) == said for name, said in zip(given[::2], given[1::2], strict=True))
    names = value(command, "--tricks").split(",")
    assert not clashes(names) and not_run == {"one_cycle": "warmup is in the bag"}
    assert {*names, *not_run} == set(tricks.TRICKS)


def test_all_asks_for_every_trick_a_teacher_and_zero_gamma_from_scratch(tricks):
    (tune, scratch), not_run = asked(tricks, "--all")
    assert value(tune, "--tricks") == "all" and value(tune, "--teacher") == "lite1" and not_run == {}
    assert (value(scratch, "--scenario"), value(scratch, "--tricks")) == ("scratch", "zero_gamma")
    assert "--teacher" not in scratch and "--trainable" not in scratch
    assert len(asked(tricks, "--all", "--design", "factorial")[0]) == 1


def test_all_runs_what_the_network_can_have_and_names_the_rest(tricks, photos, tmp_path, monkeypatch, capsys):
    weights = tiny_weights(tmp_path)
    words = ("--all", "--per-class", "4", "--seeds", "1", "--backbone", weights, "--teacher", weights)
    monkeypatch.setattr(sys, "argv", ["tricks.py", str(photos), *words, "--", *QUICK])
    with pytest.raises(SystemExit) as left:
        tricks.main()
    said = capsys.readouterr().out
    assert left.value.code == 0 and said.endswith("PASS\n") and "wall seconds:" not in said
    run = {line.split(": ")[1].split(" ")[0] for line in said.splitlines() if line.startswith("  photos: ")}
    named = {line.split(": ")[1] for line in said.splitlines() if line.startswith("  not run: ")}
    assert run | named == set(TRICKS) and not run & named
    assert {"zero_gamma", "distillation"} <= run and "fixres" in named, "6/7 of 64 pixels are 64"
    assert f"tricks run, or named with the reason: {len(TRICKS)} (bar: >= {len(TRICKS)})" in said


def test_a_line_tells_what_was_measured_and_what_had_nothing_to_act_on(tricks):
    each = {
        "trick": "ema", "kind": "helps", "effect": 0.03, "low": 0.01, "high": 0.05, "times": 1.25, "why": "",
        "start_kept": 1, "n_pairs": 2, "nothing_on": ["b"],
    }  # fmt: skip
    assert tricks.line(each) == (
        "ema +3.0 (+1.0 to +5.0) helps, training 1.25x, start kept in 1 of 2 pairs, not on b"
    )
    none = {**each, "effect": None, "low": None, "high": None, "kind": tricks.NOTHING, "nothing_on": []}
    assert tricks.line(none) == "ema had nothing to act on, training 1.25x, start kept in 1 of 2 pairs"
    gone = {**none, "kind": "missing", "why": "1 of 2 combinations are not there"}
    assert tricks.line(gone) == "ema missing: 1 of 2 combinations are not there"


def test_a_study_that_fails_is_told_in_its_own_words(tricks, tmp_path):
    options, more = tricks.read([str(tmp_path / "nowhere")])
    command = tricks.command_of(options, "finetune", ("ema",), more)
    with pytest.raises(SystemExit, match=r"the study of finetune ended with status 2: .*nowhere"):
        tricks.study(command, tmp_path, "finetune")
