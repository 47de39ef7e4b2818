"""Features in two dimensions: UMAP where it is installed, t-SNE or principal components without it.

McInnes, Healy and Melville, UMAP, 2018 (arXiv 1802.03426); van der Maaten and Hinton, Visualizing Data using
t-SNE, JMLR 2008. Both start from the principal components, which keeps more of where far groups lie
(Kobak and Linderman, Initialization is critical, Nature Biotechnology 2021).
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.events import warn
from headstart.base.optional import installed, require
from headstart.features.cluster_space import Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

METHODS = ("auto", "umap", "tsne", "pca")
FEWEST, FEWEST_CURVED = 3, 10
MOST_TSNE, DIMENSIONS = 10_000, 50
N_NEIGHBORS, PERPLEXITY = 15, 30.0


@dataclass(frozen=True, eq=False)
class Projection:
    """Where each image lies on the map.

    Attributes
    ----------
    points : float32 (n, 2)
    space : float32 (n, d)
        The features on one scale: what the map is held against.
    method : str
        "umap", "tsne" or "pca": what was done.
    facts : dict
        Its options as they were used: dimensions, seed, and n_neighbors, perplexity or explained (the share of
        the variance that the two axes hold).
    seconds : float
        Wall-clock.
    """

    points: NDArray[np.float32]
    space: NDArray[np.float32]
    method: str
    facts: dict[str, Any]
    seconds: float


def project(
    features: Any,
    method: str = "auto",
    *,
    seed: int = 0,
    n_neighbors: int = N_NEIGHBORS,
    perplexity: float = PERPLEXITY,
    scale: str = "unit",
) -> Projection:
    """Lay features out in two dimensions, near where they are near.

    Parameters
    ----------
    features : array, shape (n, d)
        n is at least 3.
    method : {"auto", "umap", "tsne", "pca"}
        "auto" is umap where umap-learn is installed, else t-SNE up to 10,000 images, else pca; pca for fewer
        than 10 images.
    seed : int
        The same seed gives the same map on the same machine.
    n_neighbors : int
        Of umap: neighbours that an image is held to, 2 or more; larger shows more of the whole.
    perplexity : float
        Of t-SNE: its soft number of neighbours, above 0; at most a third of the images is used.
    scale : {"unit", "standard", "none"}
        Features of unit length (neighbours are those by cosine), each feature with variance 1, or as they are.

    Returns
    -------
    Projection

    Raises
    ------
    BadOptions, UnknownName, DataError
    MissingPackage
        umap was asked for and is not installed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> project(rng.normal(size=(20, 8)), "pca").points.shape
    (20, 2)
    """
    start = time.perf_counter()
    rows = np.asarray(features, np.float32)
    _check(rows, method, n_neighbors, perplexity)
    whole = Space.learned(rows, scale, 0, False, seed)
    space = whole.moved(rows)
    reduced = Space.learned(space, "none", DIMENSIONS, False, seed).moved(space)
    done = _chosen(method, len(rows))
    facts: dict[str, Any] = {"dimensions": int(reduced.shape[1]), "seed": seed}
    if done == "umap":
        facts["n_neighbors"] = min(n_neighbors, len(rows) - 1)
        points = _umap(reduced, facts["n_neighbors"], seed)
    elif done == "tsne":
        facts["perplexity"] = min(float(perplexity), (len(rows) - 1) / 3)
        points = _tsne(reduced, facts["perplexity"], seed)
    else:
        facts["explained"] = _explained(space, reduced)
        points = _two(reduced)
    return Projection(points, space, done, facts, time.perf_counter() - start)


def _check(rows: NDArray[Any], method: str, n_neighbors: int, perplexity: float) -> None:
    if method not in METHODS:
        raise UnknownName("way to draw a map", method, METHODS)
    wrong = []
    if n_neighbors < 2:
        wrong.append(f"n_neighbors: expected 2 or more, got {n_neighbors}")
    if not perplexity > 0:
        wrong.append(f"perplexity: expected a number above 0, got {perplexity}")
    if wrong:
        raise BadOptions(wrong)
    n = len(rows) if rows.ndim else 0
    if rows.ndim != 2 or n < FEWEST:
        raise DataError(f"a map takes {FEWEST} or more images, got {n}")
    if method in ("umap", "tsne") and n < FEWEST_CURVED:
        raise DataError(f"{method} takes {FEWEST_CURVED} or more images, got {n}; use pca")


def _chosen(method: str, n: int) -> str:
    if method != "auto":
        return method
    if n < FEWEST_CURVED:
        return "pca"
    if installed("umap"):
        return "umap"
    if n <= MOST_TSNE:
        return "tsne"
    warn(
        f"the map of {n:,} images shows two principal components, which keep few neighbours together; "
        "for umap: pip install 'headstart[map]'"
    )
    return "pca"


def _umap(points: NDArray[np.float32], n_neighbors: int, seed: int) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the import: its network variant wants tensorflow
        umap = require("umap", extra="map", purpose="a map by umap")
        made = umap.UMAP(n_neighbors=n_neighbors, init=_start(points), random_state=seed, n_jobs=1)
        found = made.fit_transform(points)
    return np.asarray(found, np.float32)


def _tsne(points: NDArray[np.float32], perplexity: float, seed: int) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE

    start = _two(points)
    start = (start / start[:, 0].std() * 1e-4).astype(np.float32)
    made = TSNE(perplexity=perplexity, init=start, random_state=seed, n_jobs=1)
    return np.asarray(made.fit_transform(points), np.float32)


def _start(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The principal components in a square of side 10 with a little noise, so that copies part."""
    two = _two(points)
    noise = np.random.default_rng(0).normal(scale=1e-4, size=two.shape)
    return np.asarray(10 * two / np.abs(two).max() + noise, np.float32)


def _two(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first two columns; a second one of zeros where there is but one."""
    if points.shape[1] >= 2:
        return np.ascontiguousarray(points[:, :2])
    return np.column_stack([points[:, 0], np.zeros(len(points), np.float32)])


def _explained(space: NDArray[np.float32], reduced: NDArray[np.float32]) -> float:
    total = float(space.var(0, dtype=np.float64).sum())
    return float(_two(reduced).var(0, dtype=np.float64).sum()) / total
