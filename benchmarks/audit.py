"""Speed of the audit: a folder cold and warm, the search for near copies among many images, a refit of the label page.

python benchmarks/audit.py DATA [--n 100000] [--queries 5000] [--skip-folder]

The many images' features are mixtures of two of DATA's, with noise, so that they lie as real ones do; search runs in
a process of its own, whose memory is the peak of all it holds. Recall is that of the three nearest others against
exact search by whole vectors. The refit is that of `benchmarks/label.py`: what the label page does after a label.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bars import REFERENCE_RATE, Bars, reference_rate
from label import N_LABELS, points_of, refit

from headstart.features.extractor import FeatureExtractor
from headstart.images.scan import scan

SEARCH = """
import json, sys, time
import numpy as np
from headstart.features.duplicate_search import nearest_others
features = np.load(sys.argv[1])
start = time.perf_counter()
rows, _ = nearest_others(features, 3)
seconds = time.perf_counter() - start
np.save(sys.argv[2], rows)
# of this process alone: getrusage keeps the peak of the process that started it
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps({"seconds": seconds, "bytes": 1024 * int(peak.split()[1])}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--skip-folder", action="store_true")
    given = parser.parse_args()
    bars, rate = Bars(), min(REFERENCE_RATE, reference_rate())  # a quicker machine makes no bar stricter
    if not given.skip_folder:
        with tempfile.TemporaryDirectory() as cache:
            bars.seconds("audit of the folder, cold", audited(given.data, cache), 60, rate)
            bars.seconds(
                "audit of the folder, warm", min(audited(given.data, cache) for _ in range(2)), 15, rate
            )
    table = scan(given.data)
    features = FeatureExtractor().fit_transform([str(path) for path in table.items()])
    search(features, given.n, given.queries, bars, rate)
    points, labels = points_of(given.data, N_LABELS)
    refit(bars, f"{given.data}, {len(set(labels))} classes", points, labels)
    bars.done()


def audited(data: str, cache: str) -> float:
    """Seconds of `headstart audit DATA`, the start of the process included."""
    command = [sys.executable, "-m", "headstart.cli.main", "audit", data, "--json"]
    start, busy = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, env={**os.environ, "HEADSTART_CACHE": cache}, capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - start
    checks = {each["check"]: round(each["seconds"], 1) for each in json.loads(done.stdout)["checked"]}
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - busy.ru_utime - busy.ru_stime
    print(f"{seconds:.1f} s in all ({cpu:.1f} s of processor time), by check: {checks}", flush=True)
    return seconds


def mixed(features: np.ndarray, n: int) -> np.ndarray:
    """Mixtures of two images' features, with a tenth of the spread of noise."""
    rng = np.random.default_rng(0)
    made = np.empty((n, features.shape[1]), np.float32)
    spread = 0.1 * features.std(axis=0)
    for at in range(0, n, 5_000):
        size = min(5_000, n - at)
        share = rng.uniform(0.5, 1, (size, 1)).astype(np.float32)
        one, other = (features[rng.integers(len(features), size=size)] for _ in range(2))
        noise = rng.standard_normal(one.shape, np.float32) * spread
        made[at : at + size] = share * one + (1 - share) * other + noise
    return made


def search(features: np.ndarray, n: int, n_queries: int, bars: Bars, rate: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "features.npy", Path(folder) / "rows.npy"
        np.save(given, mixed(features, n))
        command = [sys.executable, "-c", SEARCH, str(given), str(out)]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        bars.seconds(f"search among {n:,}", told["seconds"], 60, rate)
        bars.bar("peak memory of the search, features included", told["bytes"] / 1e9, "<=", 1.0, " GB")
        bars.bar("recall of the three nearest", recall(np.load(given), np.load(out), n_queries), ">=", 0.99)


def recall(points: np.ndarray, found: np.ndarray, n_queries: int) -> float:
    """Share of the true three nearest others that were found, over random queries."""
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    queries = np.random.default_rng(1).choice(len(points), min(n_queries, len(points)), replace=False)
    hits = []
    for part in np.array_split(queries, max(1, len(queries) // 250)):
        near = points[part] @ points.T
        near[np.arange(len(part)), part] = -np.inf
        true = np.argpartition(-near, 2, axis=1)[:, :3]
        hits += [len(set(a) & set(b)) / 3 for a, b in zip(true.tolist(), found[part].tolist(), strict=True)]
    return float(np.mean(hits))


if __name__ == "__main__":
    main()
