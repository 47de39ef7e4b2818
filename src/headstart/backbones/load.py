"""A name to a network with its weights: packaged, timm, Hugging Face hub, a local file, a module.

Foreign files are read as tensors only: safetensors, or `torch.load(weights_only=True)`. Every shape is
checked, every value must be finite; what does not fit is refused with what was expected.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.backbones.card import BackboneCard, Preprocessing
from headstart.backbones.catalog import PACKAGED, packaged_card
from headstart.backbones.classic import CLASSIC, is_classic
from headstart.backbones.classic_weights import load_classic
from headstart.backbones.hub import Absent, pretrained
from headstart.backbones.input_size import Given
from headstart.backbones.layers import Layer, aliases, resolve, trace
from headstart.base.errors import BackboneError, UnknownName
from headstart.base.files import written_aside
from headstart.base.hashing import digest_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Backbone:
    """A loaded network, its card and its layers as traced at the card's input size.

    `original` is the network at the size of its weights, where this one is at another.
    """

    card: BackboneCard
    module: nn.Module
    layers: dict[str, Layer]
    original: Backbone | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        return self  # a value: nothing changes its weights, so scikit-learn's clones share it

    def resolve(self, layer: str) -> str:
        """Module name of an alias or module name."""
        return resolve(layer, self.card.layers, self.layers)

    def at(self, size: Given | None) -> Backbone:
        """The same network for another input size.

        A network of convolutions runs as it is; one with positions gets them resampled, in a copy, from those
        of its weights (this one is not changed).

        Parameters
        ----------
        size : int, "HEIGHTxWIDTH" or (height, width), optional
            Pixels; None for the size as it is.

        Raises
        ------
        BadOptions
            No size, or outside 16 .. 2048 pixels.
        BackboneError
            The network cannot take such images: the message says where they run out and which sizes work.
        """
        from headstart.backbones.sizes import at_size

        shape = self.card.preprocessing.at(size)
        first = self.original or self
        if shape == self.card.preprocessing:
            return self
        if shape == first.card.preprocessing:
            return first
        return at_size(first, shape)


def card(name: str | Backbone) -> BackboneCard:
    """The card of a backbone; packaged weights need no torch for it.

    Examples
    --------
    >>> card("lite0").preprocessing.mean
    (0.5, 0.5, 0.5)
    """
    if isinstance(name, Backbone):
        return name.card
    if name in PACKAGED:
        return packaged_card(name)
    return load(name).card


@lru_cache(maxsize=2)
def _load_named(name: str) -> Backbone:
    if name in PACKAGED:
        return _load_packaged(name)
    if is_classic(name):
        return load_classic(name)
    kind, _, rest = name.partition(":")
    if kind == "timm" and "@" in rest:
        return _load_file(name, *rest.split("@", 1))
    if kind in ("timm", "hf-hub", "local-dir") and rest:
        return _load_timm(name)
    raise unknown_backbone(name)


def unknown_backbone(name: str) -> BackboneError | UnknownName:
    """What to say of a name that is no backbone: the nearest ones."""
    if name.endswith((".safetensors", ".pth", ".pt", ".bin")):
        return BackboneError(f"{name}: say which architecture the file is for: timm:ARCHITECTURE@{name}")
    import timm

    known = [*PACKAGED, *CLASSIC, *(f"timm:{each}" for each in timm.list_models())]
    if f"timm:{name}" in known:
        return UnknownName("backbone", name, [f"timm:{name}"], "(timm's architectures are written timm:NAME)")
    return UnknownName("backbone", name, known)


def load(name: str | Backbone) -> Backbone:
    """Load a network with its weights, in evaluation mode, on the CPU.

    Parameters
    ----------
    name : str or Backbone
        See `headstart.backbones.catalog`; a `Backbone` (from `from_module`) is returned as it is.

    Raises
    ------
    UnknownName, BackboneError, MissingPackage
    """
    return name if isinstance(name, Backbone) else _load_named(name)


def from_module(module: nn.Module, preprocessing: Preprocessing, name: str = "module") -> Backbone:
    """A backbone from a network of your own (images as float (n, 3, height, width), normalised)."""
    module.eval()
    state = module.state_dict()
    made = BackboneCard(
        name=name,
        architecture=type(module).__name__,
        weights="given in Python",
        weights_digest=digest_state(state),
        preprocessing=preprocessing,
        n_parameters=sum(part.numel() for part in module.parameters()),
        weights_bytes=sum(part.numel() * part.element_size() for part in state.values()),
        classes=0,
    )
    return with_layers(made, module)


def with_layers(made: BackboneCard, module: nn.Module, *, filled: bool = False) -> Backbone:
    """A backbone from a card and a network: its layers traced, their aliases found.

    Parameters
    ----------
    made : BackboneCard
    module : nn.Module
    filled : bool
        Whether its weights came by `fill`, which has looked at their values already.

    Raises
    ------
    BackboneError
        A weight is not finite, or the network cannot be traced.
    """
    if odd := [] if filled else not_finite(module.state_dict()):
        more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        raise BackboneError(f"{made.name}: {odd[0]} holds values that are not finite{more}")
    module.eval()
    traced = trace(module, made.preprocessing.height, made.preprocessing.width)
    named = aliases(module, traced)
    return Backbone(replace(made, layers=named), module, traced)


def not_finite(state: dict[str, Tensor]) -> list[str]:
    """Names of the weights that hold values that are not finite."""
    return [
        name for name, each in state.items() if each.is_floating_point() and not bool(each.isfinite().all())
    ]


def digest_state(state: dict[str, Tensor]) -> str:
    """Content hash of weights: names, types, shapes and values."""
    parts = []
    for name, tensor in state.items():
        flat = tensor.detach().cpu().contiguous()
        parts.append(f"{name} {flat.dtype} {tuple(flat.shape)}".encode())
        parts.append(flat.reshape(-1).view(_bytes_type()).numpy().tobytes() if flat.numel() else b"")
    return digest_bytes(*parts)


def _bytes_type() -> Any:
    import torch

    return torch.uint8


def _load_packaged(name: str) -> Backbone:
    import timm
    import torch

    item = PACKAGED[name]
    state = torch.load(item.path(), weights_only=True, map_location="cpu")
    module = timm.create_model(item.architecture)
    expected = module.state_dict()
    if len(state) != len(expected):
        raise BackboneError(
            f"{name}: {len(state)} tensors in {item.path().name}, the architecture has {len(expected)}"
        )
    by_position = dict(zip(expected, state.values(), strict=True))
    fill(module, by_position, name)
    return with_layers(packaged_card(name), module, filled=True)


def fill(module: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load weights after checking each name, shape and value; report all mistakes at once."""
    expected = module.state_dict()
    wrong = [
        f"{key} is missing"
        for key in expected
        if key not in state and not key.endswith("num_batches_tracked")
    ]
    wrong += [f"{key} is not part of the network" for key in state if key not in expected]
    wrong += [
        f"{key} has shape {tuple(tensor.shape)}, expected {tuple(expected[key].shape)}"
        for key, tensor in state.items()
        if key in expected and tensor.shape != expected[key].shape
    ]
    wrong += [f"{key} holds values that are not finite" for key in not_finite(state)]
    if wrong:
        more = f" (and {len(wrong) - 4} more)" if len(wrong) > 4 else ""
        raise BackboneError(f"{name}: the weights do not fit the architecture: {'; '.join(wrong[:4])}{more}")
    module.load_state_dict(state, strict=False)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or PyTorch file, without running any code of it."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = Path(path)
    if not file.is_file():
        raise BackboneError(f"{file}: no such weights file")
    try:
        found = (
            load_file(file)
            if file.suffix == ".safetensors"
            else torch.load(file, weights_only=True, map_location="cpu")
        )
    except (
        pickle.UnpicklingError, RuntimeError, EOFError, SafetensorError, OSError, ValueError, LookupError,
    ) as error:  # fmt: skip
        said = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise BackboneError(
            f"{file}: not a weights file that is safe to read ({said}); save it as .safetensors"
        ) from error
    for key in ("state_dict", "model", "state_dict_ema"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if (
        not isinstance(found, dict)
        or not found
        or not all(isinstance(each, torch.Tensor) for each in found.values())
    ):
        raise BackboneError(f"{file}: expected a dictionary of tensors")
    return {key.removeprefix("module."): tensor for key, tensor in found.items()}


def _load_file(name: str, architecture: str, file: str) -> Backbone:
    import timm

    if not timm.is_model(architecture.split(".")[0]):
        raise UnknownName("timm architecture", architecture, timm.list_models())
    state = read_weights(Path(file).expanduser())
    module = timm.create_model(architecture)
    head = f"{(module.pretrained_cfg or {}).get('classifier')}.weight"
    if head in state and state[head].shape[0] != module.num_classes:
        module = timm.create_model(architecture, num_classes=state[head].shape[0])
    elif head not in state and head in module.state_dict():
        module = timm.create_model(architecture, num_classes=0)
    fill(module, state, name)
    return with_layers(_timm_card(name, module, f"local file {Path(file).name}"), module, filled=True)


def _load_timm(name: str) -> Backbone:
    import timm

    wanted = name.removeprefix("timm:")
    if name.startswith("timm:") and not timm.is_model(wanted.split(".")[0]):
        raise UnknownName("timm architecture", wanted, timm.list_models())
    try:
        module, weights = pretrained(name, wanted)
    except BackboneError:
        raise
    except (Absent, OSError, RuntimeError, ValueError, KeyError) as error:
        said = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise BackboneError(
            f"{name}: the weights are not on this machine and could not be fetched{offline}: {said}; go online once, "
            f"or give a file: timm:{wanted.split('.')[0]}@FILE, or use a packaged backbone: {', '.join(PACKAGED)}"
        ) from error
    return with_layers(_timm_card(name, module, weights), module)


def _timm_card(name: str, module: nn.Module, weights: str) -> BackboneCard:
    import timm.data

    given: Any = module.pretrained_cfg
    config: dict[str, Any] = dict(given or {})
    shape = timm.data.resolve_model_data_config(module)
    papers = config.get("paper_ids") or config.get("paper_name") or ""
    state = module.state_dict()
    return BackboneCard(
        name=name,
        architecture=str(config.get("architecture") or type(module).__name__),
        weights=weights,
        weights_digest=digest_state(state),
        preprocessing=Preprocessing(
            height=shape["input_size"][1],
            width=shape["input_size"][2],
            mean=tuple(shape["mean"]),
            std=tuple(shape["std"]),
            interpolation=shape["interpolation"] if shape["interpolation"] != "random" else "bicubic",
            crop=float(shape["crop_pct"]),
            crop_mode=shape["crop_mode"],
        ),
        licence=str(config.get("license") or ""),
        paper=", ".join(papers) if isinstance(papers, tuple | list) else str(papers),
        trained_on=str(config.get("tag") or ""),
        n_parameters=sum(part.numel() for part in module.parameters()),
        weights_bytes=sum(part.numel() * part.element_size() for part in state.values()),
        classes=int(getattr(module, "num_classes", 0) or 0),
    )


def write_weights(backbone: Backbone, path: Path) -> None:
    """Write a network's weights as safetensors, whole or not at all; positions as they were before resampling."""
    from safetensors.torch import save_file

    module = (backbone.original or backbone).module
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
    with written_aside(path) as aside:
        save_file(
            state,
            str(aside),
            metadata={"architecture": backbone.card.architecture, "name": backbone.card.name},
        )
