"""Weights of timm repositories on the Hugging Face hub: fetched by the hub's own client, checked here.

The client caches, resumes and works offline, but of a file's content it compares the size alone. So the file's
SHA-256 is compared with the one that the hub gives (the ETag of large files, which the cache names them by), each
time it is loaded; what differs is taken out of the cache and refused. Pickle files are never fetched: opening one
can run code. The address comes from HF_ENDPOINT.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from headstart.base.errors import BackboneError
from headstart.base.events import warn

if TYPE_CHECKING:
    from torch import nn

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PICKLED = (".bin", ".pth", ".pt", ".ckpt", ".pkl", ".pickle", ".tar")
SHA256 = re.compile(r"[0-9a-f]{64}")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")


class Absent(Exception):
    """The hub does not answer, or refuses, and the cache does not hold the file."""


@dataclass(frozen=True)
class Fetched:
    """Files of a repository as they lie in the hub's cache.

    Attributes
    ----------
    folder : Path
        Of one commit; holds `config.json` where it was asked for.
    weights : Path
    commit : str
    sha256 : str
        Of the weights, as the hub gives it and as they have it; "" where the hub gives none.
    """

    folder: Path
    weights: Path
    commit: str
    sha256: str

    def describe(self, repository: str) -> str:
        """Where the weights come from, for the card."""
        checked = "SHA-256 checked" if self.sha256 else "not checked: the hub gives no SHA-256"
        return f"Hugging Face hub ({repository}, commit {self.commit[:12]}, {checked})"


def pretrained(name: str, wanted: str) -> tuple[nn.Module, str]:
    """A network of timm with its weights, and where these come from; files of the hub are checked.

    Parameters
    ----------
    name : str
        What the backbone is called in messages.
    wanted : str
        `hf-hub:OWNER/NAME[@REVISION]`, one of timm's names, or what else `timm.create_model` takes.

    Raises
    ------
    BackboneError, Absent
        See `fetch`.
    """
    import timm
    from timm.models import get_pretrained_cfg, is_model

    if wanted.startswith("hf-hub:"):
        repository, _, revision = wanted.removeprefix("hf-hub:").partition("@")
        found = fetch(name, repository, revision or None)
        architecture = f"local-dir:{found.folder}"
    elif is_model(wanted.split(".")[0]) and (known := get_pretrained_cfg(wanted)) and known.hf_hub_id:
        repository, _, revision = known.hf_hub_id.partition("@")
        file = known.hf_hub_filename or WEIGHTS
        safe = f"{file.rpartition('.')[0].replace('pytorch_model', 'model')}.safetensors"
        found, architecture = fetch(name, repository, revision or None, config=False, files=(safe,)), wanted
    else:
        with client():
            return timm.create_model(wanted, pretrained=True), f"timm ({wanted})"
    overlay = {"source": "", "custom_load": False, "file": str(found.weights)}
    made: nn.Module = timm.create_model(architecture, pretrained=True, pretrained_cfg_overlay=overlay)
    return made, found.describe(repository)


def fetch(
    name: str,
    repository: str,
    revision: str | None = None,
    *,
    config: bool = True,
    files: Sequence[str] = (WEIGHTS,),
) -> Fetched:
    """The weights of a repository, from the cache where it holds them.

    Parameters
    ----------
    name : str
        What the backbone is called in messages.
    repository : str
        OWNER/NAME.
    revision : str, optional
        Branch, tag or commit; default the newest.
    config : bool
        Whether `config.json` is wanted too.
    files : sequence of str
        Names that the weights may have, the first that is there is taken; safetensors alone.

    Raises
    ------
    BackboneError
        No such repository, no safetensors in it, or a file that is not the one the hub names.
    Absent
        Out of reach and not in the cache.
    """
    from huggingface_hub import errors

    with client():
        try:
            folder = _download(repository, CONFIG, revision).parent if config else None
            weights = _first(name, repository, files, revision)
        except errors.GatedRepoError as error:
            raise BackboneError(
                f"{name} asks for consent; accept its terms on the hub and set HF_TOKEN"
            ) from error
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
            raise BackboneError(
                f"{name}: no such repository or revision on the hub (set HF_TOKEN if it is private)"
            ) from error
        except errors.HFValidationError as error:
            raise BackboneError(f"{name}: {_line(error)}; write hf-hub:OWNER/NAME[@REVISION]") from error
        except errors.LocalEntryNotFoundError as error:
            raise Absent(_line(error)) from error
        except errors.EntryNotFoundError as error:
            raise BackboneError(f"{name}: the repository has no {CONFIG}, so it is none of timm's") from error
        except (errors.HTTPError, errors.OfflineModeIsEnabled, OSError) as error:
            raise Absent(_line(error)) from error
        sha256 = _checked(name, weights, _promised(repository, weights, revision))
    return Fetched(folder or weights.parent, weights, weights.parent.name, sha256)


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _download(repository: str, file: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, file, revision=revision, endpoint=_endpoint()))


def _first(name: str, repository: str, files: Sequence[str], revision: str | None) -> Path:
    """The first of these files that the repository has."""
    from huggingface_hub import errors

    for file in files:
        try:
            return _download(repository, file, revision)
        except errors.LocalEntryNotFoundError:
            raise
        except errors.EntryNotFoundError:
            continue
    raise BackboneError(f"{name}: {_what_else(repository, revision)}")


def _what_else(repository: str, revision: str | None) -> str:
    """Why a repository without safetensors is refused."""
    from huggingface_hub import HfApi, errors

    try:
        info = HfApi(endpoint=_endpoint()).model_info(repository, revision=revision, timeout=30)
        names = [each.rfilename for each in info.siblings or ()]
    except (errors.HTTPError, OSError):
        names = []
    pickled = [each for each in names if each.endswith(PICKLED)]
    if pickled:
        return (
            f"the repository holds its weights as pickle alone ({', '.join(pickled[:3])}), which can run code when "
            "opened; ask its owner for safetensors, or give a file that you trust: timm:ARCHITECTURE@FILE"
        )
    return f"the repository has no {WEIGHTS}"


def _promised(repository: str, path: Path, revision: str | None) -> str:
    """The SHA-256 that the hub gave for a file: the name that the cache keeps it by; "" where it gave none."""
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

    if path.is_symlink():
        given = path.readlink().name
    else:  # a file system without links: the name is lost, the hub is asked again
        try:
            url = hf_hub_url(repository, path.name, revision=revision, endpoint=_endpoint())
            given = get_hf_file_metadata(url).etag or ""
        except (errors.HTTPError, errors.OfflineModeIsEnabled, OSError):
            given = ""
    return given if SHA256.fullmatch(given) else ""


def _checked(name: str, path: Path, promised: str) -> str:
    """`promised`, once the file has been found to have it.

    Raises
    ------
    BackboneError
        The file has another SHA-256; it is removed from the cache.
    """
    if not promised:
        warn(f"{name}: the hub gives no SHA-256 of {path.name}, so that its content could not be checked")
        return ""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != promised:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise BackboneError(
            f"{name}: {path.name} has the SHA-256 {found[:12]}..., the hub says {promised[:12]}...; "
            "it was removed from the cache; try again, and do not use it if this happens again"
        )
    return promised


@contextmanager
def client() -> Iterator[None]:
    """The hub's client, quiet, over plain HTTP (resumable), from its cache alone where the hub does not answer."""
    from huggingface_hub import constants
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    settings: Any = constants
    before, quiet = settings.HF_HUB_DISABLE_XET, are_progress_bars_disabled()
    settings.HF_HUB_DISABLE_XET = True
    disable_progress_bars()
    try:
        with hub_if_reachable():
            yield
    finally:
        settings.HF_HUB_DISABLE_XET = before
        if not quiet:
            enable_progress_bars()


@contextmanager
def hub_if_reachable(seconds: float = 3.0) -> Iterator[None]:
    """Let the hub's client work from its own cache alone where the hub does not answer (instead of minutes of retries)."""
    from huggingface_hub import constants

    place = urlsplit(_endpoint() or constants.ENDPOINT)
    port = place.port or (443 if place.scheme == "https" else 80)
    before = constants.HF_HUB_OFFLINE
    try:
        if not before and not any(os.environ.get(name) for name in PROXIES):
            socket.create_connection((place.hostname or "", port), timeout=seconds).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
