"""What `fit` and `evaluate` say of a model with several outputs, as JSON (docs/json.md) and in a few lines."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli.text import printable, say, table

if TYPE_CHECKING:
    from headstart.export.assess_outputs import JointAssessment
    from headstart.methods.multi_output import MultiOutputTransfer

SCORES = {"classes": "accuracy", "ordinal": "accuracy", "labels": "mean average precision", "number": "R2"}
"""What an output is chosen by."""


def fit_outputs_json(classifier: MultiOutputTransfer, data: str, out: Path) -> dict[str, Any]:
    """What `fit --json` prints of several outputs."""
    own = _features(classifier) if classifier.scenario == "features" else _trained(classifier)
    return {
        "model": str(out),
        "data": data,
        "outputs": {each.output.name: _output(each) for each in classifier.models_},
        "scenario": classifier.scenario,
        "sharing": classifier.sharing,
        "weighting": classifier.weighting,
        **own,
        "selection": classifier.selection_,
        "selected_on": classifier.selected_on_,
        "n_train": classifier.n_train_,
        "n_validation": classifier.n_validation_,
        "n_unlabelled": classifier.n_unlabelled_,
        "n_unreadable": len(classifier.problems_),
        "seconds": classifier.seconds_,
    }


def _output(model: Any) -> dict[str, Any]:
    return {
        "kind": model.output.kind,
        "levels": list(model.output.levels),
        "selection": model.score,
        "selected_on": model.selected_on,
        "chosen": model.chosen,
        "head": None if model.head is None else model.head.name,
        "thresholds": list(model.thresholds),
        "temperature": model.temperature,
        "n_train": model.n_train,
        "n_validation": model.n_validation,
    }


def _features(classifier: MultiOutputTransfer) -> dict[str, Any]:
    probe, extractor = classifier.probe_, classifier.extractor_
    engine = extractor.extraction_.engine
    return {
        "backbone": probe.backbone if isinstance(probe.backbone, str) else probe.backbone.card.name,
        "layer": [extractor.layer] if isinstance(extractor.layer, str) else list(extractor.layer),
        "pooling": extractor.pooling,
        "engine": engine["engine"],
        "precision": engine["precision"],
        "refit": probe.refit,
    }


def _trained(classifier: MultiOutputTransfer) -> dict[str, Any]:
    record = classifier.record_
    runs = record.get("runs") or {",".join(output.name for output in classifier.outputs_): record}
    return {
        "backbone": classifier.card_.name,
        "trainable": record["trainable"],
        "cut": record["after"] or None,
        "n_trained": record["n_trained"],
        "start": record["start"],
        "start_selection": classifier.start_selection_,
        "runs": {name: _run(each) for name, each in runs.items()},
        "findings": [each.to_dict() for each in classifier.findings_],
        "n_processes": record["n_processes"],
    }


def _run(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "epochs": len(record["curve"]),
        "kept_epoch": record["kept_epoch"],
        "learning_rate": record["learning_rate"],
        "dtype": record["dtype"],
        "path": record["path"],
        "loss_weights": record["loss_weights"],
        "curve": record["curve"],
        "seconds": record["seconds"]["all"],
    }


def show_fit_outputs(facts: dict[str, Any]) -> None:
    """What was fitted, how good each output was where it was chosen, from how many images."""
    from headstart.report.wording import count, duration

    names = ", ".join(facts["outputs"])
    if facts["scenario"] == "features":
        what = f"a head each for {names} on {facts['backbone']} at {' + '.join(facts['layer'])} ({facts['pooling']})"
    else:
        shared = {"hard": "one network", "soft": "a network each, tied,", "separate": "a network each"}
        whole = facts["scenario"] != "finetune"
        part = f"all of {facts['backbone']}" if whole else f"{facts['trainable']} of {facts['backbone']}"
        what = f"trained {shared[facts['sharing']]} for {names}: {part}, {facts['n_trained']:,} weights"
    say(printable(what))
    heads = ["head"] if facts["scenario"] == "features" else []
    rows = [
        [name, each["kind"], *([each["head"]] if heads else []), f"{each['n_train']:,}", _reached(each)]
        for name, each in facts["outputs"].items()
    ]
    titles = ["output", "kind", *heads, "images", "on " + facts["selected_on"]]
    for line in table(titles, rows, right=(len(heads) + 2,)):
        say(line)
    took = duration(facts["seconds"]["extract"] + facts["seconds"]["fit"])
    told = f"learned from {count(facts['n_train'], 'image')}"
    if facts["n_validation"]:
        told += f", chose on {facts['n_validation']:,}"
    if facts["n_unlabelled"]:
        told += f"; without any label and left out: {facts['n_unlabelled']:,}"
    say(f"{told}; {took}")
    say("what was chosen by is no test; `evaluate` tests it")
    say(f"model: {printable(facts['model'])}")


def _reached(facts: dict[str, Any]) -> str:
    from headstart.report.wording import decimal, percent

    value = facts["selection"]
    if value is None or not isfinite(value):
        return "-"
    shown = decimal(value) if facts["kind"] == "number" else percent(value)
    return f"{SCORES[facts['kind']]} {shown}"


def show_assessment(found: JointAssessment) -> None:
    """Each output's figures with their intervals, then all right at once."""
    from headstart.measure.outputs import MEASURES
    from headstart.report.wording import count, decimal, interval, percent

    what = "all images" if found.split == "all" else f"{found.split} split"
    views = "" if found.views == 1 else f", the mean of {found.views} views of each"
    say(f"{count(found.n, 'image')} ({what}){views}")
    for each in found.outputs:
        say()
        missing = f", {each.n_missing:,} without this label" if each.n_missing else ""
        say(printable(f"{each.name} ({each.kind}): {count(each.n, 'image')}{missing}"))
        for measure in MEASURES[each.kind]:
            score = each.scores.get(measure.key)
            if score is not None:
                value = percent(score.value) if measure.share else decimal(score.value)
                say(
                    f"{measure.title:20}{value:>8}   95 % interval {interval(score, as_percent=measure.share)}"
                )
        _levels(each.per_level)
    if found.joint is not None and found.joint.score is not None:
        score = found.joint.score
        say()
        say(printable(f"all of {', '.join(found.joint.outputs)} right at once"))
        say(f"{'':20}{percent(score.value):>8}   95 % interval {interval(score, as_percent=True)}")
        say(f"(were errors independent: {percent(found.joint.independent)})")
        for pair in found.joint.pairs:
            say(printable(pair.words))


def _levels(per_level: dict[str, dict[str, float]]) -> None:
    from headstart.report.wording import percent

    keys = ("precision", "recall", "f1")
    rows = [
        [name, *(percent(facts[key] if facts["n"] else None) for key in keys), f"{facts['n']:.0f}"]
        for name, facts in per_level.items()
    ]
    if rows:
        for line in table(["  level", "precision", "recall", "F1", "images"], rows, right=range(1, 5)):
            say(line)
