"""The verbs that use a model: `evaluate`, `predict`, `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.declared import DataOptions
from headstart.cli.flags import Data, Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_table
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    from headstart.export.assess import Assessment

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder that `fit` wrote.", show_default=False)]
Views = Annotated[
    int,
    typer.Option(
        "--views",
        metavar="NUMBER",
        min=1,
        help="average over so many views of each image: the plain one, and seeded crops and mirrors",
    ),
]
KEYS = ("precision", "recall", "f1")
EVALUATE = """
headstart evaluate model photos/
headstart evaluate model new-photos/ --split all --json
"""
PREDICT = """
headstart predict model photo.jpg
headstart predict model inbox/ --top 3 --json
headstart predict model inbox/ --views 8
"""
EXPORT = "headstart export model --onnx model.onnx"


def add_to(app: typer.Typer) -> None:
    """Make them verbs of the app."""
    verb(app, DataOptions, example=EVALUATE)(evaluate)
    verb(app, example=PREDICT)(predict)
    verb(app, example=EXPORT)(export)


def evaluate(
    model: Model,
    data: Data,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            metavar="NAME",
            help="train, validation, test or all [default: test, else all]",
            show_default=False,
        ),
    ] = "",
    views: Views = 1,
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
        found = assess(bundle, open_table(data, source), split=split, target=source.target, views=views)
    say_json(found.to_dict()) if json else _show_evaluation(found)


def _show_evaluation(found: Assessment) -> None:
    from headstart.report.wording import PERCENT_METRICS, count, decimal, interval, percent

    what = "all images" if found.split == "all" else f"{found.split} split"
    views = "" if found.views == 1 else f", the mean of {found.views} views of each"
    say(printable(f"{count(found.evaluation.n, 'image')} ({what}), target {found.target}{views}"))
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
    views: Views = 1,
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
        found = bundle.predict_proba(paths, [str(path) for path in paths], views=views)
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
