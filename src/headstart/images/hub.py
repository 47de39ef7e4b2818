"""Image data sets of the Hugging Face hub: `hf:OWNER/NAME[@REVISION][:CONFIG]`.

The repository's Parquet files are fetched (or those that the hub converted), their images written into the
cache folder under names made of their content; no path that a data set gives is ever a place to write to.
The address comes from HF_ENDPOINT, the token from HF_TOKEN, neither from anywhere else.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from headstart.base.errors import DataError
from headstart.base.events import Progress, emit, warn
from headstart.base.files import folder_written_aside, write_text
from headstart.base.runtime import cache_folder
from headstart.images.collect import SPLIT_NAMES, Row, build_table
from headstart.images.hub_parquet import Part, part_of, write_images
from headstart.images.table import ImageTable, Problem

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ADDRESS = re.compile(
    r"^(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?(?::(?P<config>[\w.+ -]+))?$"
)
MAX_DOWNLOAD_BYTES = 50 << 30
CONVERTED = "refs/convert/parquet"
FORMAT = "2"


@dataclass(frozen=True)
class Address:
    """A data set on the hub; revision "" is the newest, configuration "" the only one."""

    name: str
    revision: str = ""
    config: str = ""

    @property
    def folder_name(self) -> str:
        """A name for the cache folder, one for each address."""
        parts = (self.name, self.revision or "main", self.config or "-")
        return "--".join(re.sub(r"[^\w.-]", "_", part) for part in parts)


def load_hub(text: str) -> ImageTable:
    """The image table of a data set on the hub, fetched once and read from the cache after.

    Raises
    ------
    DataError
        A malformed address; not on the hub, or out of reach and not in the cache; no images in Parquet
        files; several configurations and none named; too large.
    """
    address = parse_address(text)
    place = cache_folder() / "datasets" / "hub" / address.folder_name
    pointer = place / "newest.json"
    try:
        commit, files = _resolve(address)
    except _Unreachable as error:
        folder = place / json.loads(pointer.read_text())["folder"] if pointer.is_file() else None
        if folder is None or not (folder / "table.json").is_file():
            raise DataError(
                f"hf:{text} cannot be reached ({error}) and is not in the cache; "
                "connect to the network once, or give a folder"
            ) from error
        warn(f"hf:{text} cannot be reached; the copy in the cache is used")
        return _read(folder, text)
    folder = place / f"{commit[:40]}-{FORMAT}"
    if not (folder / "table.json").is_file():
        _fetch(address, commit, files, folder)
    write_text(pointer, json.dumps({"folder": folder.name}))
    return _read(folder, text)


def parse_address(text: str) -> Address:
    """OWNER/NAME[@REVISION][:CONFIG] in its parts."""
    match = ADDRESS.match(text)
    if match is None or any(part in (".", "..") for part in re.split(r"[/@:]", text)):
        raise DataError(f"hf:{text}: write hf:OWNER/NAME, with @REVISION or :CONFIG behind it where needed")
    return Address(match["name"], match["revision"] or "", match["config"] or "")


class _Unreachable(Exception):
    """The hub did not answer."""


def _api() -> HfApi:
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=os.environ.get("HF_TOKEN") or False)


def _resolve(address: Address) -> tuple[str, list[tuple[str, Part]]]:
    """Commit and Parquet files (name in the repository, what it holds) of the wanted configuration."""
    from huggingface_hub import errors

    api = _api()
    try:
        commit, names = _listing(api, address.name, address.revision or None)
        if not names and not address.revision:
            commit, names = _listing(api, address.name, CONVERTED)
    except errors.GatedRepoError as error:
        raise DataError(f"hf:{address.name} asks for consent; accept its terms and set HF_TOKEN") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise DataError(
            f"hf:{address.name}: no such data set or revision on the hub (set HF_TOKEN if it is private)"
        ) from error
    except errors.HFValidationError as error:
        raise DataError(f"hf:{address.name}: {error}") from error
    except (errors.OfflineModeIsEnabled, errors.HTTPError, OSError) as error:
        raise _Unreachable(" ".join(str(error).split())[:120]) from error
    return commit, _wanted(address, names)


def _listing(api: HfApi, name: str, revision: str | None) -> tuple[str, dict[str, int]]:
    info = api.dataset_info(name, revision=revision, files_metadata=True, timeout=30)
    files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    safe = {path: size for path, size in files.items() if path.endswith(".parquet") and _is_safe(path)}
    if not re.fullmatch(r"[0-9a-f]{7,64}", info.sha or ""):
        raise DataError(f"hf:{name}: the hub gives no commit for it")
    return str(info.sha), safe


def _is_safe(path: str) -> bool:
    return not path.startswith("/") and "\\" not in path and ".." not in path.split("/")


def _wanted(address: Address, names: dict[str, int]) -> list[tuple[str, Part]]:
    if not names:
        raise DataError(f"hf:{address.name}: no Parquet files; only data sets in Parquet can be read")
    parts = [(name, part_of(name)) for name in sorted(names)]
    configs = sorted({part.config for _, part in parts})
    config = address.config or (configs[0] if len(configs) == 1 else "default")
    if config not in configs:
        what = f"no configuration {config!r}" if address.config else "several configurations"
        raise DataError(
            f"hf:{address.name}: {what}; write hf:{address.name}:CONFIG with one of {', '.join(configs)}"
        )
    chosen = [(name, part) for name, part in parts if part.config == config]
    if (size := sum(names[name] for name, _ in chosen)) > MAX_DOWNLOAD_BYTES:
        raise DataError(f"hf:{address.name}: {size >> 30} GiB, the limit is {MAX_DOWNLOAD_BYTES >> 30} GiB")
    return chosen


def _fetch(address: Address, commit: str, files: Sequence[tuple[str, Part]], folder: Path) -> None:
    """Download, write the images, describe them in `table.json`; the folder appears whole or not at all."""
    from huggingface_hub import errors

    api = _api()
    rows: list[Row] = []
    problems: list[Problem] = []
    targets: tuple[str, ...] | None = None
    seen: Counter[str] = Counter()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        folder_written_aside(folder) as aside,
        TemporaryDirectory(dir=folder.parent, prefix=".parquet.") as temporary,
    ):
        for done, (name, part) in enumerate(files):
            emit(Progress(f"download hf:{address.name}", done, len(files)))
            if part.split not in SPLIT_NAMES:
                problems.append(Problem(name, f"no split is called {part.split!r}; its images are left out"))
                continue
            try:
                local = api.hf_hub_download(
                    address.name, name, repo_type="dataset", revision=commit, cache_dir=temporary
                )
            except (errors.HTTPError, OSError) as error:
                reason = " ".join(str(error).split())[:120]
                raise DataError(
                    f"hf:{address.name}: {name} could not be fetched ({reason}); try again"
                ) from error
            found = write_images(
                Path(local), aside / "images", SPLIT_NAMES[part.split], seen, name=f"hf:{address.name}"
            )
            if targets is not None and targets != found.targets:
                raise DataError(f"hf:{address.name}: {name} has labels {found.targets}, others {targets}")
            targets = found.targets
            rows.extend(found.rows)
            problems.extend(found.problems)
            Path(local).resolve().unlink(missing_ok=True)
        described = {"targets": targets or (), "rows": [asdict(row) for row in rows]}
        described["problems"] = [asdict(problem) for problem in problems]
        described["source"] = f"Hugging Face data set {address.name}, commit {commit[:12]}."
        (aside / "table.json").write_text(json.dumps(described), encoding="utf-8")


def _read(folder: Path, text: str) -> ImageTable:
    held: dict[str, Any] = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    rows = [Row(row["path"], tuple(row["labels"]), row["group"], row["split"]) for row in held["rows"]]
    problems = [Problem(**problem) for problem in held["problems"]]
    return build_table(
        folder / "images",
        rows,
        problems,
        name=f"hf:{text}",
        targets=held["targets"],
        on_bad="skip",
        source=held["source"],
    )
