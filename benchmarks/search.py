"""Search among many vectors: queries a second and recall against exact search, overhead over faiss, memory.

    python benchmarks/search.py DATA [--n 1000000] [--queries 200] [--folder FOLDER]

DATA holds images. Their features (1,280 values, length one) are resampled with noise whose covariance is that of
their own residuals from 64 cluster centres. Queries are fresh draws, one at a time; the ten nearest of exact search
are the truth. The vectors lie in a file (5 GB for 1,000,000), mapped, not loaded.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from bars import Bars

K, BLOCK = 10, 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--exact-queries", type=int, default=10, help="exact searches that are timed")
    parser.add_argument("--kinds", default="ivfpq,hnsw")
    parser.add_argument("--folder", help="where the vectors are written [default: a temporary folder]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        measure(given, Path(folder))


def measure(given: argparse.Namespace, folder: Path) -> None:
    from headstart.features.neighbours import approximate
    from headstart.features.neighbours.exact import nearest

    vectors, queries = drawn(features(given.data), given.n, given.queries, folder)
    print(
        f"{len(vectors):,} vectors of {vectors.shape[1]} values, {len(queries)} queries, k = {K}", flush=True
    )
    truth, _ = nearest(queries, vectors, K, "cosine")
    bars = Bars()
    for kind in given.kinds.split(","):
        start = time.perf_counter()
        made = approximate.build_approximate(vectors, "cosine", kind)
        size = written_bytes(made, folder)
        print(f"{kind}: built in {time.perf_counter() - start:.0f} s, {size / 1e6:.0f} MB", flush=True)

        def ours(query, made=made):
            return approximate.nearest_approximate(made, query[None], vectors, K, "cosine")

        found = np.concatenate([ours(query)[0] for query in queries])
        recall = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(truth, found, strict=True)]))
        mine, theirs, exact = [], [], []
        every = max(1, len(queries) // given.exact_queries)
        for at, query in enumerate(queries):  # the three take turns, so that all meet the same machine
            mine.append(took(lambda query=query: ours(query)))
            theirs.append(took(lambda query=query, made=made: direct(made, query)))
            if at % every == 0:
                exact.append(took(lambda query=query: nearest(query[None], vectors, K, "cosine")))
        ms = [1000 * statistics.median(each) for each in (mine, theirs, exact)]
        print(f"{kind}: ours {ms[0]:.2f} ms a query, faiss directly {ms[1]:.2f} ms, exact {ms[2]:.1f} ms")
        if kind == "hnsw":
            bars.bar("hnsw recall at 10", recall, ">=", 0.95)
            bars.bar("hnsw queries a second over exact search's", ms[2] / ms[0], ">=", 100, "x")
            bars.bar("our overhead over faiss called directly", 100 * (ms[0] / ms[1] - 1), "<=", 5, " %")
        else:
            print(
                f"{kind}: recall at 10 {recall:.3f}, {ms[2] / ms[0]:.1f} times exact search's queries a second"
            )
            bars.bar("ivfpq memory", size / 1e6, "<=", 200, " MB")
        del made
    bars.done()


def direct(made, query: np.ndarray) -> None:
    """What someone writes who calls faiss alone, with the same width of search."""
    import faiss

    from headstart.features.neighbours.approximate import SEARCH_WIDTH

    how = (
        faiss.SearchParametersHNSW(efSearch=SEARCH_WIDTH)
        if hasattr(made, "hnsw")
        else faiss.SearchParametersIVF(nprobe=made.nprobe)
    )
    made.search(query[None], K, params=how)


def features(data: str) -> np.ndarray:
    from headstart.features.extractor import FeatureExtractor
    from headstart.features.neighbours.exact import unit
    from headstart.images.scan import scan

    table = scan(data)
    extractor = FeatureExtractor()
    return unit(extractor.joined(extractor.extract(table.items(), table.digests)))


def drawn(real: np.ndarray, n: int, n_queries: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """n vectors in a mapped file and queries like them, all of length one."""
    from headstart.features.kmeans import assign, quick_kmeans
    from headstart.features.neighbours.exact import unit

    rng = np.random.default_rng(0)
    found = quick_kmeans(real, 64, seed=0)
    labels = assign(real, np.ascontiguousarray(found.centres, np.float32))[0]
    residuals = real - found.centres[labels]
    print(f"residuals from 64 centres: {np.square(residuals).sum(1).mean():.3f} of a squared length of 1")
    root = np.linalg.cholesky(np.cov(residuals.T) + 1e-9 * np.eye(real.shape[1])).astype(np.float32)
    made = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (n, real.shape[1]))

    def block(size: int) -> np.ndarray:
        noise = rng.standard_normal((size, real.shape[1]), np.float32) @ root.T
        return unit(real[rng.integers(len(real), size=size)] + noise)

    for at in range(0, n, BLOCK):
        made[at : at + BLOCK] = block(min(BLOCK, n - at))
    made.flush()
    return np.load(folder / "vectors.npy", mmap_mode="r"), block(n_queries)


def took(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def written_bytes(made, folder: Path) -> int:
    from headstart.features.neighbours.approximate import write_approximate

    path = folder / "x.faiss"
    write_approximate(made, path)
    size = path.stat().st_size
    path.unlink()
    return size


if __name__ == "__main__":
    main()
