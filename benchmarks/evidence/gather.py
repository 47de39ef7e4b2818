"""Studies that the adviser's few parameters are fitted on, gathered step by step; a stopped run goes on.

    python benchmarks/evidence/gather.py WORK [--clothing FOLDER] [--fashion FOLDER] [--step NAME,...] [--only NAME,...]
        [--sizes N,...]

Each step of each data set is a study in WORK; its runs are written to `benchmarks/evidence/STEP.csv`, one row a
run, as soon as the study is done, in place of an older row of the same run; other rows stay. `right` holds which
test images were named rightly (bits of the test images in the order of their content, base64), so that two methods
can be compared image by image.
"""

from __future__ import annotations

import argparse
import base64
import csv
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from headstart.images.benchmark import read_idx
from headstart.images.scan import scan
from headstart.study.execute import run_study
from headstart.study.measure_situation import measure
from headstart.study.spec import StudySpec
from headstart.study.store import StudyStore

HERE = Path(__file__).parent
SIZES = (5, 10, 20, 50, 100, 0)
FASHION = {"train": 2500, "t10k": 1500}
STEPS: dict[str, dict[str, Any]] = {
    "features": {
        "layer": ("stage4", "stage5", "stage6", "stage7", "pool"),
        "head": ("logistic", "lda", "linear_svm", "ridge"),
        "per_class": SIZES,
        "seeds": 3,
    },
    "features96": {
        "layer": ("stage4", "stage5", "stage6", "stage7", "pool"),
        "head": ("logistic", "lda", "linear_svm", "ridge"),
        "input_size": (96,),
        "per_class": SIZES,
        "seeds": 3,
    },
    "thousand": {
        "layer": ("stage4", "stage5", "stage6", "stage7", "pool"),
        "head": ("logistic", "lda", "linear_svm", "ridge"),
        "seeds": 3,
    },
    "last1": {
        "scenario": ("finetune",),
        "trainable": ("last:1",),
        "per_class": (5, 10, 20, 50, 100),
        "seeds": 3,
    },
    "situations": {},
    "last2": {
        "scenario": ("finetune",),
        "trainable": ("last:2",),
        "per_class": (5, 10, 20, 50, 100),
        "seeds": 3,
    },
    "last1_all": {"scenario": ("finetune",), "trainable": ("last:1",), "per_class": (0,), "seeds": 1},
    "full": {
        "scenario": ("full",),
        "train_input_size": (96,),
        "per_class": (5, 10, 20, 50, 100),
        "equal": "own",
        "seeds": 3,
    },
    "scratch": {
        "scenario": ("scratch",),
        "train_input_size": (96,),
        "per_class": (5, 10, 20, 50, 100),
        "equal": "own",
        "seeds": 3,
    },
    "last2_all": {"scenario": ("finetune",), "trainable": ("last:2",), "per_class": (0,), "seeds": 1},
}
THOUSAND = {"textiles": 333, "elpv-defect": 500, "elpv-type": 500}
"""Images a class that make about 1,000, where `SIZES` holds no such number: what the adviser measures on."""
COLUMNS = (
    "dataset", "target", "n_classes", "backbone", "scenario", "layer", "cut", "head", "height", "per_class",
    "n_train", "n_validation", "n_test", "seed", "selection", "accuracy", "fit_seconds", "predict_seconds",
    "extract_seconds", "right",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--clothing", default="")
    parser.add_argument("--fashion", type=Path, help="folder of the IDX files of Fashion-MNIST")
    parser.add_argument("--step", default=",".join(STEPS))
    parser.add_argument("--only", default="")
    parser.add_argument("--sizes", default="", help="of the images a class of a step, these alone")
    given = parser.parse_args()
    for step in given.step.split(","):
        for name, (data, target) in sources(given).items():
            if given.only and name not in given.only.split(","):
                continue
            if step == "thousand" and name not in THOUSAND:
                continue
            start = time.perf_counter()
            if step == "situations":
                situation(name, data, target)
            else:
                options = {**STEPS[step], **({"per_class": (THOUSAND[name],)} if step == "thousand" else {})}
                if given.sizes:
                    options["per_class"] = tuple(int(each) for each in given.sizes.split(","))
                spec = StudySpec(data=(data,), target=(target,) if target else (), **options)
                run_study(spec, given.work / f"{name}-{step}", advise=False, audits=False)
                write(given.work, step)
            print(f"{step} of {name}: {time.perf_counter() - start:.0f} s", flush=True)


def sources(given: argparse.Namespace) -> dict[str, tuple[str, str]]:
    """Name of each data set to its source and label column."""
    found = {
        "textiles": ("textiles", ""), "digits": ("digits", ""), "elpv-defect": ("elpv", "defect"),
        "elpv-type": ("elpv", "type"),
    }  # fmt: skip
    if given.clothing:
        found["clothing"] = (given.clothing, "")
    if given.fashion:
        found["fashion"] = (str(fashion_part(given.fashion, given.work)), "")
    return found


def fashion_part(folder: Path, work: Path) -> Path:
    """A seeded part of Fashion-MNIST as one file of arrays: 2,500 images to learn from, 1,500 to test on."""
    target = work / "fashion.npz"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        rng, parts = np.random.default_rng(0), {}
        for split, n in FASHION.items():
            images = read_idx(folder / f"{split}-images-idx3-ubyte.gz")
            labels = read_idx(folder / f"{split}-labels-idx1-ubyte.gz")
            rows = np.sort(rng.choice(len(images), n, replace=False))
            name = "train" if split == "train" else "test"
            parts |= {f"x_{name}": images[rows], f"y_{name}": labels[rows]}
        np.savez_compressed(target, **parts)
    return target


def situation(name: str, data: str, target: str) -> None:
    """Measure a data set as `headstart advise` does; one row in `situations.csv`."""
    found = measure(scan(data), target or None)
    transfer, like = found.transfers[0], found.likeness
    row = {
        "dataset": name, "n": found.n, "n_classes": found.n_classes, "n_measured": found.n_measured,
        "distance": f"{like.distance:.4f}", "confidence": f"{like.confidence:.4f}",
        "entropy": f"{like.entropy:.4f}", "coverage": f"{like.coverage:.4f}", "best_layer": found.best_layer("lite0"),
        "slope": f"{found.slope:.4f}", "neighbours": f"{transfer.neighbours:.4f}", "probe": f"{transfer.probe:.4f}",
        "logme": f"{transfer.logme:.4f}", "h_score": f"{transfer.h_score:.4f}", "nce": f"{transfer.nce or 0:.4f}",
        "leep": f"{transfer.leep or 0:.4f}", "seconds": f"{found.seconds:.0f}",
    }  # fmt: skip
    file = HERE / "situations.csv"
    kept = []
    if file.is_file():
        with file.open(encoding="utf-8", newline="") as opened:
            kept = [each for each in csv.DictReader(opened) if each["dataset"] != name]
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, row], key=lambda each: str(each["dataset"])))


