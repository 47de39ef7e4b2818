"""Files that are whole or absent: written aside, then renamed; one writer a folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headstart.base.errors import Busy


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it there when the block ends well.

    A block that raises leaves nothing behind and the old file untouched.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.chmod(0o644)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def folder_written_aside(path: str | Path) -> Iterator[Path]:
    """`written_aside` for a folder: an older folder of that name is replaced whole at the end."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
    old = aside.with_suffix(".old")
    try:
        yield aside
        aside.chmod(0o755)
        if target.exists():
            target.replace(old)
        aside.replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
    return Path(path)


@contextmanager
def folder_lock(folder: str | Path) -> Iterator[None]:
    """Hold `folder` for one writer; the lock goes with the process, however it ends.

    Raises
    ------
    Busy
        Another process holds it; the message names its process id.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    path = place / ".lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _take(handle):
            owner = ""
            with suppress(OSError, ValueError):
                owner = f" (process {json.loads(path.read_text())['pid']})"
            raise Busy(f"another run{owner} is using {place}; wait for it or choose another folder")
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid()}).encode(), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def plain_name(text: str, *, ascii_only: bool = False) -> str:
    """A text as part of the name of a file: letters, digits, `_ . -`; "" where nothing is left.

    Examples
    --------
    >>> plain_name("my photos (2)"), plain_name("..")
    ('my-photos-2', '')
    """
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII if ascii_only else 0).strip("-.")


def source_name(source: str) -> str:
    """The plain name of a source of images: the last part of its path, of `.` that of the folder itself.

    Examples
    --------
    >>> source_name("data/my photos/")
    'my-photos'
    """
    return plain_name(Path(source).name or Path(source).resolve().name)
