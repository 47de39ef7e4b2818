"""Files to rows: walk a folder safely, look at headers, hash contents, in threads.

Hidden files and folders and what systems leave behind (Thumbs.db, __MACOSX) are no data and are passed over.
Everything else is either an image or a `Problem` with a reason.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.base.errors import BadImage, BadOptions, DataError
from headstart.base.events import Progress, emit, warn
from headstart.base.hashing import digest_file
from headstart.base.runtime import n_threads
from headstart.images.decode import EXTENSIONS, check_header
from headstart.images.known import KnownFiles, signature
from headstart.images.table import ImageTable, Problem

SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})
SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin"})
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Row:
    """One image on its way into a table: its path under the root, labels, group and split."""

    path: str
    labels: tuple[str | None, ...] = ()
    group: str | None = None
    split: str | None = None


def clean(text: str) -> str:
    """A name as text that any file format can hold: composed Unicode, undecodable bytes written out."""
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", whole)


def walk(folder: Path, *, relative_to: Path) -> Iterator[str]:
    """Paths (forward slashes) of all files below `folder`, sorted; no folder is entered twice."""
    seen: set[tuple[int, int]] = set()
    inside = "" if folder == relative_to else f"{folder.relative_to(relative_to).as_posix()}/"

    def visit(place: Path, before: str) -> Iterator[str]:
        status = place.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(place) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            if is_system(entry.name):
                continue
            if is_folder(entry):
                yield from visit(place / entry.name, f"{before}{entry.name}/")
            else:
                yield before + entry.name

    yield from visit(folder, inside)


def is_system(name: str) -> bool:
    """Whether a name is hidden or left behind by a system."""
    return name.startswith(".") or name.casefold() in SYSTEM_FILES or name.casefold() in SYSTEM_FOLDERS


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one (a broken link is not)."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def subfolders(folder: Path) -> list[Path]:
    """Folders directly below that are not hidden, sorted by name."""
    with os.scandir(folder) as listing:
        names = sorted(entry.name for entry in listing if is_folder(entry) and not is_system(entry.name))
    return [folder / name for name in names]


def named_as_image(path: str) -> bool:
    """Whether the extension is that of an image."""
    return os.path.splitext(path)[1].lower() in EXTENSIONS  # noqa: PTH122 (a Path takes ten times as long)


def looks_like_image(path: Path) -> bool:
    """Whether the extension or the first bytes are those of an image."""
    if path.suffix.lower() in EXTENSIONS:
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        return False
    return start.startswith(MAGIC) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def each_once(rows: Iterable[Row], problems: list[Problem]) -> list[Row]:
    """Each image once; of one that is named with different labels, groups or splits no row is kept, and it is a problem."""
    first: dict[str, Row] = {}
    odd: dict[str, Row] = {}
    n_again = 0
    for row in rows:
        known = first.setdefault(row.path, row)
        if known is row:
            continue
        if known == row:
            n_again += 1
        else:
            odd.setdefault(row.path, row)
    if n_again:
        warn(f"{n_again} rows name an image again with the same label; each image is used once")
    for path, other in odd.items():
        said = first.pop(path)
        differ = (
            "labels" if said.labels != other.labels else "splits" if said.split != other.split else "groups"
        )
        problems.append(
            Problem(path, f"named twice with different {differ}: {_words(said)} and {_words(other)}")
        )
    return list(first.values())


def _words(row: Row) -> str:
    parts = [*(str(label) for label in row.labels), *(part for part in (row.split, row.group) if part)]
    return "/".join(parts)


def build_table(
    root: Path,
    rows: Sequence[Row],
    problems: Iterable[Problem],
    *,
    name: str,
    targets: Sequence[str],
    on_bad: str,
    source: str = "",
) -> ImageTable:
    """Look at every file and make the table of the good ones.

    Raises
    ------
    DataError
        `on_bad` is "fail" and there is a problem, or no image is left.
    """
    digests, bad = look_at(root, [row.path for row in rows])
    found = (*problems, *bad)
    kept = [row for row in rows if row.path in digests]
    splits = tuple(row.split or "train" for row in kept)
    table = ImageTable(
        name=clean(name),
        root=str(root),
        paths=tuple(row.path for row in kept),
        digests=tuple(digests[row.path] for row in kept),
        labels={clean(target): tuple(row.labels[at] for row in kept) for at, target in enumerate(targets)},
        groups=tuple(row.group or row.path for row in kept) if any(row.group for row in kept) else None,
        splits=splits if any(row.split for row in kept) else None,
        source=source,
    )
    return finished(replace(table, problems=tuple(found)), on_bad)


def finished(table: ImageTable, on_bad: str) -> ImageTable:
    """The table, once it is known to hold images and problems are as the caller allows."""
    if table.problems and on_bad == "fail":
        raise DataError(f"{table.name}: {told(table.problems)}; mend or remove them, or use --on-bad skip")
    if not len(table):
        why = f" ({told(table.problems)})" if table.problems else ""
        raise DataError(
            f"{table.name}: no readable image found{why}; expected class folders, train/ and test/ folders "
            "of class folders, or images with a table, metadata or COCO annotations that label them"
        )
    return table


def told(problems: Sequence[Problem], most: int = 5) -> str:
    """The first problems and the count, as one phrase."""
    first = "; ".join(f"{clean(problem.path)}: {problem.reason}" for problem in problems[:most])
    rest = f"; and {len(problems) - most} more" if len(problems) > most else ""
    return f"{len(problems)} problem{'s' if len(problems) > 1 else ''}: {first}{rest}"


def check_on_bad(on_bad: str) -> None:
    """Refuse anything but "skip" and "fail"."""
    if on_bad not in ("skip", "fail"):
        raise BadOptions([f"on_bad: {on_bad!r} is not one of skip, fail"])


def look_at(root: Path, paths: Sequence[str]) -> tuple[dict[str, str], list[Problem]]:
    """Digest of each readable file, and a problem for each other one (header checks only)."""
    known = KnownFiles(root)
    digests, new = _known_ones(known, paths)
    bad: list[Problem] = []
    look: Callable[[str], str | Problem] = lambda path: _look(known, path)  # noqa: E731
    with ThreadPoolExecutor(n_threads()) as pool:
        for done, (path, seen) in enumerate(zip(new, pool.map(look, new), strict=True), 1 + len(digests)):
            if isinstance(seen, Problem):
                bad.append(seen)
            else:
                digests[path] = seen
            if done % 500 == 0:
                emit(Progress("scan", done, len(paths)))
    emit(Progress("scan", len(paths), len(paths)))
    known.keep()
    return digests, bad


def _known_ones(known: KnownFiles, paths: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Digests of the files that are as they were, and the other paths; no thread is worth its while here."""
    digests: dict[str, str] = {}
    new: list[str] = []
    for path in paths:
        try:
            digest = known.digest(path)
        except OSError:
            digest = None  # its reason is told where it is read
        if digest is None:
            new.append(path)
        else:
            digests[path] = digest
    return digests, new


def _look(known: KnownFiles, path: str) -> str | Problem:
    try:
        place = known.root / path
        check_header(place)
        before = signature(place)
        digest = digest_file(place)
        known.learn(path, before, digest)
        return digest
    except BadImage as error:
        return Problem(path, error.reason)
    except OSError as error:
        return Problem(path, error.strerror or "cannot be read")
