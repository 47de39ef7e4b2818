"""k-means of many feature vectors: ours against scikit-learn's MiniBatchKMeans, time at equal inertia.

python benchmarks/cluster.py DATA [--n 200000] [--clusters 50] [--rounds 3]

The features of the images in DATA are resampled to N x 1,280 with noise, so that the vectors lie as real ones
do. The two take turns; inertia is worked out in the same way for both, from labels and centres.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from bars import Bars
from sklearn.cluster import MiniBatchKMeans

from headstart.features.extractor import FeatureExtractor
from headstart.features.kmeans import assign, quick_kmeans
from headstart.images.scan import scan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--n", type=int, default=200_000, help="vectors")
    parser.add_argument("--clusters", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    points = resampled(given.data, given.n)
    print(f"{points.shape[0]:,} x {points.shape[1]:,}, {given.clusters} clusters")
    times, ratios = [], []
    for seed in range(given.rounds):
        start = time.perf_counter()
        ours = quick_kmeans(points, given.clusters, seed=seed)
        middle = time.perf_counter()
        peer = MiniBatchKMeans(given.clusters, random_state=seed).fit(points)
        end = time.perf_counter()
        spread = inertia(points, ours.centres) / inertia(points, peer.cluster_centers_)
        times.append((end - middle) / (middle - start))
        ratios.append(spread)
        print(
            f"ours {middle - start:.2f} s, MiniBatchKMeans {end - middle:.2f} s, inertia {spread:.4f}",
            flush=True,
        )
    bars = Bars()
    bars.bar("MiniBatchKMeans's time over ours (median)", statistics.median(times), ">=", 1, "x")
    bars.bar("our inertia over MiniBatchKMeans's (median)", statistics.median(ratios), "<=", 1.0)
    bars.done()


def resampled(data: str, n: int, seed: int = 0) -> np.ndarray:
    """Features of images drawn with replacement, each value with a tenth of its spread of noise."""
    found = FeatureExtractor().fit_transform([str(path) for path in scan(data).items()])
    rng = np.random.default_rng(seed)
    points = found[rng.integers(len(found), size=n)]
    spread = 0.1 * found.std(0)
    for at in range(0, n, 10_000):
        part = points[at : at + 10_000]
        part += rng.standard_normal(part.shape, np.float32) * spread
    return points


def inertia(points: np.ndarray, centres: np.ndarray) -> float:
    """Sum of squared distances to the nearest centre."""
    _, near, square = assign(points, np.ascontiguousarray(centres, np.float32))
    return float((near + square).sum(dtype=np.float64))


if __name__ == "__main__":
    main()
