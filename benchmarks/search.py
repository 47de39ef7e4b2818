"""Search among many vectors: queries a second and recall against exact search, overhead over faiss, memory.

    python benchmarks/search.py DATA [--n 1000000] [--hnsw-n 100000] [--queries 200] [--folder FOLDER]

DATA holds images. Their features (1,280 values, length one) are resampled with noise whose covariance is that of
their own residuals from 64 cluster centres. Queries are fresh draws, one at a time; the ten nearest of exact search
are the truth. The vectors lie in a file (5 GB for 1,000,000), mapped, not loaded. Inverted lists of product codes
(IVF-PQ, ranked anew by the exact vectors) serve all of them; HNSW, whose graph of 1,000,000 takes an hour to build
and 5.5 GB of memory, is measured on the first 100,000, and there against faiss called directly.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from bars import Bars, took

K, BLOCK = 10, 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--exact-queries", type=int, default=10, help="exact searches that are timed")
    parser.add_argument("--hnsw-n", type=int, default=100_000)
    parser.add_argument("--folder", help="where the vectors are written [default: a temporary folder]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        measure(given, Path(folder))


def measure(given: argparse.Namespace, folder: Path) -> None:
    vectors, queries = drawn(features(given.data), given.n, given.queries, folder)
    bars = Bars()
    recall, ours, _, exact, size = compared("ivfpq", vectors, queries, given.exact_queries, folder)
    bars.bar("ivfpq recall at 10", recall, ">=", 0.95)
    bars.bar("ivfpq queries a second over exact search's", exact / ours, ">=", 100, "x")
    bars.bar("ivfpq memory", size / 1e6, "<=", 200, " MB")
    part = np.ascontiguousarray(vectors[: given.hnsw_n])
    recall, ours, faiss, exact, size = compared("hnsw", part, queries, given.exact_queries, folder)
    bars.bar("hnsw recall at 10", recall, ">=", 0.95)
    bars.bar("our overhead over faiss called directly (hnsw)", 100 * (ours / faiss - 1), "<=", 5, " %")
    bars.done()


def compared(
    kind: str, vectors: np.ndarray, queries: np.ndarray, n_exact: int, folder: Path
) -> tuple[float, float, float, float, int]:
    """Recall, milliseconds of ours, of faiss directly and of exact search, and bytes of the index."""
    from headstart.features.neighbours import approximate
    from headstart.features.neighbours.exact import nearest

    print(f"{kind}: {len(vectors):,} vectors of {vectors.shape[1]} values, {len(queries)} queries, k = {K}")
    start = time.perf_counter()
    made = approximate.build_approximate(vectors, "cosine", kind)
    size = written_bytes(made, folder)
    print(f"{kind}: built in {time.perf_counter() - start:.0f} s, {size / 1e6:.0f} MB", flush=True)
    truth, _ = nearest(queries, vectors, K, "cosine")

    def search(query):
        return approximate.nearest_approximate(made, query[None], vectors, K, "cosine")

    found = np.concatenate([search(query)[0] for query in queries])
    recall = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(truth, found, strict=True)]))
    mine, theirs, exact = [], [], []
    every = max(1, len(queries) // n_exact)
    for at, query in enumerate(queries):  # they take turns, so that all meet the same machine
        pair = [(mine, lambda query=query: search(query)), (theirs, lambda query=query: direct(made, query))]
        for times, call in pair if at % 2 else pair[::-1]:
            times.append(took(call))
        if at % every == 0:
            exact.append(took(lambda query=query: nearest(query[None], vectors, K, "cosine")))
    ms = [1000 * statistics.median(each) for each in (mine, theirs, exact)]
    lists = f", {made.nprobe} of {made.nlist} lists" if hasattr(made, "nprobe") else ""
    print(
        f"{kind}: ours {ms[0]:.2f} ms a query{lists}, faiss directly {ms[1]:.2f} ms, exact {ms[2]:.1f} ms, "
        f"recall {recall:.3f}",
        flush=True,
    )
    return recall, *ms, size


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


def written_bytes(made, folder: Path) -> int:
    from headstart.features.neighbours.approximate import write_approximate

    path = folder / "x.faiss"
    write_approximate(made, path)
    size = path.stat().st_size
    path.unlink()
    return size


if __name__ == "__main__":
    main()
