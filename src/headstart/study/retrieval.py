"""One cell of the task retrieval: each test image is searched among the training images.

An image of the query's class is relevant; copies and near-copies of the query are left out of the ranking. The
mean average precision of the validation images (searched among the same training images) chooses, that of the
test images is reported. The average precision of each test image stays in the store, as the probabilities of a
classifier do: by it ways of searching are told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.base.errors import UsageError
from headstart.base.events import collected_warnings
from headstart.study.cells import NUMERIC_ERRORS, CellOutcome, failed
from headstart.study.cost import measured
from headstart.study.partition import Dataset, Fold, Rows
from headstart.study.records import Cell, CellResult
from headstart.study.rules import TestRows

if TYPE_CHECKING:
    import numpy as np

    from headstart.measure.values import Score

RETRIEVAL, RETRIEVAL_VERSION = "retrieval", "1"
K = 10
"""Neighbours that precision and recall look at."""
MOST_WHITENED = 256
BLOCK_CELLS = 8_000_000


def run_retrieval_cell(
    cell: Cell, data: Dataset, features: np.ndarray, judge: np.ndarray, *, extract_seconds: float | None = None,
    extract_bytes: int = 0, weights_bytes: int = 0,
) -> CellOutcome:  # fmt: skip
    """Run one cell of the task retrieval.

    Parameters
    ----------
    cell : Cell
        Its `head` is how vectors are compared: cosine, l2 or whitened.
    data : Dataset
    features : ndarray of float32, shape (n, d)
        One row for each row of the dataset's table.
    judge : ndarray of float32, shape (n, e)
        The backbone's last features: by them two images are copies, for all its layers alike.
    extract_seconds, extract_bytes, weights_bytes
        As for `run_cell`.
    """
    if len(features) != len(data.table):
        raise UsageError(f"{len(features)} rows of features for {len(data.table)} images")
    try:
        with collected_warnings() as notes:
            found, each, rows = _run(cell, data, features, judge)
    except NUMERIC_ERRORS as error:
        return CellOutcome(failed(cell, error), None, ())
    seconds = {} if extract_seconds is None else {"extract": extract_seconds}
    fields = {
        **found,
        "seconds": {**seconds, **found["seconds"]},
        "peak_bytes": max(extract_bytes, found["peak_bytes"]),
        "model_bytes": weights_bytes,
        "notes": tuple(notes),
    }
    return CellOutcome(CellResult(cell=cell, status="done", **fields), each[:, None], rows)


def _run(
    cell: Cell, data: Dataset, features: np.ndarray, judge: np.ndarray
) -> tuple[dict[str, Any], np.ndarray, tuple[int, ...]]:
    """Fields of the result; average precision (NaN where there is nothing to find) and row of each test image."""
    import numpy as np

    from headstart.measure.retrieval import summarise

    folds, codes, classes = data.partition(cell.seed).folds, data.codes(), data.classes()
    parts, choices, fit_seconds, search_seconds, peaks, copies, reads = [], [], 0.0, 0.0, [0], 0, 0
    for fold in folds:
        with measured() as fitting:
            vectors = _compared(features, fold, cell)
        rows = TestRows(fold)
        # without validation images every training image is searched among the others
        held, _ = _searched(fold.validation or fold.train, vectors, judge, codes, data, fold, cell)
        known = held["map"][np.isfinite(held["map"])]
        choices.append(float(known.mean()) if len(known) else float("nan"))
        with measured() as searching:
            found, n_copies = _searched(rows.read(has_chosen=True), vectors, judge, codes, data, fold, cell)
        reads += rows.n_reads
        parts.append(found)
        copies += n_copies
        fit_seconds, search_seconds = fit_seconds + fitting.seconds, search_seconds + searching.seconds
        peaks += [fitting.peak_bytes, searching.peak_bytes]
    tested = data.partition(cell.seed).test_rows
    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    quality = summarise(together, [classes[code] for code in codes[list(tested)]], K)
    scores: dict[str, Score] = quality.scores
    fields = {
        "classes": classes,
        "selection": float(np.mean(choices)),
        "selected_on": "validation" if all(fold.validation for fold in folds) else "train, each image left out once",
        "n_train": len(folds[0].train),
        "n_validation": len(folds[0].validation),
        "n_test": len(tested),
        "scores": scores,
        "per_class": quality.per_class,
        "chosen": {"copies": copies, "n_nothing_to_find": quality.n_nothing_to_find},
        "seconds": {"fit": fit_seconds, "search": search_seconds},
        "peak_bytes": max(peaks),
        "n_fits": len(folds),
        "tested": tuple(len(fold.test) for fold in folds),
        "test_reads": reads,
    }  # fmt: skip
    return fields, together["map"], tested


def _compared(features: np.ndarray, fold: Fold, cell: Cell) -> np.ndarray:
    """The vectors that are compared: the features, or whitened by what the training images show."""
    if cell.head != "whitened":
        return features
    from headstart.features.whitening import fit_whitening

    n = min(MOST_WHITENED, features.shape[1], len(fold.train) // 2)
    return fit_whitening(features[list(fold.train)], n, seed=cell.seed or 0)(features)


def _searched(
    queries: Rows, vectors: np.ndarray, judge: np.ndarray, codes: np.ndarray, data: Dataset, fold: Fold, cell: Cell
) -> tuple[dict[str, np.ndarray], int]:  # fmt: skip
    """Metrics of each query among the training images, and the number of pairs left out as copies."""
    import numpy as np

    from headstart.features.index import NEAR
    from headstart.features.neighbours.exact import similarities, unit
    from headstart.measure.retrieval import query_scores

    metric = "l2" if cell.head == "l2" else "cosine"
    among, digests = np.array(fold.train), np.array(data.table.digests, dtype=object)
    held = vectors[among] if metric == "l2" else unit(vectors[among])
    directions, parts, copies = unit(judge[among]), [], 0
    size = max(1, BLOCK_CELLS // max(1, len(among)))
    for at in range(0, len(queries), size):
        rows = np.array(queries[at : at + size])
        alike = similarities(unit(judge[rows]), directions, "cosine") >= NEAR
        alike |= digests[among][None] == digests[rows][:, None]
        scores = similarities(vectors[rows] if metric == "l2" else unit(vectors[rows]), held, metric)
        parts.append(query_scores(scores, codes[among][None] == codes[rows][:, None], K, alike))
        copies += int(alike.sum()) - int((rows[:, None] == among[None]).sum())
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, copies
