"""Search: exact and approximate, milliseconds a query, recall and memory, over features and noise around them.

    python benchmarks/search.py DATA [--n 100000] [--k 10] [--rounds 3]

DATA holds images; their features are repeated with noise of a fifth of each vector's length until there are n,
so that the vectors lie as features do. n = 1,000,000 of 1,280 values takes 5 GB for the vectors alone.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", default="hnsw,ivfpq")
    measure(parser.parse_args())


def measure(options: argparse.Namespace) -> None:
    from headstart.features.neighbours import approximate
    from headstart.features.neighbours.exact import nearest

    vectors = grown(features(options.data), options.n)
    rows = np.random.default_rng(1).choice(options.n, options.queries, replace=False)
    queries = np.ascontiguousarray(vectors[rows])
    print(f"{options.n:,} vectors of {vectors.shape[1]} values, {options.queries} queries, k = {options.k}")
    batch = timed(lambda: nearest(queries, vectors, options.k, "cosine"), options.rounds) / options.queries
    one = timed(lambda: nearest(queries[:1], vectors, options.k, "cosine"), options.rounds)
    told("exact", batch, one, 1.0)
    for kind in options.kinds.split(","):
        start = time.perf_counter()
        made = approximate.build_approximate(vectors, "cosine", kind)
        print(f"{kind}: built in {time.perf_counter() - start:.1f} s, {written_bytes(made) / 1e6:.0f} MB")

        def search(some, made=made):
            return approximate.nearest_approximate(made, some, vectors, options.k, "cosine")

        batch = timed(lambda find=search: find(queries), options.rounds) / options.queries
        one = timed(lambda find=search: find(queries[:1]), options.rounds)
        told(kind, batch, one, approximate.measure_recall(made, vectors, "cosine", k=options.k))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def features(data: str) -> np.ndarray:
    from headstart.features.extractor import FeatureExtractor
    from headstart.features.neighbours.exact import unit
    from headstart.images.scan import scan

    table = scan(data)
    extractor = FeatureExtractor()
    return unit(extractor.joined(extractor.extract(table.items(), table.digests)))


def grown(real: np.ndarray, n: int) -> np.ndarray:
    """n vectors of length one, float32: the real ones, then noisy copies."""
    from headstart.features.neighbours.exact import unit

    rng = np.random.default_rng(0)
    made = np.empty((n, real.shape[1]), np.float32)
    for at in range(0, n, len(real)):
        part = real[: n - at]
        noise = rng.normal(size=part.shape).astype(np.float32) * 0.2 / np.sqrt(part.shape[1])
        made[at : at + len(part)] = part if at == 0 else unit(part + noise)
    return made


def timed(call, rounds: int) -> float:
    """Median seconds."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def written_bytes(made) -> int:
    from headstart.features.neighbours.approximate import write_approximate

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.faiss"
        write_approximate(made, path)
        return path.stat().st_size


def told(name: str, batch: float, one: float, recall: float) -> None:
    print(f"{name}: {1000 * batch:.2f} ms a query in a batch, {1000 * one:.1f} ms alone, recall {recall:.3f}")


if __name__ == "__main__":
    main()
