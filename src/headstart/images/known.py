"""Digests of files that were looked at before, so that an unchanged file is not read again.

A file is known by its path, size, inode, and the times of its last change (contents and inode, in nanoseconds).
As in git's index, a file that changed within `SETTLING_SECONDS` before it was looked at is not kept: it may
change once more under the same times. Features stay keyed by content; what is saved is only the reading.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from headstart.base.files import write_text
from headstart.base.hashing import digest_bytes
from headstart.base.runtime import cache_folder

VERSION = 1
SETTLING_SECONDS = 2.0
MOST_FILES = 200_000  # beyond it the list itself would take long to read

Signature = list[int]


class KnownFiles:
    """What is known of the files below one folder.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._folder = str(self.root)
        self._said = os.fsencode(self.root).hex()
        name = digest_bytes(self._said.encode())
        self._place = cache_folder() / "scans" / f"{name}.json"
        self._before = _read(self._place, self._said)
        self._now: dict[str, list[object]] = {}
        self._latest = time.time_ns() - int(SETTLING_SECONDS * 1e9)

    def digest(self, path: str) -> str | None:
        """The digest of an unchanged file, else None."""
        entry = self._before.get(path)
        if entry is None or entry[:-1] != signature(f"{self._folder}/{path}"):
            return None
        self._now[path] = entry
        return str(entry[-1])

    def learn(self, path: str, before: Signature, digest: str) -> None:
        """Keep the digest of a file whose signature was `before` ahead of its reading."""
        if max(before[2:]) < self._latest and before == signature(self.root / path):
            self._now[path] = [*before, digest]

    def keep(self) -> None:
        """Write down what is known; where that cannot be, the next scan reads the files again."""
        if self._now == self._before or len(self._now) > MOST_FILES:
            return
        found = {"version": VERSION, "root": self._said, "files": self._now}
        try:
            write_text(self._place, json.dumps(found, separators=(",", ":")))
        except OSError:
            return


def signature(path: str | Path) -> Signature:
    """Size, inode, and when contents and inode changed last."""
    status = os.stat(path)  # noqa: PTH116 (a Path for each of many thousand files takes longer than its reading)
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def _read(place: Path, root: str) -> dict[str, list[object]]:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        if [found["version"], found["root"]] != [VERSION, root]:
            return {}
        files: dict[str, list[object]] = found["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return {path: entry for path, entry in files.items() if isinstance(entry, list) and len(entry) == 5}
