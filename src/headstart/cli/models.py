"""The verbs that make and use a model: `fit`, `evaluate`, `predict`, `export`."""

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
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    from headstart.export.assess import Assessment
    from headstart.methods.probe import TransferClassifier

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `fit` wrote.", show_default=False)]
SCENARIOS = ("features",)
KEYS = ("precision", "recall", "f1")
FIT = """
headstart fit photos/ --out model
headstart fit photos/ --scenario features --backbone lite0 --layer stage6 --head linear_svm --out model
headstart fit --from runs/photos --out model
"""
EVALUATE = """
headstart evaluate model photos/
headstart evaluate model new-photos/ --split all --json
"""
PREDICT = """
headstart predict model photo.jpg
headstart predict model inbox/ --top 3 --json
"""
EXPORT = "headstart export model --onnx model.onnx"


def add_to(app: typer.Typer) -> None:
    """Make them verbs of the app."""
    verb(app, FitOptions, DataOptions, example=FIT)(fit)
    verb(app, DataOptions, example=EVALUATE)(evaluate)
    verb(app, example=PREDICT)(predict)
    verb(app, example=EXPORT)(export)


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


def evaluate(
    model: Model,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A folder, a ground-truth file or the name of a packaged set.",
            show_default=False,
        ),
    ],
    split: Annotated[
        str,
        typer.Option(
            "--split",
            metavar="NAME",
            help="train, validation, test or all [default: test, else all]",
            show_default=False,
        ),
    ] = "",
    json: Json = False,
    **flags: Any,
) -> None:
    """Test a model on labelled images: accuracy and more, with 95 % intervals.

    The test split is used where DATA has one, else all images but those that the model was fitted on.
    """
    from headstart.export.assess import assess
    from headstart.export.bundle import load_bundle

    source = build(DataOptions, flags)
    with shown():
        bundle = load_bundle(model)
        found = assess(bundle, open_table(data, source), split=split, target=source.target)
    say_json(found.to_dict()) if json else _show_evaluation(found)


def _show_evaluation(found: Assessment) -> None:
    from headstart.report.wording import PERCENT_METRICS, count, decimal, interval, percent

    what = "all images" if found.split == "all" else f"{found.split} split"
    say(printable(f"{count(found.evaluation.n, 'image')} ({what}), target {found.target}"))
    for name, score in found.evaluation.scores.items():
        share = name in PERCENT_METRICS
        value = percent(score.value) if share else decimal(score.value)
        say(f"{name.replace('_', ' '):20}{value:>8}   95 % interval {interval(score, as_percent=share)}")
    rows = [
        [name, *(percent(facts[key] if facts["n"] else None) for key in KEYS), f"{facts['n']:.0f}"]
        for name, facts in found.evaluation.per_class.items()
    ]
    say()
    for line in table(["class", "precision", "recall", "F1", "images"], rows, right=range(1, 5)):
        say(line)


def predict(
    model: Model,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Image files or folders of them.", show_default=False),
    ],
    top: Annotated[
        int, typer.Option("--top", metavar="NUMBER", min=1, help="classes to print for each image")
    ] = 5,
    json: Json = False,
) -> int | None:
    """Say what is on images: the most probable classes of each.

    An image that cannot be read is named on stderr and in the JSON; the exit status is 2 only where none of
    them could be read.
    """
    from headstart.cli.sources import image_files
    from headstart.export.bundle import load_bundle

    with shown():
        bundle = load_bundle(model)
        paths = image_files(images)
        found = bundle.predict_proba(paths, [str(path) for path in paths])
    entries = predictions(found, bundle.classes, bundle.target, top, [str(path) for path in paths])
    if json:
        say_json(entries)
    else:
        _show_predictions(entries, bundle.target)
    return None if len(found.rows) else 2


def predictions(
    found: Any, classes: tuple[str, ...], target: str, top: int, paths: list[str]
) -> list[dict[str, Any]]:
    """One entry an image, in the order asked: its outputs, or why it could not be read."""
    probability = dict(zip(found.rows, found.probabilities, strict=True))
    reasons = {problem.path: problem.reason for problem in found.problems}
    entries: list[dict[str, Any]] = []
    for row, path in enumerate(paths):
        if row not in probability:
            entries.append({"path": path, "error": reasons.get(path, "cannot be read")})
            continue
        order = (-probability[row]).argsort(kind="stable")[:top]
        outputs = [{"label": classes[at], "probability": float(probability[row][at])} for at in order]
        entries.append({"path": path, "outputs": {target: outputs}})
    return entries


def _show_predictions(entries: list[dict[str, Any]], target: str) -> None:
    import sys

    for entry in entries:
        if "error" in entry:
            sys.stderr.write(f"headstart: warning: {printable(entry['path'])}: {printable(entry['error'])}\n")
            continue
        guesses = (
            f"{printable(each['label'])} {100 * each['probability']:.1f} %"
            for each in entry["outputs"][target]
        )
        say(f"{printable(entry['path'])}: {', '.join(guesses)}")


def export(
    model: Model,
    onnx: Annotated[
        Path, typer.Option("--onnx", metavar="FILE", help="where the ONNX graph goes", show_default=False)
    ],
    json: Json = False,
) -> None:
    """Write a model as one ONNX graph, from pixels to probabilities, and check that it says the same."""
    from headstart.export.bundle import load_bundle
    from headstart.export.onnx import export_onnx

    with shown():
        bundle = load_bundle(model)
        difference = export_onnx(bundle, onnx)
    shape = bundle.preprocessing
    if json:
        say_json(
            {
                "onnx": str(onnx),
                "largest_difference": difference,
                "height": shape.height,
                "width": shape.width,
                "classes": bundle.classes,
            }
        )
        return
    say(f"pixels (n, {shape.height}, {shape.width}, 3), uint8, to probabilities (n, {len(bundle.classes)})")
    say(f"largest difference to the model on sample images: {difference:.1e}")
    say(f"graph: {printable(onnx)}")
