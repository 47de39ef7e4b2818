"""What pretrained weights are worth over random ones: the evidence of this folder beside published results.

    python benchmarks/evidence/vtab.py VTAB_RESULTS.csv

The file is that of the Visual Task Adaptation Benchmark (github google-research/task_adaptation, docs/data/results.csv;
Zhai et al., A Large-scale Study of Representation Learning with the Visual Task Adaptation Benchmark, 2019): 19 data
sets, ResNet-50, 1,000 training images and all of them. It knows the scenarios `full` and `scratch` alone. What is
printed: how many points `full` is above `scratch`, in its groups and here; nothing of it is fitted.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import fit
import numpy as np

PRETRAINED, RANDOM = "Sup-100%", "From-Scratch"
GROUPS = {
    "natural": ("CIFAR-100", "Caltech101", "DTD", "Flowers102", "Pets", "SVHN", "Sun397"),
    "specialised": ("Camelyon", "EuroSAT", "Resisc45", "Retinopathy"),
    "structured": (
        "Clevr-Count", "Clevr-Dist", "DMLab", "KITTI-Dist", "dSpr-Loc", "dSpr-Orient", "sNORB-Azim", "sNORB-Elev",
    ),
}  # fmt: skip


def published(file: Path) -> dict[tuple[str, str], float]:
    """Points of (images, data set) by which pretrained weights are above random ones."""
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.reader(opened))
    by_method = {row[0]: row for row in rows}
    return {
        (images, name): float(pretrained) - float(random)
        for images, name, pretrained, random in zip(
            rows[0][1:], rows[1][1:], by_method[PRETRAINED][1:], by_method[RANDOM][1:], strict=True
        )
        if images != "metadata"
    }


def main() -> None:
    gains = published(Path(sys.argv[1]))
    for images in ("1000", "full"):
        for group, names in GROUPS.items():
            found = [gains[images, name] for name in names]
            print(
                f"published, {images} images, {group}: {np.mean(found):+.1f} points "
                f"({min(found):+.1f} to {max(found):+.1f}), {len(found)} data sets"
            )
        every = [gain for (size, _), gain in gains.items() if size == images]
        print(f"published, {images} images, all: {np.mean(every):+.1f} points, worse with pretrained weights in "
              f"{sum(gain < 0 for gain in every)} of {len(every)}")  # fmt: skip
    here = []
    for cell in fit.read_cells():
        if {"full", "scratch"} <= cell.right.keys():
            here.append(100 * (cell.accuracy("full") - cell.accuracy("scratch")))
            seeds = len(cell.right["full"])
            print(
                f"here, {cell.dataset}, {cell.per_class} a class ({cell.n} images), {seeds} seeds: {here[-1]:+.1f}"
            )
    print(f"here, all: {np.mean(here):+.1f} points")


if __name__ == "__main__":
    main()
