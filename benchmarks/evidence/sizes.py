"""Frozen features at 96 pixels beside those at the network's own size, in the evidence of this folder.

    python benchmarks/evidence/sizes.py

A row a label column and number of images a class: the best of layers x heads by mean test accuracy, and the mean over
all of them, at both sizes. The adviser does not probe the smaller size: why stands in docs/lab-log.md, 2026-11-30.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
Found = dict[tuple[str, int], dict[str, float]]


def accuracies(name: str) -> Found:
    """Mean accuracy over the seeds of each layer and head, by label column and images a class."""
    runs: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with (HERE / f"{name}.csv").open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            place = f"{row['layer']} {row['head']}"
            runs[row["dataset"], int(row["per_class"])][place].append(100 * float(row["accuracy"]))
    return {
        key: {place: float(np.mean(each)) for place, each in places.items()} for key, places in runs.items()
    }


def main() -> None:
    own, small = accuracies("features"), accuracies("features96")
    gains: dict[str, list[float]] = defaultdict(list)
    for key in sorted(own.keys() & small.keys(), key=lambda key: (key[0], key[1] or 10**9)):
        first, second = (max(found[key], key=found[key].__getitem__) for found in (own, small))
        gain = small[key][second] - own[key][first]
        gains[key[0]].append(gain)
        print(
            f"{key[0]} {key[1] or 'all'}: {own[key][first]:.1f} % ({first}), at 96 px {small[key][second]:.1f} % "
            f"({second}); {gain:+.1f}, all layers and heads "
            f"{np.mean(list(small[key].values())) - np.mean(list(own[key].values())):+.1f}"
        )
    for name, each in gains.items():
        print(f"{name}: {np.mean(each):+.1f} points on average")


if __name__ == "__main__":
    main()
