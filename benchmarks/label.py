"""Labelling: how long the model takes to follow the labels, the next images to come, and a label to be on disk.

Run with one source of images that has labels, e.g. `python benchmarks/label.py clothing`. The features are
those of the source, repeated with a little noise up to the number of labels; the labels are the source's own.
A larger problem with many classes is drawn. The bar is on the slowest of the fits at 5,000 labels.
"""

from __future__ import annotations

import sys
import tempfile
import time

import numpy as np
from bars import Bars

from headstart.dataset.journal import open_journal
from headstart.dataset.next_rows import ORDERS, Shape, next_rows
from headstart.dataset.session import DIMENSIONS
from headstart.dataset.suggest import fit_suggester
from headstart.features.cluster_space import Space
from headstart.features.extractor import FeatureExtractor
from headstart.images.scan import scan

N_LABELS, N_IMAGES, TIMES = 5_000, 20_000, 7
REFIT_SECONDS, BATCH_SECONDS, LABEL_SECONDS = 0.3, 1.0, 0.05


def points_of(source: str, n: int) -> tuple[np.ndarray, list[str]]:
    """Features of a source as the label page holds them, repeated to `n` rows, and labels."""
    table = scan(source)
    found = FeatureExtractor().extract(table.items(), table.digests, table.paths)
    features = next(iter(found.features.values()))[found.ok]
    labels = [str(label) for label, good in zip(table.labels[table.target()], found.ok, strict=True) if good]
    points = Space.learned(features, "unit", DIMENSIONS, False).moved(features)
    rng = np.random.default_rng(0)
    rows = rng.permutation(np.resize(np.arange(len(points)), n))
    noise = rng.normal(0, 0.05 * points.std(), (n, points.shape[1])).astype(np.float32)
    return points[rows] + noise, [labels[row] for row in rows]


def drawn(n: int, n_classes: int) -> tuple[np.ndarray, list[str]]:
    """Points of many classes."""
    rng = np.random.default_rng(n_classes)
    centres = rng.normal(size=(n_classes, DIMENSIONS)).astype(np.float32)
    codes = np.arange(n) % n_classes
    points = 0.6 * centres[codes] + rng.normal(size=(n, DIMENSIONS)).astype(np.float32)
    return points, [f"class {code}" for code in codes]


def refit(bars: Bars, name: str, points: np.ndarray, labels: list[str]) -> None:
    seconds = []
    for _ in range(TIMES):
        start = time.perf_counter()
        model = fit_suggester(points, labels)
        assert model is not None
        model.guess(points[:48])
        seconds.append(time.perf_counter() - start)
    print(f"{name}: median {np.median(seconds) * 1e3:.0f} ms of {TIMES} fits")
    bars.bar(
        f"refit and 48 suggestions, {len(labels):,} labels, {name}", max(seconds), "<=", REFIT_SECONDS, " s"
    )


def main() -> None:
    bars = Bars()
    source = sys.argv[1] if len(sys.argv) > 1 else "textiles"
    points, labels = points_of(source, N_IMAGES)
    refit(bars, f"{source}, {len(set(labels))} classes", points[:N_LABELS], labels[:N_LABELS])
    for n_classes in (50, 100, 1_000):
        refit(bars, f"drawn, {n_classes:,} classes", *drawn(N_LABELS, n_classes))
    model = fit_suggester(points[:N_LABELS], labels[:N_LABELS])
    free = np.arange(N_IMAGES) >= N_LABELS
    near = np.full(N_IMAGES, np.inf, np.float32)
    for order in ORDERS:
        start = time.perf_counter()
        rows = next_rows(points, free, near, model, order=order, shape=Shape(6, 8))
        seconds = time.perf_counter() - start
        assert rows
        bars.bar(f"next images of {N_IMAGES:,}, {order}", seconds, "<=", BATCH_SECONDS, " s")
    with tempfile.TemporaryDirectory() as folder, open_journal(folder) as journal:
        seconds_each = []
        for at in range(200):
            start = time.perf_counter()
            journal.give({(f"{at}.jpg", "00"): "cat"})
            seconds_each.append(time.perf_counter() - start)
    bars.bar("a label on disk, median of 200", float(np.median(seconds_each)), "<=", LABEL_SECONDS, " s")
    bars.done()


if __name__ == "__main__":
    main()