def write(work: Path, step: str) -> None:
    """Every finished run of a step, of all data sets, as one CSV; rows of other runs that it holds stay."""
    path = HERE / f"{step}.csv"
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            found = {_run(row): row for row in csv.DictReader(file)}
    for folder in sorted(work.glob(f"*-{step}")):
        found |= {_run(row): row for row in rows_of(folder, step)}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found[key] for key in sorted(found))


def _run(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        str(row[key]) for key in ("dataset", "scenario", "per_class", "layer", "cut", "head", "seed")
    )


def rows_of(folder: Path, step: str) -> list[dict[str, Any]]:
    """The finished runs of one study."""
    name = folder.name.removesuffix(f"-{step}")
    with StudyStore(folder, must_exist=True) as store:
        found = []
        for result in store.results().values():
            if result.status != "done":
                print(f"{name}: {result.cell.method} failed: {result.error}", file=sys.stderr)
                continue
            cell = result.cell
            table = store.table(cell.dataset)
            given = store.probabilities(cell.id)
            assert table is not None and given is not None
            labels = dict(zip(table.paths, table.labels[cell.target], strict=True))
            said = [result.classes[at] for at in given[0].argmax(1)]
            right = [labels[path] == word for path, word in zip(given[1], said, strict=True)]
            seconds = result.seconds
            found.append({
                "dataset": name, "target": cell.target, "n_classes": len(result.classes),
                "backbone": cell.backbone, "scenario": cell.scenario, "layer": cell.layer, "cut": cell.cut,
                "head": cell.head, "height": cell.height, "per_class": cell.per_class,
                "n_train": result.n_train, "n_validation": result.n_validation, "n_test": result.n_test,
                "seed": "" if cell.seed is None else cell.seed,
                "selection": "" if result.selection is None else f"{result.selection:.5f}",
                "accuracy": f"{result.scores['accuracy'].value:.5f}",
                "fit_seconds": f"{seconds['fit']:.2f}", "predict_seconds": f"{seconds['predict']:.2f}",
                "extract_seconds": f"{seconds['extract']:.1f}" if "extract" in seconds else "",
                "right": base64.b64encode(np.packbits(right).tobytes()).decode(),
            })  # fmt: skip
    return found


if __name__ == "__main__":
    main()
