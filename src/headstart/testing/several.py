"""A made-up study of several outputs in a real store: four kinds, three ways of sharing, two seeds, nothing trained.

Hard sharing is better on the classes by design, the separate networks on the levels; they take 40 s each.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.base.hashing import digest_bytes, digest_file
from headstart.images.table import ImageTable
from headstart.methods.output import Output
from headstart.study.joint_cells import measures
from headstart.study.partition import Dataset
from headstart.study.records import Cell, CellResult
from headstart.study.several import make_several
from headstart.study.store import StudyStore

OUTPUTS = (
    Output("worn", "classes", ("no", "yes")),
    Output("grade", "ordinal", ("low", "mid", "high")),
    Output("marks", "labels", ("dent", "rust")),
    Output("age", "number", (), ";", 3.0, 2.0),
)
SHARPNESS = {"hard": (3.0, 0.6), "soft": (1.5, 1.0), "separate": (0.6, 3.0), "": (0.3, 0.3)}
"""How sharp classes and levels are said, by way; "" of frozen features."""


def several_table(folder: str | Path, n: int = 200, name: str = "tools") -> ImageTable:
    """n drawn images with four label columns, of which some cells are missing; half of them test."""
    generator = np.random.default_rng(0)
    root = Path(folder) / name
    root.mkdir(parents=True, exist_ok=True)
    paths = tuple(f"{row:03d}.png" for row in range(n))
    for row, path in enumerate(paths):
        Image.new("RGB", (16, 16), (row % 256, row * 7 % 256, 90)).save(root / path)
    worn = [OUTPUTS[0].levels[int(code)] for code in generator.integers(0, 2, n)]
    marks = [";".join(m for m, there in zip(("dent", "rust"), pair, strict=True) if there) or ";"
             for pair in generator.random((n, 2)) < 0.4]  # fmt: skip
    labels: dict[str, tuple[str | None, ...]] = {
        "worn": tuple(None if row % 10 == 3 else cell for row, cell in enumerate(worn)),
        "grade": tuple(OUTPUTS[1].levels[int(code)] for code in generator.integers(0, 3, n)),
        "marks": tuple(marks),
        "age": tuple(f"{age:.2f}" for age in generator.uniform(0, 6, n)),
        "maker": tuple("ab"[row % 2] for row in range(n)),
    }
    splits = tuple(("train", "test", "validation", "test")[row % 4] for row in range(n))
    digests = tuple(digest_file(root / path) for path in paths)
    return ImageTable(name, str(root), paths, digests, labels, splits=splits)


def stored_several(
    folder: str | Path, *, seeds: int = 2, ways: tuple[str, ...] = ("hard", "soft", "separate")
) -> Path:
    """The folder of the study; images lie beside it.

    Parameters
    ----------
    folder : path
    seeds : int
    ways : tuple of str
        Of the networks that train; frozen features come on top.
    """
    table = several_table(folder)
    data = make_several(table, OUTPUTS, seeds=seeds, folds=0)
    cells = [_cell(data, way, seed) for way in (*ways, "") for seed in range(seeds)]
    place = Path(folder) / "study"
    with StudyStore(place) as store:
        store.put_meta(
            plan=[asdict(cell) for cell in cells], spec={"target": [o.name for o in OUTPUTS], "equal": "images"},
            targets={table.name: "worn"}, outputs={table.name: [o.to_dict() for o in OUTPUTS]},
            command="headstart study tools.csv --target worn,grade,marks,age", cards={}, networks={}, versions={},
            machine={}, warnings=[], passes=[], seconds_before=300.0,
        )  # fmt: skip
        store.put_table(table)
        rows = data.partition(None).test_rows
        test = [(table.paths[row], table.digests[row]) for row in rows]
        for cell in cells:
            result, answers = _result(cell, data)
            store.put_result(result, answers, test)
    return place


def _cell(data: Dataset, way: str, seed: int) -> Cell:
    trained = {
        "cut": "last:1",
        "training": json.dumps({"epochs": 2}),
        "scenario": "finetune",
        "head": "",
        "layer": "",
    }
    frozen: dict[str, Any] = {
        "cut": "",
        "training": "",
        "scenario": "features",
        "head": "logistic",
        "layer": "pool",
    }
    return Cell(
        dataset=data.table.name, data_digest=data.digest, split_digest=data.partition(seed).digest,
        target=data.target, backbone="lite0", weights_digest=digest_bytes(b"w"), module="", pooling="avg",
        height=32, width=32, preprocessing_digest=digest_bytes(b"p"), engine="torch", precision="float32",
        seed=seed, version="1.1", sharing=way or "hard", outputs="{}", **(trained if way else frozen),
    )  # fmt: skip


def _result(cell: Cell, data: Dataset) -> tuple[CellResult, np.ndarray]:
    from headstart.methods.output import encode

    way = cell.sharing if cell.trains else ""
    rows = list(data.partition(cell.seed).test_rows)
    generator, (classes, levels) = np.random.default_rng([cell.seed or 0, len(way)]), SHARPNESS[way]
    parts = []
    for output in OUTPUTS:
        # what a missing label would be does not matter: it is measured nowhere
        truth = encode(output, [data.table.labels[output.name][row] or output.levels[0] for row in rows])
        if output.kind == "number":
            parts.append((truth + generator.normal(0, 1, len(rows)))[:, None])
        elif output.kind == "labels":
            parts.append(1 / (1 + np.exp(-2 * (2 * truth - 1) - generator.normal(0, 1.5, truth.shape))))
        else:
            scores = generator.normal(0, 1, (len(rows), len(output.levels)))
            scores[np.arange(len(rows)), truth] += classes if output.kind == "classes" else levels
            parts.append(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
    answers = np.concatenate(parts, axis=1).astype(np.float32)
    n_networks = len(OUTPUTS) if way == "separate" else 1
    record = {
        "path": "cache", "learning_rate": 0.001, "kept_epoch": 2, "images_seen": 200, "views": 1, "dtype": "float32",
        "start": "linear head", "curve": [{"epoch": 1}, {"epoch": 2}],
        "seconds": {"train": 22.0 if way == "soft" else 10.0},
    }  # fmt: skip
    result = CellResult(
        cell=cell, status="done", classes=data.classes(), selection=0.8 + 0.05 * (way == "hard"),
        selected_on="validation", n_train=100, n_validation=50, n_test=len(rows),
        **measures(data, rows, answers, [{"marks": [0.5, 0.4]}], [len(rows)]), chosen={"epoch": 2},
        seconds={"extract": 5.0, "fit": 10.0 * n_networks + 12.0 * (way == "soft"), "predict": 1.0},
        peak_bytes=1 << 28, model_bytes=1 << 24, training=(record,) * (n_networks if way else 0),
    )  # fmt: skip
    return result, answers
