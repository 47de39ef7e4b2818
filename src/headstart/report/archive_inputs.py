"""What a study was given, as its archive holds it: ground-truth files, and a spec that names places inside.

Every dataset has a folder `images/NAME`; its ground-truth files lie in it, and its images belong into it. Search
spaces and policies of augmentation lie in `inputs/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.backbones.catalog import local_weights
from headstart.base.errors import DataError
from headstart.base.files import plain_name
from headstart.images.benchmark import benchmark_files
from headstart.images.collect import looks_like_image, walk
from headstart.images.hub_parquet import holds_images
from headstart.images.scan_coco import coco_files
from headstart.images.scan_metadata import LINES, metadata_files
from headstart.images.scan_parquet import PARQUET, image_parquet
from headstart.images.table import ImageTable
from headstart.images.table_file import TABLE_EXTENSIONS
from headstart.report.without_paths import short_backbones, without_paths
from headstart.study.records import StudyRecord
from headstart.study.spec_folders import shifted_folders

IMAGES, INPUTS = "images", "inputs"
POLICY = ".toml"


@dataclass(frozen=True)
class Inputs:
    """What goes in beside results and report.

    Attributes
    ----------
    spec : dict
        As study.toml holds it.
    files : dict of str to bytes
        By the name in the archive.
    packed : frozenset of str
        Datasets whose images lie in `files`, as the files that they came in.
    left_out : tuple of str
        What the spec names and the archive does not hold, and why.
    """

    spec: dict[str, Any]
    files: dict[str, bytes]
    packed: frozenset[str]
    left_out: tuple[str, ...]


def inputs_of(record: StudyRecord, *, pictures: bool) -> Inputs:
    """Ground truth, second test folders, search spaces and policies, and the spec that names them.

    Parameters
    ----------
    record : StudyRecord
        With the paths of the machine.
    pictures : bool
        Whether files that hold images go in, too.
    """
    return _Packing(record, pictures).packed()


def image_folders(record: StudyRecord) -> dict[str, str]:
    """The folder of each dataset in the archive, by its name."""
    taken: set[str] = set()
    return {name: _free(name, taken, f"dataset-{at}") for at, name in enumerate(record.tables)}


def _free(name: str, taken: set[str], other: str) -> str:
    plain = plain_name(name, ascii_only=True) or other
    while plain.casefold() in taken:
        plain = f"{plain}-{len(taken)}"
    taken.add(plain.casefold())
    return f"{IMAGES}/{plain}"


class _Packing:
    """Gathers the files of one archive."""

    def __init__(self, record: StudyRecord, pictures: bool) -> None:
        self.record, self.pictures = record, pictures
        self.spec = dict(without_paths(record).spec)
        self.folders = image_folders(record)
        self.files: dict[str, bytes] = {}
        self.named: dict[Path, str] = {}
        self.done: set[str] = set()
        self.left_out: list[str] = []
        home = str(Path.home())
        roots = [table.root for table in record.tables.values() if len(Path(table.root).parts) > 1]
        self.private = [text.encode() for text in (*roots, *([home] if len(Path(home).parts) > 1 else []))]

    def packed(self) -> Inputs:
        self._data()
        self._shifted()
        for name in ("tune_space", "augment"):
            self._named_files(name)
        for name in short_backbones(self.record).values():
            before, place = local_weights(name) or ("", "")
            of = f" of {before[:-1]}" if before.endswith("@") else ""
            self.left_out.append(f"the weights {place}{of}: put them beside study.toml, under that name")
        return Inputs(self.spec, self.files, frozenset(self.done), tuple(self.left_out))

    def _data(self) -> None:
        given, tables = list(self.record.spec.get("data") or ()), list(self.record.tables.items())
        if len(given) != len(tables):  # it stopped before all were scanned
            return
        named, moved = list(self.spec["data"]), False
        for at, (text, (name, table)) in enumerate(zip(given, tables, strict=True)):
            if (source := _found(str(text), table)) is None:
                continue
            place, moved = self.folders[name], True
            named[at] = f"{place}/{_file_name(source)}" if source.is_file() else place
            self._truth(source, place)
            if holders := _holders(source):
                self._holders(holders, source, name, place)
        self.spec["data"] = named
        if moved:
            self.spec["image_root"] = ""  # ground truth and images lie in one folder now

    def _truth(self, source: Path, place: str) -> None:
        for path in _truth_files(source):
            inside = path.relative_to(source).as_posix() if source.is_dir() else _file_name(path)
            self._put(path, f"{place}/{inside}", "the ground truth")

    def _holders(self, holders: tuple[Path, ...], source: Path, name: str, place: str) -> None:
        if not self.pictures:
            return
        self.done.add(name)
        for path in holders:
            inside = path.relative_to(source).as_posix() if source.is_dir() else _file_name(path)
            self.files[f"{place}/{inside}"] = path.read_bytes()

    def _shifted(self) -> None:
        given = [str(each) for each in self.record.spec.get("shifted") or ()]
        data = [str(each) for each in self.record.spec.get("data") or ()]
        if not given:
            return
        named, taken = [], {folder.partition("/")[2].casefold() for folder in self.folders.values()}
        for at, text in sorted(shifted_folders(data, given).items()):
            folder = Path(text).expanduser()
            place = _free(folder.stem if folder.is_file() else folder.name, taken, f"shifted-{at}")
            if folder.is_file():
                self._put(folder, f"{place}/{_file_name(folder)}", "the ground truth")
                place += f"/{_file_name(folder)}"
            elif folder.is_dir():
                self._second_folder(folder, place)
            else:
                self.left_out.append(f"{folder.name}: the second test folder is no longer there")
            named.append(place if len(data) == 1 else f"{self.spec['data'][at]}={place}")
        self.spec["shifted"] = named

    def _second_folder(self, folder: Path, place: str) -> None:
        self._truth(folder, place)
        held = set(_holders(folder))
        for inside in walk(folder, relative_to=folder) if self.pictures else ():
            path = folder / inside
            if path not in held and not looks_like_image(path):
                continue
            try:
                content = path.read_bytes() if inside.isprintable() and not set(inside) & set("\\:") else None
            except OSError:
                content = None
            if content is None:
                self.left_out.append(f"{path.name}: an image that cannot be read or packed under its name")
            else:
                self.files[f"{place}/{inside}"] = content

    def _named_files(self, option: str) -> None:
        """Files that an option names: a search space, policies of augmentation."""
        given = self.record.spec.get(option) or ()
        texts = [given] if isinstance(given, str) else list(given)
        named = list(texts)
        for at, text in enumerate(texts):
            path = Path(str(text)).expanduser()
            if path.suffix == POLICY and path.is_file():
                named[at] = self._input(path)
                self._put(path, named[at], option)
        if named != texts:
            self.spec[option] = named[0] if isinstance(given, str) else named

    def _input(self, path: Path) -> str:
        """The name of a file of its own: two folders may hold files of one name."""
        name = f"{INPUTS}/{_file_name(path)}"
        if name in self.named.values():
            name = f"{INPUTS}/{len(self.named)}-{_file_name(path)}"
        return self.named.setdefault(path, name)

    def _put(self, path: Path, name: str, what: str) -> None:
        content = path.read_bytes()
        if any(text in content for text in self.private):
            self.left_out.append(
                f"{path.name}: {what} names folders of this machine; write its paths relative to it"
            )
            return
        self.files[name] = content


def _found(text: str, table: ImageTable) -> Path | None:
    """Where a source of the study lies; None for a packaged set, one of the hub, or one that is gone."""
    root, named = Path(table.root), Path(text).expanduser()
    beside = root if root.name == named.name else root / named.name
    for path in (beside, named):  # what is named may be another where the archive is made elsewhere
        if path.exists() and table.root and (path.is_file() or path.is_dir()):
            return path.absolute()
    return None


def _file_name(path: Path) -> str:
    stem = plain_name(path.stem, ascii_only=True) or "table"
    return f"{stem}{path.suffix}"


def _holders(source: Path) -> tuple[Path, ...]:
    """Files of a source that hold images in them."""
    if source.is_file() and source.suffix.lower() == PARQUET:
        return (source,) if holds_images(source) else ()
    if source.is_dir() and (held := image_parquet(source)):
        return tuple(held)
    found = benchmark_files(source)
    return found.files if found is not None else ()


def _truth_files(source: Path) -> Iterator[Path]:
    """Files of a source that say what its images are, and hold none."""
    holders = set(_holders(source))
    if source.is_file():
        if source not in holders and source.suffix.lower() in (*TABLE_EXTENSIONS, LINES, ".json"):
            yield source
        return
    tables = [path for path in source.iterdir() if path.suffix.lower() in TABLE_EXTENSIONS and path.is_file()]
    try:
        others = [*metadata_files(source), *coco_files(source)]
    except DataError:  # the study did not read them either: it would have stopped
        others = []
    yield from (path for path in dict.fromkeys(sorted([*tables, *others])) if path not in holders)
