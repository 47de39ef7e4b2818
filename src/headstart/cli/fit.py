"""`headstart fit`: one method, or a study's winner, fitted and kept as a model."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.errors import BadOptions, UsageError
from headstart.cli.declared import DataOptions, FitOptions
from headstart.cli.flags import Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_table
from headstart.cli.text import printable, say, say_json

if TYPE_CHECKING:
    from headstart.methods.probe import TransferClassifier

SCENARIOS = ("features",)
EXAMPLE = """
headstart fit photos/ --out model
headstart fit photos/ --scenario features --backbone lite0 --layer stage6 --head linear_svm --out model
headstart fit --from runs/photos --out model
"""


def add_to(app: typer.Typer) -> None:
    """Make `fit` a verb of the app."""
    verb(app, FitOptions, DataOptions, example=EXAMPLE)(fit)


def fit(
    out: Annotated[
        Path, typer.Option("--out", metavar="MODEL", help="folder of the model", show_default=False)
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A folder, a ground-truth file or the name of a packaged set.",
            show_default=False,
        ),
    ] = None,
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario", metavar="NAME", help="how the pretrained network is used; one of features"
        ),
    ] = "features",
    study: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="STUDY[:NAME]",
            help="the best method of a study, or of one of its datasets by name, or a run by the start of its id",
        ),
    ] = None,
    json: Json = False,
    **flags: Any,
) -> None:
    """Fit one method and keep it as a model: a folder that predicts anywhere, offline, without torch.

    It learns on the train split and chooses on validation, else on inner folds of train; the test split is
    never read. Images without a split are divided 60/20/20.
    """
    from headstart.export.bundle import save_bundle

    if scenario not in SCENARIOS:
        raise BadOptions([f"scenario: {scenario!r} is not one of {', '.join(SCENARIOS)}"])
    if (study is None) == (data is None):
        raise UsageError("name either DATA or --from STUDY; see headstart fit --help")
    with shown():
        classifier, target, name = _fitted(data or "", flags) if study is None else _handed_over(study, flags)
        save_bundle(classifier, out, target=target, data=name)
    facts = fit_json(classifier, target, name, out)
    say_json(facts) if json else _show_fit(facts)


def _fitted(data: str, flags: dict[str, Any]) -> tuple[TransferClassifier, str, str]:
    from headstart.images.split import split_table
    from headstart.methods.probe import TransferClassifier

    options, source = build(FitOptions, flags), build(DataOptions, flags)
    given = open_table(data, source)
    target = given.target(source.target or None)
    classifier = TransferClassifier(
        backbone=options.backbone,
        layer=options.layer[0] if len(options.layer) == 1 else options.layer,
        pooling=options.pooling,
        head=options.head,
        engine=options.engine,
        precision=options.precision,
        input_size=options.input_size,
        n_folds=options.folds,
        seed=options.seed,
        refit=options.refit,
        cache_gb=options.cache_gb,
    )
    classifier.fit_table(split_table(given, seed=options.seed, target=target), target)
    return classifier, target, given.name


def _handed_over(study: str, flags: dict[str, Any]) -> tuple[TransferClassifier, str, str]:
    from headstart.study.handover import hand_over

    usable = ("refit", "cache_gb")
    if odd := [
        name.replace("_", "-") for name, value in flags.items() if value is not None and name not in usable
    ]:
        raise BadOptions([f"{name}: the study decides it; leave it out with --from" for name in odd])
    options = build(FitOptions, flags)
    folder, _, cell = study.rpartition(":") if not Path(study).is_dir() and ":" in study else (study, "", "")
    found = hand_over(folder, cell=cell, refit=options.refit, cache_gb=options.cache_gb)
    return found.classifier, found.target, found.dataset


def fit_json(classifier: TransferClassifier, target: str, data: str, out: Path) -> dict[str, Any]:
    """What `fit --json` prints: see docs/json.md."""
    engine = classifier.extractor_.extraction_.engine
    return {
        "model": str(out),
        "data": data,
        "target": target,
        "classes": list(classifier.classes_),
        "scenario": classifier.scenario,
        "backbone": classifier.backbone,
        "layer": [classifier.layer] if isinstance(classifier.layer, str) else list(classifier.layer),
        "pooling": classifier.pooling,
        "head": classifier.head,
        "engine": engine["engine"],
        "precision": engine["precision"],
        "chosen": classifier.chosen_,
        "selection": classifier.selection_,
        "selected_on": classifier.selected_on_,
        "n_train": classifier.n_train_,
        "n_validation": classifier.n_validation_,
        "refit": classifier.refit,
        "n_unreadable": len(classifier.problems_),
        "seconds": classifier.seconds_,
    }


def _show_fit(facts: dict[str, Any]) -> None:
    from headstart.report.wording import count, duration, percent

    chosen = ", ".join(f"{name} = {value}" for name, value in facts["chosen"].items())
    how = f" with {chosen}" if chosen else ""
    layers = " + ".join(facts["layer"])
    say(printable(f"{facts['head']}{how} on {facts['backbone']} at {layers} ({facts['pooling']})"))
    learned = (
        f"learned {count(len(facts['classes']), 'class', 'classes')} from {count(facts['n_train'], 'image')}"
    )
    if facts["n_validation"]:
        learned += f", chose on {facts['n_validation']:,}" + (
            " and then learned from these too" if facts["refit"] else ""
        )
    say(learned + f"; {duration(facts['seconds']['extract'] + facts['seconds']['fit'])}")
    if facts["selection"] is not None and isfinite(facts["selection"]):
        said = f"accuracy on {facts['selected_on']}: {percent(facts['selection'])}"
        say(f"{said} (what it was chosen by; `evaluate` tests it)")
    say(f"model: {printable(facts['model'])}")
