"""The feature cache: rows kept by content, so that nothing is ever computed twice.

One SQLite file for each (weights, preprocessing, layer, pooling, engine, precision, decoder, version); in it
one row an image digest. Rows are written in transactions, so a killed run leaves no half-written row and two
processes may share a file. The oldest files go first when the cap is reached.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.base.errors import Busy
from headstart.base.events import warn
from headstart.base.hashing import digest_json
from headstart.base.runtime import cache_folder

EXTRACTOR_VERSION = "1"
GIGABYTE = 1_000_000_000
DEFAULT_CACHE_GB = 10.0
CHUNK = 500
LOCK_SECONDS, LOCK_PAUSE = 60.0, 0.02


@dataclass(frozen=True)
class FeatureKey:
    """Everything beside the image that decides a row of features."""

    weights_digest: str
    preprocessing_digest: str
    module: str
    pooling: str
    engine: str
    precision: str
    decoder: str
    version: str = EXTRACTOR_VERSION

    @property
    def id(self) -> str:
        """Name of the cache file."""
        return digest_json(asdict(self))


@dataclass(frozen=True)
class CacheEntry:
    """One line of `headstart cache list`."""

    id: str
    backbone: str
    module: str
    pooling: str
    engine: str
    precision: str
    n_rows: int
    bytes: int
    last_used: float


class FeatureStore:
    """The cache folder of features.

    Parameters
    ----------
    folder : path, optional
        Default: `features` in the cache folder ($HEADSTART_CACHE, else the user's).
    cap_bytes : int, optional
        Files that were used longest ago are removed above it; rows that alone exceed it are not kept.
    """

    def __init__(self, folder: str | Path | None = None, cap_bytes: int | None = None) -> None:
        self.folder = Path(folder) if folder is not None else cache_folder() / "features"
        self.cap_bytes = int(DEFAULT_CACHE_GB * GIGABYTE) if cap_bytes is None else cap_bytes

    def path(self, key: FeatureKey) -> Path:
        """The file of a key."""
        return self.folder / f"{key.id}.sqlite"

    @contextmanager
    def _open(self, path: Path, meta: dict[str, object] | None = None) -> Iterator[sqlite3.Connection]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as base:
            _log_ahead(base)
            base.execute("PRAGMA synchronous=NORMAL")
            base.execute("CREATE TABLE IF NOT EXISTS meta (value TEXT)")
            base.execute("CREATE TABLE IF NOT EXISTS rows (digest TEXT PRIMARY KEY, vector BLOB NOT NULL)")
            if meta is not None and base.execute("SELECT count(*) FROM meta").fetchone()[0] == 0:
                base.execute("INSERT INTO meta VALUES (?)", (json.dumps(meta),))
            yield base

    def read(
        self, key: FeatureKey, digests: Sequence[str], out: np.ndarray | None = None
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """Rows that are kept, in the order of `digests`.

        Returns
        -------
        (rows, found) : float32 (n, d) with zeros where nothing is kept, or None if nothing at all is; bool (n,)
        """
        found = np.zeros(len(digests), bool)
        path = self.path(key)
        if not path.exists():
            return out, found
        places: dict[str, list[int]] = {}
        for row, digest in enumerate(digests):
            places.setdefault(digest, []).append(row)
        try:
            with self._open(path) as base:
                out = _read_rows(base, places, len(digests), out, found)
            path.touch()
        except sqlite3.DatabaseError as error:
            if _is_locked(error):
                raise Busy(f"the feature cache file {path} is held by another program; try again") from error
            aside = path.with_suffix(".broken")
            path.replace(aside)
            warn(
                f"the feature cache file {path.name} could not be read ({error}); "
                "it was put aside and its rows are computed anew"
            )
            found[:] = False
        return out, found

    def lacking(self, key: FeatureKey, digests: Iterable[str]) -> set[str]:
        """Digests of which no row is kept; all of them where the file cannot be read."""
        missing, path = set(digests), self.path(key)
        if not path.exists():
            return missing
        every = list(missing)
        try:
            with self._open(path) as base:
                missing.difference_update(digest for (digest,) in _kept(base, "digest", every))
        except sqlite3.DatabaseError:
            return set(every)
        return missing

    def write(self, key: FeatureKey, digests: Sequence[str], rows: np.ndarray, backbone: str = "") -> None:
        """Keep rows (float32, (n, d)); a row that is there already stays as it is."""
        meta: dict[str, object] = {**asdict(key), "backbone": backbone}
        with self._open(self.path(key), meta) as base:
            base.execute("BEGIN IMMEDIATE")
            values = (
                (digest, row.tobytes())
                for digest, row in zip(digests, np.ascontiguousarray(rows, np.float32), strict=True)
            )
            base.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?)", values)
            base.execute("COMMIT")

    def room_for(self, n_bytes: int) -> bool:
        """Whether that many bytes may be kept at all."""
        return n_bytes <= self.cap_bytes

    def total_bytes(self) -> int:
        """Size of the cache on disk."""
        return (
            sum(path.stat().st_size for path in self.folder.glob("*.sqlite*")) if self.folder.exists() else 0
        )

    def trim(self, keep: Sequence[FeatureKey] = ()) -> int:
        """Remove the files used longest ago until the cap holds; `keep` are in use. Returns how many went."""
        kept = {key.id for key in keep}
        files = (
            sorted(self.folder.glob("*.sqlite"), key=lambda path: path.stat().st_mtime)
            if self.folder.exists()
            else []
        )
        total, gone = self.total_bytes(), 0
        for path in files:
            if total <= self.cap_bytes:
                break
            if path.stem in kept:
                continue
            total -= self._remove(path)
            gone += 1
        return gone

    def _remove(self, path: Path) -> int:
        freed = 0
        for each in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            if each.exists():
                freed += each.stat().st_size
                each.unlink(missing_ok=True)
        return freed

    def entries(self) -> list[CacheEntry]:
        """What is kept, most recently used first."""
        found = []
        for path in (
            sorted(self.folder.glob("*.sqlite"), key=lambda each: -each.stat().st_mtime)
            if self.folder.exists()
            else ()
        ):
            with self._open(path) as base:
                row = base.execute("SELECT value FROM meta").fetchone()
                meta = json.loads(row[0]) if row else {}
                n = base.execute("SELECT count(*) FROM rows").fetchone()[0]
            names = {
                name: str(meta.get(name, ""))
                for name in ("backbone", "module", "pooling", "engine", "precision")
            }
            found.append(
                CacheEntry(
                    path.stem, **names, n_rows=n, bytes=path.stat().st_size, last_used=path.stat().st_mtime
                )
            )
        return found

    def clear(self, older_than_days: float = 0.0) -> int:
        """Remove what was last used at least that many days ago; returns the bytes freed."""
        if not self.folder.exists():
            return 0
        limit = time.time() - older_than_days * 86400
        return sum(
            self._remove(path) for path in self.folder.glob("*.sqlite") if path.stat().st_mtime <= limit
        )


def _log_ahead(base: sqlite3.Connection) -> None:
    """Switch to write-ahead logging: SQLite waits for no lock there, so that another process may be first."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            base.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_locked(error) or time.monotonic() > until:
                raise
            time.sleep(LOCK_PAUSE)


def _is_locked(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _read_rows(
    base: sqlite3.Connection, places: dict[str, list[int]], n: int, out: np.ndarray | None, found: np.ndarray
) -> np.ndarray | None:
    for digest, blob in _kept(base, "digest, vector", list(places)):
        vector = np.frombuffer(blob, np.float32)
        if out is None:
            out = np.zeros((n, len(vector)), np.float32)
        if len(vector) != out.shape[1]:
            raise sqlite3.DatabaseError(f"a row of {len(vector)} values among rows of {out.shape[1]}")
        out[places[digest]] = vector
        found[places[digest]] = True
    return out


def _kept(base: sqlite3.Connection, columns: str, digests: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Columns of the rows that are kept, of digests as many as one statement may name at a time."""
    for start in range(0, len(digests), CHUNK):
        part = digests[start : start + CHUNK]
        marks = ",".join("?" * len(part))
        yield from base.execute(f"SELECT {columns} FROM rows WHERE digest IN ({marks})", part)  # noqa: S608
