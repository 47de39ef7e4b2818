"""Frames of videos as images: so many a second, near-identical ones dropped, the video as the group.

A frame is near-identical to an earlier one where no part of the picture differs: both are shrunk to 64 x 64 grey
levels, and the mean difference of the most different of 8 x 8 blocks decides, so that a small thing that appears
on a still background counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import DataError
from headstart.base.events import Progress, emit, warn
from headstart.base.optional import require
from headstart.images.collect import Row, build_table, clean, looks_like_image, subfolders, walk
from headstart.images.decode import MAX_PIXELS
from headstart.images.file_names import safe_name
from headstart.images.scan_folder import is_split_layout, split_names
from headstart.images.table import ImageTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXTENSIONS = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ogv", ".ts", ".mts", ".3gp"}
)
SIDE, BLOCK = 64, 8
LOOK_BACK = 500
QUALITY = 95


@dataclass(frozen=True)
class Video:
    """A video file, the class of all its frames and their split (None where it has none)."""

    path: Path
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Frames:
    """What one video gave: frames looked at, kept, and dropped as near-identical; `whole` unless it broke off."""

    video: str
    seconds: float
    n_looked: int
    n_kept: int
    whole: bool


def videos_in(source: str | Path) -> list[Video]:
    """The video that `source` is, or those below it; class folders and splits are found as those of images are.

    Empty where there are none.

    Raises
    ------
    DataError
        A folder of videos and images, or with two folders for one split.
    """
    place = Path(source).expanduser().absolute()
    if place.is_file():
        return [Video(place)] if place.suffix.lower() in EXTENSIONS else []
    if not place.is_dir():
        return []
    paths = list(walk(place, relative_to=place))
    found = [path for path in paths if Path(path).suffix.lower() in EXTENSIONS]
    if found and (image := next((path for path in paths if looks_like_image(place / path)), None)):
        raise DataError(
            f"{clean(str(place))} holds videos and images ({clean(found[0])}, {clean(image)}), which cannot be joined in "
            "one go; part them, build the frames first, then join them"
        )
    folders = subfolders(place)
    splits = split_names(place, folders) if found and is_split_layout(folders) else {}
    made = []
    for path in found:
        above = path.split("/")[:-1]
        split = splits[above.pop(0)] if above and splits else None
        made.append(Video(place / path, clean(above[0]) if above else None, split))
    return made


def frames_table(
    videos: Sequence[Video], folder: Path, *, rate: float = 1.0, near: float = 6.0, name: str = "frames"
) -> tuple[ImageTable, list[Frames]]:
    """Write frames as JPEG into a folder, and the table of them; each video is a group.

    Parameters
    ----------
    videos : sequence of Video
    folder : Path
        Exists and is empty.
    rate : float
        Frames a second that are looked at, above 0.
    near : float
        Grey levels (0 to 255) that the most different block must differ by; 0 keeps every frame.
    name : str

    Raises
    ------
    MissingPackage
    DataError
        A file that is no video, or whose first frame cannot be read.
    """
    rows: list[Row] = []
    told: list[Frames] = []
    labelled = any(video.label is not None for video in videos)
    for number, video in enumerate(videos):
        emit(Progress("videos", number, len(videos)))
        place = folder / f"{number:03d}"
        place.mkdir()
        names, frames = _frames(video.path, place, rate, near)
        told.append(frames)
        labels = (video.label,) if labelled else ()
        rows += [
            Row(f"{place.name}/{each}", labels, f"{number:03d} {clean(video.path.name)}", video.split)
            for each in names
        ]
    targets = ("label",) if labelled else ()
    return build_table(folder, rows, (), name=name, targets=targets, on_bad="fail"), told


def _frames(path: Path, folder: Path, rate: float, near: float) -> tuple[list[str], Frames]:
    from PIL import Image

    av: Any = require("av", extra="video", purpose="to read a video")
    kept = np.zeros((0, SIDE, SIDE), np.float32)
    names: list[str] = []
    n_looked, last, whole = 0, 0.0, True
    try:
        for seconds, pixels in _looked_at(av, path, rate):
            n_looked, last = n_looked + 1, seconds
            small = _small(pixels)
            if near and len(kept) and float(_difference(small, kept).min()) < near:
                continue
            kept = np.concatenate([kept, small[None]])[-LOOK_BACK:]
            names.append(f"{safe_name(path.stem) or 'video'}-{round(seconds * 1000):09d}.jpg")
            Image.fromarray(pixels).save(folder / names[-1], "JPEG", quality=QUALITY, subsampling=0)
    except DataError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
        if not names:
            raise DataError(f"{clean(str(path))}: no video that can be read ({reason})") from error
        warn(f"{clean(path.name)}: breaks off after {last:.1f} s ({reason}); the frames before are kept")
        whole = False
    if not names:
        raise DataError(f"{clean(str(path))}: a video without a frame")
    return names, Frames(clean(path.name), last, n_looked, len(names), whole)


def _looked_at(av: Any, path: Path, rate: float) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Time and upright pixels of the frames to look at. The file alone is read: no playlist leads elsewhere."""
    with path.open("rb") as file, av.open(file, "r", options={"protocol_whitelist": ""}) as opened:
        if not opened.streams.video:
            raise DataError(f"{clean(str(path))}: no video that can be read (no stream of pictures)")
        stream = opened.streams.video[0]
        stream.thread_type = "AUTO"
        fps = float(stream.average_rate or 25)
        start, due = None, 0.0
        for number, frame in enumerate(opened.decode(stream)):
            if frame.width * frame.height > MAX_PIXELS:
                raise DataError(f"{clean(str(path))}: frames of more than {MAX_PIXELS:,} pixels")
            at = number / fps if frame.time is None else float(frame.time)
            start = at if start is None else start
            if at - start + 1e-6 < due:
                continue
            due = max(due + 1 / rate, at - start)
            turns = round(int(getattr(frame, "rotation", 0) or 0) / 90) % 4
            pixels = np.rot90(frame.to_ndarray(format="rgb24"), turns)
            yield at - start, np.ascontiguousarray(pixels)


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    from PIL import Image

    grey = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


def _difference(small: NDArray[np.float32], kept: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each kept frame: the largest of the blocks' mean absolute differences, grey levels."""
    n = SIDE // BLOCK
    blocks = np.abs(kept - small).reshape(len(kept), n, BLOCK, n, BLOCK).mean(axis=(2, 4))
    found: NDArray[np.float32] = blocks.reshape(len(kept), -1).max(axis=1)
    return found
