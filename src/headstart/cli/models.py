"""The verbs that use a model: `evaluate`, `predict`, `export`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.errors import UnknownName
from headstart.cli.declared import DataOptions
from headstart.cli.flags import Data, Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import open_table, open_targets
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    from headstart.export.assess import Assessment
    from headstart.export.bundle import Bundle, Prediction
    from headstart.export.outputs import Answer
    from headstart.images.table import ImageTable

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
Size = Annotated[
    str,
    typer.Option(
        "--size",
        "--input-size",
        metavar="SIZE",
        help="size of the input in pixels: 224, or 100x200 for height x width (default: as it was fitted); it may "
        "differ from that by multiples of 32, where the network takes any size",
        show_default=False,
    ),
]
KEYS = ("precision", "recall", "f1")
EVALUATE = """
headstart evaluate model photos/
headstart evaluate model new-photos/ --split all --json
headstart evaluate model photos/ --size 256
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
    size: Size = "",
    json: Json = False,
    **flags: Any,
) -> None:
    """Test a model on labelled images: accuracy and more, with 95 % intervals.

    The test split is used where DATA has one, else all images but those that the model was fitted on.
    """
    from headstart.cli.shown_outputs import show_assessment
    from headstart.export.assess import Assessment, assess
    from headstart.export.bundle import load_bundle

    source = build(DataOptions, flags)
    with shown():
        bundle = load_bundle(model, size or None)
        found = assess(
            bundle, _opened(data, source, bundle), split=split, target=source.target, views=views
        )  # fmt: skip
    if json:
        say_json(found.to_dict())
    elif isinstance(found, Assessment):
        _show_evaluation(found)
    else:
        show_assessment(found)


def _opened(data: str, source: DataOptions, bundle: Bundle) -> ImageTable:
    """The images; with several outputs their columns are read as labels because the model has them."""
    if not bundle.several:
        return open_table(data, source)
    names = source.target or ",".join(each.name for each in bundle.outputs)
    try:
        return open_targets(data, replace(source, target=names))[0]
    except UnknownName:
        return open_table(data, source)  # what lacks is told with what there is


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
        [name, *(_share(facts, key) for key in KEYS), f"{facts['n']:.0f}"]
        for name, facts in found.evaluation.per_class.items()
    ]
    say()
    for line in table(["class", "precision", "recall", "F1", "images"], rows, right=range(1, 5)):
        say(line)
    say("in brackets: 95 % intervals")


def _share(facts: Mapping[str, float], key: str) -> str:
    """A share of one class with its interval; a dash of a class without test images."""
    from headstart.report.wording import percent

    if not facts["n"]:
        return percent(None)
    low, high = (f"{100 * facts[f'{key}_{end}']:.1f}" for end in ("low", "high"))
    return f"{percent(facts[key])} ({low} to {high})"


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
    size: Size = "",
    json: Json = False,
) -> int | None:
    """Say what is on images: the most probable classes of each.

    An image that cannot be read is named on stderr and in the JSON; the exit status is 2 only where none of
    them could be read.
    """
    from headstart.cli.sources import image_files
    from headstart.export.bundle import load_bundle

    with shown():
        bundle = load_bundle(model, size or None)
        paths = image_files(images)
        found = bundle.predict_proba(paths, [str(path) for path in paths], views=views)
    entries = predictions(found, bundle, top, [str(path) for path in paths])
    if json:
        say_json(entries)
    else:
        _show_predictions(entries)
    return None if len(found.rows) else 2


def predictions(found: Prediction, bundle: Bundle, top: int, paths: list[str]) -> list[dict[str, Any]]:
    """One entry an image, in the order asked: its outputs, or why it could not be read.

    With several outputs, `predicted` says what each decides.
    """
    probability = dict(zip(found.rows, found.probabilities, strict=True))
    reasons = {problem.path: problem.reason for problem in found.problems}
    entries: list[dict[str, Any]] = []
    for row, path in enumerate(paths):
        if row not in probability:
            entries.append({"path": path, "error": reasons.get(path, "cannot be read")})
            continue
        own = probability[row]
        entry: dict[str, Any] = {
            "path": path, "outputs": {each.name: each.entries(own, top) for each in bundle.outputs},
        }  # fmt: skip
        if bundle.several:
            entry["predicted"] = {each.name: each.said(own) for each in bundle.outputs}
        entries.append(entry)
    return entries


def _show_predictions(entries: list[dict[str, Any]]) -> None:
    import sys

    for entry in entries:
        if "error" in entry:
            sys.stderr.write(f"headstart: warning: {printable(entry['path'])}: {printable(entry['error'])}\n")
            continue
        if "predicted" not in entry:
            (only,) = entry["outputs"].values()
            say(f"{printable(entry['path'])}: {_guesses(only)}")
            continue
        said = (
            f"{printable(name)}: {_guesses(found)}" + ("" if found[0].get("given", True) else " (none given)")
            for name, found in entry["outputs"].items()
        )
        say(f"{printable(entry['path'])}: {'; '.join(said)}")


def _guesses(found: list[dict[str, Any]]) -> str:
    """Classes with their probabilities, or a value; labels that are given stand in brackets."""
    if "value" in found[0]:
        return f"{found[0]['value']:.4g}"
    return ", ".join(
        f"{_named(each)} {100 * each['probability']:.1f} %" for each in found
    )  # fmt: skip


def _named(entry: dict[str, Any]) -> str:
    name = printable(entry["label"])
    return f"[{name}]" if entry.get("given") else name


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
                **({"outputs": [_columns(each) for each in bundle.outputs]} if bundle.several else {}),
            }
        )
        return
    say(
        f"pixels (n, {shape.height}, {shape.width}, 3), uint8, to probabilities (n, {bundle.outputs[-1].last})"
    )
    for each in bundle.outputs if bundle.several else ():
        say(printable(f"columns {each.first} to {each.last - 1}: {each.name} ({each.output.kind})"))
    say(f"largest difference to the model on sample images: {difference:.1e}")
    say(f"graph: {printable(onnx)}")


def _columns(answer: Answer) -> dict[str, Any]:
    """Which columns of the graph's table are an output's, and what they are."""
    return {
        "name": answer.name, "kind": answer.output.kind, "levels": list(answer.output.levels),
        "first": answer.first, "last": answer.last - 1, "thresholds": list(answer.thresholds),
    }  # fmt: skip
