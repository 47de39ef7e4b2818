"""`ImageIndex`: images to be found again by their features; the vectors lie in a store, the card says what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import BadOptions, DataError
from headstart.features.extractor import FeatureExtractor, item_digest, listed
from headstart.features.index_card import DEFAULTS, IndexCard, make_card, size_text
from headstart.features.index_columns import columns_of, filled, root_of
from headstart.features.index_found import Changes, Found, Hit, readable
from headstart.features.neighbours.exact import unit
from headstart.features.store import DEFAULT_CACHE_GB
from headstart.features.stores.address import Address, open_store
from headstart.features.stores.contract import EXACT_ROWS, Cells, Key, Records, VectorStore
from headstart.features.stores.embedded import MEMORY_GB
from headstart.features.stores.where import Where, parse_where
from headstart.features.whitening import Whitening, fit_whitening
from headstart.images.decode import ImageItem
from headstart.images.scan import scan
from headstart.images.table import ImageTable, Problem

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone

NEAR = 0.98


class ImageIndex:
    """Search images by what a pretrained network sees in them.

    Make one with `build` or `open`.

    Parameters
    ----------
    store : VectorStore
    card : IndexCard
    backbone : Backbone, optional
        The network itself, where the card's name cannot be loaded.

    Attributes
    ----------
    changes_ : Changes
        Of the last `build`, `add` or `remove`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     index = ImageIndex.build("digits", folder + "/index", layer="stage2")
    ...     hits = index.search([scan("digits").item(7)], k=3)[0].hits
    >>> hits[0].duplicate, len(hits)
    (True, 3)
    """

    def __init__(
        self, store: VectorStore, card: IndexCard, backbone: Backbone | None = None, *,
        engine: str = "auto", cache_gb: float = DEFAULT_CACHE_GB,
    ) -> None:  # fmt: skip
        self.store, self.card = store, card
        self._extractor = FeatureExtractor(
            backbone=backbone if backbone is not None else card.backbone, layer=card.layer, pooling=card.pooling,
            engine=engine, precision=card.precision, input_size=card.input_size, cache_gb=cache_gb,
        )  # fmt: skip
        self._whitening: Whitening | None = None
        if arrays := store.arrays():
            self._whitening = Whitening(arrays["mean"], arrays["matrix"])
        self.changes_ = Changes()

    def __len__(self) -> int:
        return len(self.store)

    @classmethod
    def build(
        cls,
        source: str | Path | ImageTable,
        out: str | Path | Address,
        *,
        split: str = "all",
        backbone: str | Backbone | None = None,
        layer: str | None = None,
        pooling: str | None = None,
        input_size: str | int | None = None,
        metric: str | None = None,
        whiten: int | None = None,
        prune: bool = False,
        engine: str = "auto",
        cache_gb: float = DEFAULT_CACHE_GB,
        exact_rows: int = EXACT_ROWS,
        memory_gb: float = MEMORY_GB,
    ) -> ImageIndex:
        """Index a source of images, or bring an index up to date: only new and changed images are computed.

        Parameters
        ----------
        source : path, str or ImageTable
            As `scan` takes it.
        out : path or str
            Folder of the index, or the address of a store (see `headstart.features.stores.address`).
        split : {"all", "train", "validation", "test"}
        backbone, layer, pooling, input_size, metric, whiten : optional
            Those of the index where it is there already, else lite0, pool, avg, the card's, cosine, 0 (none).
        prune : bool
            Remove images of the index that the source does not hold.
        exact_rows : int
            Above it, search is approximate.
        memory_gb : float
            Gigabytes an approximate index in a folder may take.

        Raises
        ------
        BadOptions
            The index was made otherwise.
        DataError, Busy
        """
        table = source if isinstance(source, ImageTable) else scan(source)
        chosen = table.select(table.rows(split))
        if not len(chosen):
            raise DataError(f"{table.name}: no images of split {split!r}; leave it out, or name another")
        asked = {
            "backbone": backbone if isinstance(backbone, str) or backbone is None else backbone.card.name,
            "layer": layer, "pooling": pooling, "metric": metric, "whiten": whiten,
            "input_size": size_text(input_size),
        }  # fmt: skip
        module = None if isinstance(backbone, str) else backbone
        store = open_store(out, create=True, exact_rows=exact_rows, memory_gb=memory_gb)
        with store.writing():
            if store.card:
                card = IndexCard.from_dict(store.card, store.address)
                card.refuse_other(asked)
                made = make_card(
                    {**asked, **{n: getattr(card, n) for n in (*DEFAULTS, "input_size")}}, module
                )
                card.refuse_weights(made)
            else:
                card = make_card(asked, module)
            index = cls(store, card, module, engine=engine, cache_gb=cache_gb)
            index._update(chosen, prune=prune)
        return index

    @classmethod
    def open(
        cls, path: str | Path | Address, *, backbone: Backbone | None = None, engine: str = "auto",
        cache_gb: float = DEFAULT_CACHE_GB, exact_rows: int = EXACT_ROWS,
    ) -> ImageIndex:  # fmt: skip
        """Open the index in a folder, or at the address of a store.

        Raises
        ------
        DataError
            There is none, it is incomplete, or the network of that name has other weights now.
        """
        store = open_store(path, exact_rows=exact_rows)
        card = IndexCard.from_dict(store.card, store.address)
        card.refuse_weights(make_card({n: getattr(card, n) for n in (*DEFAULTS, "input_size")}, backbone))
        return cls(store, card, backbone, engine=engine, cache_gb=cache_gb)

    def add(
        self, images: Sequence[ImageItem], labels: dict[str, Sequence[str | None]] | None = None
    ) -> Changes:
        """Add images (paths, arrays or PIL images), with label columns if there are any.

        An array is named by its digest. Returns and keeps `changes_`.
        """
        items = listed(images)
        digests = tuple(item_digest(item) for item in items)
        names = tuple(
            str(Path(item).absolute()) if isinstance(item, str | Path) else f"image-{digest}"
            for item, digest in zip(items, digests, strict=True)
        )
        columns = {name: tuple(cells) for name, cells in (labels or {}).items()}
        table = ImageTable("images", "", names, digests, columns)
        with self.store.writing():
            self._update(table, prune=False, items=items)
        return self.changes_

    def remove(self, paths: Sequence[str]) -> Changes:
        """Remove images by their path in the index, or by root and path together.

        Raises
        ------
        DataError
            One of them is not there; nothing is removed then.
        """
        wanted = {str(path) for path in paths}
        with self.store.writing():
            named = {
                key: {str(key[1]), str(Path(str(key[0])) / str(key[1]))} & wanted for key in self._keys()
            }
            gone = [key for key, hit in named.items() if hit]
            if missing := wanted.difference(*named.values()):
                raise DataError(f"not in the index: {', '.join(sorted(missing)[:3])}; nothing was removed")
            self._commit(np.zeros((0, self.card.dimension), np.float32), ImageTable("", "", (), ()), gone)
            self.changes_ = Changes(n_removed=len(gone), n_kept=len(self))
        return self.changes_

    def search(
        self,
        images: Sequence[ImageItem],
        k: int = 12,
        *,
        where: str | Where | None = None,
        expand: int = 0,
        near: float = NEAR,
        names: Sequence[str] | None = None,
    ) -> tuple[Found, ...]:
        """The k images nearest to each query.

        Parameters
        ----------
        images : sequence of paths, arrays or PIL images
        k : int
        where : str, optional
            A condition on the columns, e.g. `label == "hat"` (see `headstart.features.stores.where`).
        expand : int
            Search again with the mean of the query and its first `expand` results (average query expansion,
            Chum et al. 2007, ICCV); 0: once.
        near : float
            Cosine from which a result counts as a copy of the query.

        Raises
        ------
        DataError
            No query can be read. Single unreadable ones among others are warned of and left out.
        """
        condition = parse_where(where) if isinstance(where, str) else where
        self._check_search(k, expand, near)
        vectors, digests, told = self.embed(images, names)
        queries = vectors
        if expand:
            queries = self._expanded(queries, self.store.search(queries, expand, condition).rows)
        near_rows = self.store.search(queries, k, condition)
        return tuple(
            self._found(name, digest, vector, rows, scores, near)
            for name, digest, vector, rows, scores in zip(
                told, digests, vectors, near_rows.rows, near_rows.scores, strict=True
            )
        )

    def _expanded(self, queries: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Means of the queries and their first results (q, expand), -1 where there is none."""
        there = first >= 0
        found = np.zeros((*first.shape, queries.shape[1]), np.float32)
        found[there] = self.store.vectors(first[there])
        means = (queries + found.sum(1)) / (1 + there.sum(1, keepdims=True))
        return unit(means) if self.card.metric == "cosine" else means.astype(np.float32)

    def _check_search(self, k: int, expand: int, near: float) -> None:
        wrong = []
        if not 1 <= k <= len(self):
            wrong.append(f"k: {k} is not within 1 .. {len(self)}, the images of the index")
        if not 0 <= expand <= len(self):
            wrong.append(f"expand: {expand} is not within 0 .. {len(self)}, the images of the index")
        if not 0 < near <= 1:
            wrong.append(f"near: {near} is not within 0 .. 1")
        if wrong:
            raise BadOptions(wrong)

    def _found(
        self, name: str, digest: str, vector: np.ndarray, rows: np.ndarray, scores: np.ndarray, near: float
    ) -> Found:
        real = rows[rows >= 0]
        alike = unit(self.store.vectors(real)) @ unit(vector[None])[0]
        columns = self.store.cells(real)
        hits = []
        for rank, (score, cosine) in enumerate(zip(scores[: len(real)], alike, strict=True), 1):
            cells = {key: column[rank - 1] for key, column in columns.items()}
            copy = cells["digest"] == digest or bool(cosine >= near)
            root, path = cells.pop("root") or "", cells.pop("path") or ""
            hits.append(Hit(rank, root, path, float(score), copy, cells))
        return Found(name, digest, tuple(hits))

    def embed(
        self, images: Sequence[ImageItem], names: Sequence[str] | None = None
    ) -> tuple[np.ndarray, list[str], list[str]]:
        """Vectors as the index holds them, with digests and names, of the images that can be read.

        Raises
        ------
        DataError
            None of them can be read.
        """
        items = listed(images)
        digests = [item_digest(item) for item in items]
        found = self._extractor.extract(items, digests, list(names) if names is not None else None)
        rows = readable(found)
        told = names or [
            str(item) if isinstance(item, str | Path) else f"image {row}" for row, item in enumerate(items)
        ]
        vectors = self._vectors(self._extractor.joined(found)[rows])
        return vectors, [digests[row] for row in rows], [told[row] for row in rows]

    def _vectors(self, features: np.ndarray) -> np.ndarray:
        whitened = features if self._whitening is None else self._whitening(features)
        return unit(whitened) if self.card.metric == "cosine" else np.ascontiguousarray(whitened, np.float32)

    def _keys(self) -> list[Key]:
        return list(zip(self.store.columns["root"], self.store.columns["path"], strict=True))

    def _update(self, table: ImageTable, *, prune: bool, items: Sequence[ImageItem] | None = None) -> None:
        """Bring the rows of the table into the store; vectors that are there by content are taken over."""
        held = dict(zip(self._keys(), self.store.columns["digest"], strict=True))
        row_of = dict(zip(self.store.columns["digest"], self.store.rows.tolist(), strict=True))
        new = [row for row, digest in enumerate(table.digests) if digest not in row_of]
        problems: tuple[Problem, ...] = ()
        vectors = np.zeros((len(table), self.card.dimension), np.float32)
        if new:
            vectors, table, problems = self._computed(table, new, items)
        if old := [row for row, digest in enumerate(table.digests) if digest in row_of]:
            vectors[old] = self.store.vectors([row_of[table.digests[row]] for row in old])
        keys = [(root_of(table), path) for path in table.paths]
        gone = sorted(set(held) - set(keys), key=str) if prune else []
        changed = {
            key for key, digest in zip(keys, table.digests, strict=True) if held.get(key, digest) != digest
        }
        n_added = len(set(keys) - set(held))
        if n_added or changed or gone or self._kept_columns(keys) != filled(columns_of(table)):
            self._commit(vectors, table, gone)
        self.changes_ = Changes(
            n_added,
            len(changed),
            len(gone),
            len(held) - len(gone) - len(changed),
            len(new) - len(problems),
            problems,
        )

    def _computed(
        self, table: ImageTable, new: list[int], items: Sequence[ImageItem] | None
    ) -> tuple[np.ndarray, ImageTable, tuple[Problem, ...]]:
        """Vectors of the new rows in their places, in the table less what cannot be read."""
        chosen = [items[row] if items is not None else table.item(row) for row in new]
        found = self._extractor.extract(
            chosen, [table.digests[row] for row in new], [table.paths[row] for row in new]
        )
        good = readable(found, at_least=0 if len(new) < len(table) else 1)
        features = self._extractor.joined(found)
        if not np.isfinite(features[good]).all():
            bad = [table.paths[new[row]] for row in good if not np.isfinite(features[row]).all()]
            raise DataError(
                f"the features of {len(bad)} images are not finite ({', '.join(bad[:3])}); nothing was changed"
            )
        if self.card.whiten and self._whitening is None:
            self._whitening = fit_whitening(features[good], self.card.whiten)
        made = self._vectors(features)
        self.card = self.card.sized(made.shape[1])
        vectors = np.zeros((len(table), made.shape[1]), np.float32)
        vectors[new] = made
        bad_rows = {new[row] for row in range(len(new)) if not found.ok[row]}
        kept = [row for row in range(len(table)) if row not in bad_rows]
        return vectors[kept], table.select(kept), found.problems

    def _kept_columns(self, keys: Sequence[Key]) -> dict[str, Cells] | None:
        """The store's columns at these keys; None where one is not there."""
        at = {key: row for row, key in enumerate(self._keys())}
        if any(key not in at for key in keys):
            return None
        rows = [at[key] for key in keys]
        taken = {name: tuple(column[row] for row in rows) for name, column in self.store.columns.items()}
        return filled(taken)

    def _commit(self, vectors: np.ndarray, table: ImageTable, gone: Sequence[Any]) -> None:
        white = self._whitening
        extra = None if white is None else {"mean": white.mean, "matrix": white.matrix}
        self.store.change(Records(columns_of(table), vectors), gone, self.card.to_dict(), extra)
