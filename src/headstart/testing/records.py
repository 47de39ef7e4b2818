"""A made-up but complete study record with real (tiny) image files, for tests of whatever reads records.

Twelve methods (two backbones, three layers, two heads) under three seeds: one method failed, one has a failed
seed, one is missing. Accuracy grows with depth, so the best method is known: lite1 pool avg logistic.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.base.hashing import digest_bytes, digest_file, digest_json
from headstart.images.table import ImageTable, Problem
from headstart.measure.metrics import evaluate
from headstart.study.records import Cell, CellResult, StudyRecord
from headstart.study.summarise import choose_best, summarise

CLASSES = ("circle", "cross", "square")
LAYERS = {"stem": "conv_stem", "stage3": "blocks.2", "stage5": "blocks.4", "pool": "global_pool"}
EXIF_TEXT = "secret camera owner"
FAILED, PARTIAL, MISSING = ("lite0", "stage3", "knn"), ("lite0", "stage5", "knn"), ("lite0", "pool", "knn")


NETWORK = {
    "network": "lite0", "input": [224, 224, 3], "n_parameters": 3_413_024, "macs": 384_000_000,
    "activation_bytes": 26_000_000, "receptive_field": {"pixels": [851, 851]},
    "stages": [
        {
            "name": "stem", "last": "bn1", "output": [112, 112, 32], "n_layers": 2, "n_parameters": 928,
            "macs": 10_838_016,
        },
        {"name": "head", "last": "global_pool", "output": None, "n_layers": 1, "n_parameters": 0, "macs": 0},
    ],
}  # fmt: skip
"""A summary of a network as a study keeps it, cut short."""


def tiny_record(
    folder: str | Path,
    *,
    classes: Sequence[str] = CLASSES,
    datasets: Sequence[str] = ("shapes",),
    per_class: int = 25,
    seeds: Sequence[int] = (0, 1, 2),
    file_name: str = "picture {}.jpg",
    n_run: int | None = None,
    error: str = "singular matrix at C = 10",
) -> StudyRecord:
    """A study record over drawn images that lie in `folder`.

    Parameters
    ----------
    folder : path
        Where the images are written (`folder/DATASET/*.jpg`, with EXIF that names their owner).
    classes, datasets : sequence of str
    per_class : int
        Images a class; three in five train, one validates, one tests.
    seeds : sequence of int
    file_name : str
        Pattern of the file names; `{}` becomes the row number.
    n_run : int, optional
        Stop the study after so many cells.
    error : str
        What the failed cells say.

    Returns
    -------
    StudyRecord
    """
    tables = {name: _table(Path(folder) / name, name, classes, per_class, file_name) for name in datasets}
    cells = [cell for name in datasets for cell in _cells(tables[name], seeds)]
    made = [(cell, *_result(cell, tables[cell.dataset], error)) for cell in cells if _key(cell) != MISSING][
        :n_run
    ]
    results = tuple(result for _, result, _ in made)
    by_id = {result.cell.id: result for result in results}
    summaries = summarise(cells, by_id)
    best = choose_best(summaries, by_id)
    winners = {id for row in summaries if best.get(row.dataset) == row.method for id in row.cells}
    return StudyRecord(
        folder=str(folder),
        command=f"headstart study {' '.join(datasets)} --backbone lite0,lite1 --seeds {len(seeds)}",
        spec={"data": list(datasets), "backbones": ["lite0", "lite1"], "seeds": len(seeds), "budget": None},
        tables=tables,
        targets=dict.fromkeys(datasets, "class"),
        summaries=summaries,
        results=results,
        best=best,
        test_rows={
            id: tuple(tables[cell.dataset].rows("test")) for cell in cells if (id := cell.id) in winners
        },
        probabilities={cell.id: probabilities for cell, _, probabilities in made if cell.id in winners},
        cards={name: card(name).to_dict() for name in ("lite0", "lite1")},
        networks={"lite0 224x224": NETWORK},
        versions={"python": "3.11.2", "headstart": "0.1.0", "numpy": np.__version__},
        machine={"processor": "a test", "n_threads": 2, "memory_bytes": 8_000_000_000},
        warnings=("lite1: the export failed; torch serves instead",),
        seconds_total=123.4,
        n_planned=len(cells),
        engines=(
            {
                "backbone": "lite0",
                "engine": "onnxruntime",
                "least_cosine": 0.99999,
                "seconds": 3.2,
                "n_cached": 4,
            },
            {"backbone": "lite1", "engine": "torch", "least_cosine": 1.0, "seconds": 7.9, "n_cached": 0},
        ),
        digests={name: table.digest() for name, table in tables.items()},
    )


def card(name: str) -> BackboneCard:
    """A card such as packaged weights have, layers in order of depth."""
    return BackboneCard(
        name=name,
        architecture=f"tf_efficientnet_{name}",
        weights=f"package of {name}",
        weights_digest=digest_bytes(name.encode()),
        preprocessing=Preprocessing(crop=0.875),
        licence="Apache-2.0",
        paper="https://arxiv.org/abs/1905.11946",
        trained_on="ImageNet-1k",
        n_parameters=4_652_008,
        weights_bytes=18_700_000,
        layers=dict(LAYERS),
    )


def _table(folder: Path, name: str, classes: Sequence[str], per_class: int, file_name: str) -> ImageTable:
    folder.mkdir(parents=True, exist_ok=True)
    labels = tuple(label for label in classes for _ in range(per_class))
    paths = tuple(file_name.format(row) for row in range(len(labels)))
    for row, path in enumerate(paths):
        _draw(folder / path, classes.index(labels[row]), row)
    turn = ("train", "train", "validation", "train", "test")
    return ImageTable(
        name=name,
        root=str(folder),
        paths=paths,
        digests=tuple(digest_file(folder / path) for path in paths),
        labels={"class": labels},
        splits=tuple(turn[row % 5] for row in range(len(labels))),
        problems=(Problem("broken.jpg", "truncated: the file ends after 12 bytes"),),
        source="Drawn for tests, public domain.",
    )


def _draw(path: Path, shape: int, row: int) -> None:
    tint = (60 * (shape % 4) + 30, 200 - 25 * (row % 7), 90 + 20 * (row % 5))
    picture = Image.new("RGB", (64, 48), (235, 235, 230))
    pen = ImageDraw.Draw(picture)
    box = (14 + row % 5, 6, 48 + row % 5, 40)
    kind = shape % 3
    if kind == 0:
        pen.ellipse(box, fill=tint)
    elif kind == 1:
        pen.line(box, fill=tint, width=7)
        pen.line((box[0], box[3], box[2], box[1]), fill=tint, width=7)
    else:
        pen.rectangle(box, fill=tint)
    exif = Image.Exif()
    exif[0x010E] = EXIF_TEXT
    picture.save(path, "JPEG", exif=exif)


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.backbone, cell.layer, cell.head


def _cells(table: ImageTable, seeds: Sequence[int]) -> list[Cell]:
    grid = product(("lite0", "lite1"), list(LAYERS)[1:], ("logistic", "knn"), seeds)
    return [
        Cell(
            dataset=table.name,
            data_digest=table.digest(),
            split_digest=digest_json(list(table.splits or ())),
            target="class",
            backbone=backbone,
            weights_digest=card(backbone).weights_digest,
            layer=layer,
            module=LAYERS[layer],
            pooling="avg",
            height=224,
            width=224,
            preprocessing_digest=card(backbone).preprocessing.digest(),
            engine="onnxruntime",
            precision="float32",
            scenario="features",
            head=head,
            seed=seed,
            version="0.1.0",
        )
        for backbone, layer, head, seed in grid
    ]


def _result(cell: Cell, table: ImageTable, error: str) -> tuple[CellResult, np.ndarray]:
    classes, test = table.classes("class"), table.rows("test")
    failed = _key(cell) == FAILED or (_key(cell) == PARTIAL and cell.seed)
    if failed:
        return CellResult(cell, "failed", error=error), np.empty((0, len(classes)))
    depth = list(LAYERS).index(cell.layer)
    skill = 0.2 + 0.35 * depth + 0.3 * (cell.backbone == "lite1") + 0.2 * (cell.head == "logistic")
    truth = np.array([classes.index(table.labels["class"][row] or "") for row in test])
    probabilities = _guess(truth, len(classes), skill, seed=int(cell.id[:8], 16))
    found = evaluate(truth, probabilities, classes)
    return CellResult(
        cell,
        "done",
        classes=classes,
        selection=min(0.99, 0.25 * skill),
        selected_on="validation",
        n_train=len(table.rows("train")),
        n_validation=len(table.rows("validation")),
        n_test=len(test),
        scores=found.scores,
        per_class=found.per_class,
        confusion=found.confusion,
        chosen={"C": 0.1} if cell.head == "logistic" else {"k": 5},
        seconds={
            "extract": 2.0 * depth + 3 * (cell.backbone == "lite1"),
            "fit": 0.4 if cell.head == "logistic" else 0.01,
            "predict": 0.002,
        },
        peak_bytes=410_000_000 + 1_000_000 * depth,
        model_bytes=18_000_000 if cell.backbone == "lite0" else 26_000_000,
    ), probabilities


def _guess(truth: np.ndarray, k: int, skill: float, *, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(len(truth), k))
    logits[np.arange(len(truth)), truth] += skill
    if k > 1:  # two errors that it is sure of, the second more than the first
        logits[0, (truth[0] + 1) % k] += 4
        logits[-1, (truth[-1] + 1) % k] += 8
    odds = np.exp(2 * logits)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))
