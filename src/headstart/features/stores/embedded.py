"""The embedded store: a folder of plain files, swapped whole by renaming one card.

`card.json` names the files of its generation with their sizes and digests; a change writes new files beside the
old ones and renames the card last, so a crash at any moment leaves the old index. One writer (`folder_lock`).
Nothing in it can run code: .npy without pickles, Parquet, safetensors, and faiss's file by its digest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from headstart.base.errors import DataError
from headstart.base.events import Notice, emit
from headstart.base.files import folder_lock, write_text, written_aside
from headstart.base.hashing import digest_file
from headstart.features.neighbours.exact import nearest
from headstart.features.stores.contract import (
    BASE,
    EXACT_ROWS,
    Cells,
    Key,
    Neighbours,
    Records,
    check_queries,
    check_records,
    padded,
)
from headstart.features.stores.where import Where, holds

CARD = "card.json"
OWN = re.compile(r"(vectors|rows|approximate|arrays)-\d{6,}\.(npy|parquet|faiss|safetensors)")
MOST_CARD_BYTES = 1 << 20
MEMORY_GB = 4.0
BLOCK = 16_384


class EmbeddedStore:
    """The vectors of an index in a folder.

    Parameters
    ----------
    folder : path
        May not exist yet; `len` is 0 then.
    exact_rows : int
        Above it, faiss searches approximately.
    memory_gb : float
        Gigabytes that an approximate index may take; decides its kind.

    Raises
    ------
    DataError
        The folder holds something else, or an index that is incomplete.
    """

    def __init__(
        self, folder: str | Path, *, exact_rows: int = EXACT_ROWS, memory_gb: float = MEMORY_GB
    ) -> None:
        self.folder = Path(folder)
        self.exact_rows, self.memory_gb = exact_rows, memory_gb
        self.reload()

    def reload(self) -> None:
        """Read the folder anew, where another process has changed it."""
        self._whole = _read_card(self.folder)
        self._matrix = np.zeros((0, 0), np.float32)
        self._columns: dict[str, Cells] = dict.fromkeys(BASE, ())
        self._approximate: Any = None
        if self._whole:
            self._matrix = self._read_vectors()
            self._columns = self._read_columns()

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.folder)

    @property
    def card(self) -> dict[str, Any]:
        """What the index says of itself; {} where there is none yet."""
        return dict(self._whole.get("index", {}))

    @property
    def approximate(self) -> dict[str, Any] | None:
        """Kind, recall and k of the approximate index; None where search is exact."""
        found = self._whole.get("approximate")
        return dict(found) if found else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._columns)

    @property
    def rows(self) -> np.ndarray:
        """Every row: 0 .. n - 1."""
        return np.arange(len(self))

    @property
    def columns(self) -> dict[str, Cells]:
        """Every column, in the order of rows."""
        return self._columns

    def __len__(self) -> int:
        return len(self._matrix)

    def cells(self, rows: Sequence[int] | np.ndarray) -> dict[str, Cells]:
        """Every column at these rows."""
        return {name: tuple(column[int(row)] for row in rows) for name, column in self._columns.items()}

    def vectors(self, rows: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Vectors of these rows (None: of all, read from the disk as they are used)."""
        return self._matrix if rows is None else self._matrix[np.asarray(rows, np.int64)]

    def search(self, queries: np.ndarray, k: int, where: Where | None = None) -> Neighbours:
        """The k nearest rows in which `where` holds."""
        metric = str(self.card["metric"])
        check_queries(queries, self._matrix.shape[1])
        rows = None if where is None else np.flatnonzero(holds(where, self._columns))
        n = len(self) if rows is None else len(rows)
        if self.approximate is None or n <= self.exact_rows:
            found, scores = nearest(queries, self._matrix, k, metric, rows)
        else:
            from headstart.features.neighbours.approximate import nearest_approximate

            found, scores = nearest_approximate(self._faiss(), queries, self._matrix, k, metric, rows)
        return padded(found, scores if metric == "cosine" else -scores, k)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer; a folder that was made for nothing is taken away again."""
        fresh = not self.folder.exists()
        if not fresh:
            _read_card(self.folder)
        try:
            with folder_lock(self.folder):
                self.reload()
                yield
        finally:
            if fresh and not any(path.name != ".lock" for path in self.folder.glob("*")):
                (self.folder / ".lock").unlink(missing_ok=True)
                self.folder.rmdir()

    def arrays(self) -> dict[str, np.ndarray]:
        """The extra arrays of the last change."""
        if "arrays" not in self._whole.get("files", {}):
            return {}
        from safetensors.numpy import load_file

        try:
            return dict(load_file(self._file("arrays")))
        except Exception as error:
            raise DataError(f"{self.folder}: its whitening cannot be read ({error}); index again") from error

    def change(
        self,
        put: Records,
        gone: Sequence[Key],
        card: dict[str, Any],
        extra: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Add or replace images, remove others and keep the card: all of it, or nothing.

        Raises
        ------
        DataError
            A vector is not finite, or of another length.
        """
        check_records(put, len(self), self._matrix.shape[1])
        out = {*gone, *put.keys()}
        keys = zip(self._columns["root"], self._columns["path"], strict=True)
        kept = np.fromiter((row for row, key in enumerate(keys) if key not in out), np.int64)
        number = int(self._whole.get("generation", 0)) + 1
        columns = _joined(self._columns, kept, put.columns)
        files = {
            "vectors": self._write_vectors(number, kept, put.vectors),
            "rows": self._write_rows(number, columns),
        }
        if extra:
            files["arrays"] = self._write_arrays(number, extra)
        whole: dict[str, Any] = {
            "generation": number, "n": len(kept) + len(put), "index": card, "files": files, "approximate": None,
        }  # fmt: skip
        if whole["n"] > self.exact_rows:
            whole["approximate"] = self._write_approximate(number, files, str(card["metric"]))
        write_text(self.folder / CARD, json.dumps(whole, indent=1, ensure_ascii=True))
        self.reload()
        self._sweep()

    def _write_vectors(self, number: int, kept: np.ndarray, new: np.ndarray) -> dict[str, Any]:
        shape = (len(kept) + len(new), new.shape[1] if len(new) else self._matrix.shape[1])
        with written_aside(self.folder / f"vectors-{number:06d}.npy") as aside, aside.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for at in range(0, len(kept), BLOCK):
                file.write(np.ascontiguousarray(self._matrix[kept[at : at + BLOCK]], "<f4").tobytes())
            file.write(np.ascontiguousarray(new, "<f4").tobytes())
        return self._named(f"vectors-{number:06d}.npy")

    def _write_rows(self, number: int, columns: dict[str, Cells]) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        encoded = {
            name: pa.array([_bytes(cell) for cell in cells], pa.binary()) for name, cells in columns.items()
        }
        with written_aside(self.folder / f"rows-{number:06d}.parquet") as aside, aside.open("wb") as file:
            pq.write_table(pa.table(encoded), file, compression="zstd")
        return self._named(f"rows-{number:06d}.parquet")

    def _write_arrays(self, number: int, extra: dict[str, np.ndarray]) -> dict[str, Any]:
        from safetensors.numpy import save

        with written_aside(self.folder / f"arrays-{number:06d}.safetensors") as aside:
            aside.write_bytes(save({name: np.ascontiguousarray(array) for name, array in extra.items()}))
        return self._named(f"arrays-{number:06d}.safetensors")

    def _write_approximate(self, number: int, files: dict[str, Any], metric: str) -> dict[str, Any]:
        from headstart.features.neighbours import approximate

        vectors = np.load(self.folder / files["vectors"]["name"], mmap_mode="r", allow_pickle=False)
        kind = approximate.choose_kind(len(vectors), vectors.shape[1], self.memory_gb * 1e9)
        emit(Notice(f"building an approximate index ({kind}) over {len(vectors):,} vectors"))
        made = approximate.build_approximate(vectors, metric, kind)
        with written_aside(self.folder / f"approximate-{number:06d}.faiss") as aside:
            approximate.write_approximate(made, aside)
        files["approximate"] = self._named(f"approximate-{number:06d}.faiss")
        k = min(approximate.RECALL_AT, len(vectors))
        return {"kind": kind, "k": k, "recall": approximate.measure_recall(made, vectors, metric, k=k)}

    def _named(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        return {"name": name, "bytes": path.stat().st_size, "digest": digest_file(path)}

    def _sweep(self) -> None:
        """Remove the files of earlier generations."""
        named = {file["name"] for file in self._whole["files"].values()}
        for path in self.folder.iterdir():
            if OWN.fullmatch(path.name) and path.name not in named:
                path.unlink(missing_ok=True)

    def _file(self, kind: str) -> Path:
        """A file of the card, of the size that the card tells."""
        try:
            told = self._whole["files"][kind]
            name, size = str(told["name"]), int(told["bytes"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self.folder / CARD}: damaged ({kind} is missing); index again") from error
        path = self.folder / name
        if not OWN.fullmatch(name) or not name.startswith(f"{kind}-") or not path.is_file():
            raise DataError(f"{self.folder}: {name!r} is missing; index again")
        if path.stat().st_size != size:
            raise DataError(
                f"{path}: {path.stat().st_size:,} bytes, expected {size:,} (cut short?); index again"
            )
        return path

    def _read_vectors(self) -> np.ndarray:
        path = self._file("vectors")
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"{path}: not a readable array; index again") from error
        if found.dtype != np.float32 or found.ndim != 2 or len(found) != self._whole.get("n"):
            raise DataError(
                f"{path}: {found.dtype} of shape {found.shape}, not what the card tells; index again"
            )
        matrix: np.ndarray = found
        return matrix

    def _read_columns(self) -> dict[str, Cells]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._file("rows")
        try:
            table = pq.read_table(path)
            columns = {
                name: tuple(_text(cell) for cell in table[name].to_pylist()) for name in table.column_names
            }
        except (pa.ArrowException, OSError, AttributeError) as error:
            raise DataError(f"{path}: not a readable Parquet file; index again") from error
        if table.num_rows != len(self) or not set(BASE) <= set(columns):
            raise DataError(f"{path}: not what the card tells; index again")
        return columns

    def _faiss(self) -> Any:
        if self._approximate is None:
            from headstart.features.neighbours.approximate import read_approximate

            n, d = self._matrix.shape
            digest = str(self._whole["files"]["approximate"]["digest"])
            self._approximate = read_approximate(self._file("approximate"), n=n, d=d, digest=digest)
        return self._approximate


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / CARD
    if not path.is_file():
        if folder.exists() and (
            not folder.is_dir()
            or any(each.name[:1] != "." and not OWN.fullmatch(each.name) for each in folder.iterdir())
        ):
            raise DataError(f"{folder}: there, and no index (it has no {CARD}); choose another name")
        return {}
    try:
        if path.stat().st_size > MOST_CARD_BYTES:
            raise ValueError
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict) or not {"index", "files", "n"} <= set(found):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not the card of an index") from error
    return found


def _joined(old: dict[str, Cells], kept: np.ndarray, new: dict[str, Cells]) -> dict[str, Cells]:
    n_new = len(new["path"])
    names = list(dict.fromkeys([*old, *new]))
    return {
        name: (
            *((old[name][row] for row in kept) if name in old else (None,) * len(kept)),
            *(new.get(name) or (None,) * n_new),
        )
        for name in names
    }


def _bytes(cell: str | None) -> bytes | None:
    return None if cell is None else cell.encode("utf-8", "surrogateescape")


def _text(cell: bytes | None) -> str | None:
    return None if cell is None else cell.decode("utf-8", "surrogateescape")
