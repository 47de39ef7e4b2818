"""The store of a study: one SQLite file in the output folder, one transaction a cell, synced to the disk.

Whatever ends the process, at most the cell in flight is lost. Probabilities are float32 blobs beside the
digests of the test images; everything else is JSON. Nothing here needs torch or runs anything.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from headstart.base.errors import UsageError
from headstart.base.files import written_aside
from headstart.base.garbage import uncollected
from headstart.base.hashing import digest_bytes
from headstart.images.table import ImageTable
from headstart.study.error_map import ErrorMap
from headstart.study.records import CellResult
from headstart.study.rows import plain, result_from, result_row, table_from, table_row

if TYPE_CHECKING:
    import numpy as np

FILE = "study.sqlite"
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS cells (id TEXT PRIMARY KEY, status TEXT NOT NULL, result TEXT NOT NULL,
    finished REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tests (id TEXT PRIMARY KEY, paths BLOB NOT NULL, digests BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS probabilities (cell TEXT PRIMARY KEY, test TEXT NOT NULL, classes INTEGER NOT NULL,
    data BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tables (dataset TEXT PRIMARY KEY, digest TEXT NOT NULL, content BLOB NOT NULL,
    pixels TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS passes (id TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class StoredRun:
    """A stored cell in brief."""

    id: str
    status: str
    dataset: str
    data_digest: str
    head: str
    fit_seconds: float | None
    n_fits: int | None = None
    sharing: str | None = None
    n_train: int | None = None
    cut_short: bool = False


def _read(text: str | bytes) -> Any:
    """A JSON value in a third of the time of `json.loads`, which alone reads odd file names (half a surrogate pair)."""
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


class StudyStore:
    """The results of one output folder, open for reading and writing.

    Parameters
    ----------
    folder : path
        Holds `study.sqlite`; made where absent, unless `must_exist`.
    must_exist : bool

    Raises
    ------
    UsageError
        No study there, another kind of file, a store of a newer version, or no space left.
    """

    def __init__(self, folder: str | Path, *, must_exist: bool = False) -> None:
        self.folder = Path(folder)
        self.path = self.folder / FILE
        if must_exist and not self.path.is_file():
            raise UsageError(
                f"no study in {self.folder} (it would hold {FILE}); give a study's output folder"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._explained():
            self._base = sqlite3.connect(self.path, isolation_level=None, timeout=30)
            self._prepare()

    def __enter__(self) -> StudyStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    # writing

    def put_meta(self, **values: Any) -> None:
        """Keep JSON-like values by name."""
        rows = [(name, json.dumps(plain(value))) for name, value in values.items()]
        with self._transaction():
            self._base.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def put_result(
        self,
        result: CellResult,
        probabilities: np.ndarray | None = None,
        test: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Keep one finished or failed cell, whole or not at all.

        Parameters
        ----------
        result : CellResult
        probabilities : ndarray of shape (n_test, n_classes), optional
            Of a search one column: the average precision of each query.
        test : sequence of (path, digest)
            The test images behind the rows of `probabilities`.
        """
        text = json.dumps(result_row(result))
        with self._transaction():
            row = (result.cell.id, result.status, text, time.time())
            self._base.execute("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?)", row)
            if probabilities is not None:
                self._put_probabilities(result.cell.id, probabilities, test)

    def _put_probabilities(
        self, cell: str, probabilities: np.ndarray, test: Sequence[tuple[str, str]]
    ) -> None:
        import numpy as np

        if len(probabilities) != len(test):
            raise ValueError(f"{len(probabilities)} rows of probabilities for {len(test)} test images")
        paths = zlib.compress(json.dumps([path for path, _ in test]).encode(), 1)
        digests = b"".join(bytes.fromhex(digest) for _, digest in test)
        name = digest_bytes(paths, digests)
        self._base.execute("INSERT OR IGNORE INTO tests VALUES (?, ?, ?)", (name, paths, digests))
        data = np.ascontiguousarray(probabilities, dtype="<f4").tobytes()
        row = (cell, name, probabilities.shape[1], data)
        self._base.execute("INSERT OR REPLACE INTO probabilities VALUES (?, ?, ?, ?)", row)

    def put_table(self, table: ImageTable) -> None:
        """Keep a dataset's table under its name; pixels, where it has them, go to a file beside the store."""
        digest = table.digest()
        pixels = "" if table.pixels is None else f"pixels-{digest}.npy"
        if table.pixels is not None and not (self.folder / pixels).exists():
            import numpy as np

            with self._explained(), written_aside(self.folder / pixels) as aside, aside.open("wb") as file:
                np.save(file, table.pixels, allow_pickle=False)
        content = zlib.compress(json.dumps(table_row(table)).encode(), 1)
        with self._transaction():
            row = (table.name, digest, content, pixels)
            self._base.execute("INSERT OR REPLACE INTO tables VALUES (?, ?, ?, ?)", row)

    def put_pass(self, key: str, facts: dict[str, Any]) -> None:
        """Keep what one pass of a backbone over a dataset showed: engine, seconds, problems, warnings."""
        with self._transaction():
            self._base.execute("INSERT OR REPLACE INTO passes VALUES (?, ?)", (key, json.dumps(plain(facts))))

    def put_maps(self, cell: str, maps: Sequence[ErrorMap]) -> None:
        """Keep the maps of a cell's errors; none is kept too, so that they are not made again."""
        self.put_meta(**{f"maps {cell}": [asdict(each) for each in maps]})

    # reading

    def meta(self) -> dict[str, Any]:
        """All values kept by name, without the maps of cells."""
        query = "SELECT name, value FROM meta WHERE name NOT LIKE 'maps %'"
        return {name: _read(value) for name, value in self._rows(query)}

    def maps(self, cell: str) -> tuple[ErrorMap, ...] | None:
        """The maps of a cell's errors; None where none were made."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (f"maps {cell}",))
        return tuple(ErrorMap(**each) for each in _read(rows[0][0])) if rows else None

    def results(self, *, trained_only: bool = False) -> dict[str, CellResult]:
        """Results by cell id, failed ones too, in the order in which they finished."""
        rows = self._rows(
            "SELECT id, result FROM cells WHERE NOT ? OR json_extract(result, '$.cell.training') <> '' "
            "ORDER BY finished, rowid",
            (trained_only,),
        )
        with uncollected():  # nothing made here is garbage
            found = {name: result_from(_read(text)) for name, text in rows}
        for name, result in found.items():
            vars(result.cell)["id"] = name  # known: it need not be computed again
        return found

    def runs(self) -> list[StoredRun]:
        """What identifies each stored cell, without reading the results whole."""
        # one call, so that SQLite parses each result once
        rows = self._rows(
            "SELECT id, status, json_extract(result, '$.cell.dataset', '$.cell.data_digest', '$.cell.head', "
            "'$.seconds.fit', '$.n_fits', '$.cell.sharing', '$.n_train'), EXISTS (SELECT 1 FROM json_each(cells.result, "
            "'$.training') AS fit WHERE json_extract(fit.value, '$.cut_short')) FROM cells"
        )
        return [StoredRun(*(id, status, *_read(parts), bool(cut))) for id, status, parts, cut in rows]

    def done(self) -> set[str]:
        """Ids of the cells that are done, those that the budget ended too."""
        return {id for (id,) in self._rows("SELECT id FROM cells WHERE status = 'done'")}

    def last_finished(self) -> float:
        """When the last cell was stored, in seconds since 1970; 0 where there is none."""
        return float(self._rows("SELECT max(finished) FROM cells")[0][0] or 0.0)

    def probabilities(self, cell: str) -> tuple[np.ndarray, list[str], list[str]] | None:
        """Probabilities (n_test, n_classes) of a cell with the paths and digests of the test images."""
        import numpy as np

        rows = self._rows(
            "SELECT p.classes, p.data, t.paths, t.digests FROM probabilities p JOIN tests t ON t.id = p.test "
            "WHERE p.cell = ?",
            (cell,),
        )
        if not rows:
            return None
        classes, data, paths, digests = rows[0]
        array = np.frombuffer(data, dtype="<f4").reshape(-1, classes).astype(np.float32)
        named = [digests[at : at + 16].hex() for at in range(0, len(digests), 16)]
        return array, _read(zlib.decompress(paths)), named

    def table(self, dataset: str) -> ImageTable | None:
        """The table of a dataset; pixels are mapped from their file while that is there."""
        rows = self._rows("SELECT content, pixels FROM tables WHERE dataset = ?", (dataset,))
        if not rows:
            return None
        pixels = None
        if rows[0][1] and (file := self.folder / rows[0][1]).is_file():
            import numpy as np

            pixels = np.load(file, mmap_mode="r", allow_pickle=False)
        return table_from(_read(zlib.decompress(rows[0][0])), pixels)

    def passes(self) -> dict[str, dict[str, Any]]:
        """Every kept pass by key."""
        return {key: _read(text) for key, text in self._rows("SELECT id, content FROM passes")}

    # the file

    def _prepare(self) -> None:
        self._base.execute("PRAGMA synchronous = FULL")
        version = self._base.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise UsageError(f"{self.path} was written by a newer version of headstart; update headstart")
        if version == 0:
            if self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise UsageError(f"{self.path} is no study of headstart; choose another output folder")
            self._base.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._explained():
            return self._base.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explained():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite and the disk say into one line for a person."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path}: {error}{_advice(str(error))}") from error
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path} is no readable study ({error})") from error
        except OSError as error:
            raise StoreError(f"{self.folder}: {error.strerror or error}{_advice(str(error))}") from error


class StoreError(UsageError):
    """The study's file cannot be read or written; the run ends, what was stored stays."""


def _advice(said: str) -> str:
    if "full" in said or "No space" in said:
        return "; free some space and run the same command again: finished runs are kept"
    if "locked" in said:
        return "; another program has the file open"
    if "readonly" in said or "unable to open" in said:
        return "; check that the folder may be written to"
    return ""
