"""What `fit` says of a fitted model, as JSON (docs/json.md) and in a few lines."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli.text import printable, say

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.methods.probe import TransferClassifier


def fit_json(classifier: Any, target: str, data: str, out: Path) -> dict[str, Any]:
    """What `fit --json` prints."""
    own = _features(classifier) if classifier.scenario == "features" else _trained(classifier)
    return {
        "model": str(out),
        "data": data,
        "target": target,
        "classes": list(classifier.classes_),
        "scenario": classifier.scenario,
        **own,
        "chosen": classifier.chosen_,
        "selection": classifier.selection_,
        "selected_on": classifier.selected_on_,
        "n_train": classifier.n_train_,
        "n_validation": classifier.n_validation_,
        "n_unreadable": len(classifier.problems_),
        "seconds": classifier.seconds_,
    }


def _features(classifier: TransferClassifier) -> dict[str, Any]:
    engine = classifier.extractor_.extraction_.engine
    return {
        "backbone": classifier.backbone,
        "layer": [classifier.layer] if isinstance(classifier.layer, str) else list(classifier.layer),
        "pooling": classifier.pooling,
        "head": classifier.head,
        "engine": engine["engine"],
        "precision": engine["precision"],
        "refit": classifier.refit,
    }


def _trained(classifier: FineTuneClassifier) -> dict[str, Any]:
    record = classifier.record_
    cached = record["path"] == "cache"
    return {
        "backbone": classifier.card_.name,
        "trainable": record["trainable"],
        "cut": record["after"] or None,
        "n_trained": record["n_trained"],
        "start": record["start"],
        "start_selection": classifier.start_selection_,
        "head_refitted": bool(record.get("head_refitted")),
        "epoch_chosen_on": record["epoch_chosen_on"],
        "epochs": len(record["curve"]),
        "learning_rate": record["learning_rate"],
        "dtype": record["dtype"],
        "path": record["path"],
        "path_reason": record["path_reason"],
        "share_kept": record["cache"]["share"] if cached else None,
        "prefix_precision": None if record["path"] == "plain" else record["prefix"]["precision"],
        "curve": record["curve"],
        "temperature": classifier.temperature_,
        "findings": [each.to_dict() for each in classifier.findings_],
        "n_processes": record["n_processes"],
    }


def show_fit(facts: dict[str, Any]) -> None:
    """What was fitted, from how many images, and how good it was where it was chosen."""
    from headstart.report.wording import count, duration

    for line in _features_lines(facts) if facts["scenario"] == "features" else _trained_lines(facts):
        say(printable(line))
    learned = (
        f"learned {count(len(facts['classes']), 'class', 'classes')} from {count(facts['n_train'], 'image')}"
    )
    if facts["n_validation"]:
        learned += f", chose on {facts['n_validation']:,}" + (
            " and then learned from these too" if facts.get("refit") else ""
        )
    say(learned + f"; {duration(facts['seconds']['extract'] + facts['seconds']['fit'])}")
    if line := _selection_line(facts):
        say(line)
    say(f"model: {printable(facts['model'])}")


def _features_lines(facts: dict[str, Any]) -> list[str]:
    chosen = ", ".join(f"{name} = {value}" for name, value in facts["chosen"].items())
    how = f" with {chosen}" if chosen else ""
    layers = " + ".join(facts["layer"])
    return [f"{facts['head']}{how} on {facts['backbone']} at {layers} ({facts['pooling']})"]


def _trained_lines(facts: dict[str, Any]) -> list[str]:
    from headstart.report.wording import count, percent

    if facts["scenario"] == "finetune":
        after = f" (what comes after {facts['cut']})" if facts["cut"] else ""
        what = f"{facts['trainable']}{after} of {facts['backbone']}"
    else:
        begun = "random" if facts["scenario"] == "scratch" else "pretrained"
        what = f"all of {facts['backbone']}, from {begun} weights"
    trained = f"trained {what}: {facts['n_trained']:,} weights, {count(facts['epochs'], 'epoch')}"
    lines = [f"{trained} at learning rate {facts['learning_rate']:.2g}"]
    if facts["path"] == "plain":
        return lines
    kept = f"; kept for {percent(facts['share_kept'])} of the images" if facts["path"] == "cache" else ""
    return [*lines, f"frozen part in {facts['prefix_precision']}: {facts['path_reason']}{kept}"]


def _selection_line(facts: dict[str, Any]) -> str:
    from headstart.report.wording import percent

    reached, before = facts["selection"], facts.get("start_selection")
    if reached is None or not isfinite(reached):
        return "" if facts["scenario"] == "features" else printable(f"chosen on {facts['selected_on']}")
    said = f"accuracy on {facts['selected_on']}: {percent(reached)}"
    if facts["scenario"] != "features":
        epoch = facts["chosen"]["epoch"]
        if facts["head_refitted"]:
            said += f" by the linear head on the frozen network: no epoch bettered it on {facts['epoch_chosen_on']}"
            said += " by more than one standard error, so it is what is kept, fitted on all of train"
        else:
            said += f" after epoch {epoch}" if epoch else " as it started: no epoch bettered it"
            if before is not None and isfinite(before):
                said += f", from {percent(before)} with a linear head on the frozen network"
    return f"{said} (what it was chosen by; `evaluate` tests it)"
