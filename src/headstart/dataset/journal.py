"""Labels as they are given: a file that only grows, one JSON line a step, on disk before the step counts.

Nothing is lost when the process is killed: a line that was cut off is dropped at the next start, every whole
line is kept. Undoing is a line too, so the file tells the whole story. One writer a folder (`folder_lock`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.base.errors import DataError, UsageError
from headstart.base.files import folder_lock

FILE_NAME = "labels.jsonl"
KIND, VERSION = "headstart labels", 1
_HEADER = json.dumps({"kind": KIND, "version": VERSION}).encode()
SKIPPED = ""
"""What stands for "looked at and left without a label"; no class can be called so."""


Image = tuple[str, str]
"""Path under the folder of images, and digest of the content."""


@dataclass(frozen=True)
class Step:
    """One thing that the person did: these images got these labels.

    Attributes
    ----------
    given : tuple of ((str, str), str or None)
        Image (path, digest) with a class, `SKIPPED`, or None where its label was taken away.
    at : float
        Seconds since 1970.
    """

    given: tuple[tuple[Image, str | None], ...]
    at: float

    def to_dict(self) -> dict[str, Any]:
        """As the line that is written."""
        return {"at": round(self.at, 3), "give": [[*image, label] for image, label in self.given]}


class LabelJournal:
    """The journal of a folder of labels, open for one writer; made by `open_journal`.

    Attributes
    ----------
    path : Path
    steps : list of Step
        Those that hold, oldest first (what was undone is not among them).
    labels : dict of (str, str) to str
        Label of each image (path, digest), `SKIPPED` included.
    n_cut : int
        Bytes of a last line that was cut off and is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.steps: list[Step] = []
        self.labels: dict[Image, str] = {}
        self._former: list[dict[Image, str | None]] = []
        self.n_cut = self._replay()
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        if self.n_cut:
            os.ftruncate(self._handle, path.stat().st_size - self.n_cut)
        if not path.stat().st_size:
            self._write(json.loads(_HEADER))
            _keep_entry(path.parent)

    def give(self, labels: Mapping[Image, str | None]) -> Step:
        """Give images a label, mark them as skipped, or take the label away (None); on disk when it returns."""
        step = Step(tuple(labels.items()), time.time())
        self._write(step.to_dict())
        self._apply(step)
        return step

    def undo(self) -> Step | None:
        """Take the last step back; None where there is none. On disk when it returns."""
        if not self.steps:
            return None
        self._write({"at": round(time.time(), 3), "undo": True})
        return self._take_back()

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _write(self, line: dict[str, Any]) -> None:
        data = (json.dumps(line, ensure_ascii=True) + "\n").encode("ascii")
        size = os.fstat(self._handle).st_size
        try:
            n = os.write(self._handle, data)
            if n < len(data):
                raise OSError(f"{self.path}: the disk is full")
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, size)  # no half line before the next one
            raise

    def _apply(self, step: Step) -> None:
        self._former.append({image: self.labels.get(image) for image, _ in step.given})
        for image, label in step.given:
            _put(self.labels, image, label)
        self.steps.append(step)

    def _take_back(self) -> Step:
        for image, label in self._former.pop().items():
            _put(self.labels, image, label)
        return self.steps.pop()

    def _replay(self) -> int:
        """Read what is there; the number of bytes of a last line without its end."""
        data = self.path.read_bytes() if self.path.exists() else b""
        whole, _, cut = data.rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        if not lines and not _HEADER.startswith(cut):
            raise DataError(f"{self.path}: no label journal of Headstart; choose another folder")
        for number, line in enumerate(lines, 1):
            try:
                self._read(json.loads(line), number)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                if isinstance(error, UsageError):
                    raise
                raise DataError(
                    f"{self.path} line {number}: no line of a label journal; mend or remove that line"
                ) from error
        return len(cut)

    def _read(self, line: dict[str, Any], number: int) -> None:
        if number == 1:
            if line.get("kind") != KIND:
                raise DataError(f"{self.path}: no label journal of Headstart; choose another folder")
            if line["version"] != VERSION:
                raise DataError(
                    f"{self.path}: version {line['version']!r} of the journal, this Headstart reads {VERSION}"
                )
        elif line.get("undo") is True:
            self._take_back()
        else:
            given = tuple(((str(path), str(digest)), _label(label)) for path, digest, label in line["give"])
            self._apply(Step(given, float(line["at"])))


@contextmanager
def open_journal(folder: str | Path, *also: str | Path) -> Iterator[LabelJournal]:
    """The journal in `folder`, held for this process; `also` are more folders to hold meanwhile.

    Raises
    ------
    Busy
        Another process holds it.
    DataError
        A journal that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with open_journal(tempfile.mkdtemp()) as journal:
    ...     step = journal.give({("a.jpg", "00ff"): "cat"})
    ...     journal.labels
    {('a.jpg', '00ff'): 'cat'}
    """
    with ExitStack() as held:
        for place in (*also, folder):
            held.enter_context(folder_lock(place))
        journal = LabelJournal(Path(folder) / FILE_NAME)
        held.callback(journal.close)
        yield journal


def _label(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("a label is a text")
    return value


def _put(labels: dict[Image, str], image: Image, label: str | None) -> None:
    if label is None:
        labels.pop(image, None)
    else:
        labels[image] = label


def _keep_entry(folder: Path) -> None:
    """Make the new file's name last too (a folder can be synced on POSIX systems alone)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
