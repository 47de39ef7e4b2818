"""Published weights of the classic networks, under the layer names of `classic_networks`.

timm and torchvision name the same layers otherwise; a table for each network says which is which. Weights come
through timm's hub or torchvision's own download (checked against the hash in the file's name, read as tensors
only), or from a local file under any of the three sets of names.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from headstart.backbones.card import BackboneCard
from headstart.backbones.catalog import PACKAGED
from headstart.backbones.classic import CLASSIC, PREFIX, RANDOM, Classic
from headstart.backbones.hub import PROXIES, Absent, pretrained
from headstart.base.errors import BackboneError

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.backbones.card import Preprocessing
    from headstart.backbones.classic_layers import Chart
    from headstart.backbones.load import Backbone


def load_classic(name: str) -> Backbone:
    """A classic network with published weights, or with those of a file (`vgg16@FILE`).

    LeNet-5, for which none are published, comes with random ones (the same each time); its card says so.

    Raises
    ------
    BackboneError
        The weights are not there, or do not fit.
    """
    from headstart.backbones.load import read_weights

    plain, _, file = name.partition("@")
    known = CLASSIC[plain]
    if file:
        state = read_weights(Path(file).expanduser())
        return _made(name, known, under_our_names(plain, state), f"local file {Path(file).name}")
    if not known.source:
        return _made(name, known, _random(plain), RANDOM)
    kind, _, rest = known.source.partition(":")
    try:
        state, where = _from_timm(name, rest) if kind == "timm" else _from_torchvision(rest)
    except BackboneError:
        raise
    except (Absent, OSError, RuntimeError, ValueError, KeyError) as error:
        raise _absent(name, error) from error
    return _made(name, known, under_our_names(plain, state), where)


def _made(name: str, known: Classic, state: dict[str, Tensor], weights: str) -> Backbone:
    from headstart.backbones.classic_networks import build_classic
    from headstart.backbones.load import digest_state, fill, with_layers

    own = f"{_classifier(known.name)}.weight"
    top = own in state
    net = build_classic(known.name, len(state[own]) if top else 0, top, pooled=True)
    fill(net, state, name)
    tensors = net.state_dict()
    published = bool(known.source) and not weights.startswith("local")
    card = BackboneCard(
        name=name,
        architecture=f"{PREFIX}{known.name}",
        weights=weights,
        weights_digest=digest_state(tensors),
        preprocessing=known.preprocessing,
        licence=known.licence if published else "",
        paper=known.paper,
        trained_on=known.trained_on if published else "",
        n_parameters=sum(part.numel() for part in net.parameters()),
        weights_bytes=sum(part.numel() * part.element_size() for part in tensors.values()),
        classes=net.num_classes,
    )
    return with_layers(card, net, filled=True)


def classic_at(backbone: Backbone, preprocessing: Preprocessing) -> Backbone:
    """A classic network for another image size; without its top where that has weights for one size only.

    Raises
    ------
    BackboneError
        Images of this size run out in the network.
    """
    from headstart.backbones.classic_layers import Flatten
    from headstart.backbones.classic_networks import build_classic
    from headstart.backbones.layers import trace
    from headstart.backbones.load import with_layers

    card = replace(backbone.card, preprocessing=preprocessing)
    if not any(isinstance(part, Flatten) for part in backbone.module.modules()):
        return replace(
            backbone, card=card, layers=trace(backbone.module, preprocessing.height, preprocessing.width)
        )
    net = build_classic(card.architecture, top=False, pooled=True)
    for name, part in backbone.module.named_children():
        if hasattr(net, name):
            net.set_submodule(name, part)  # the same weights, not a copy
    sized = replace(card, classes=0, n_parameters=sum(part.numel() for part in net.parameters()))
    return with_layers(sized, net)


def _classifier(plain: str) -> str:
    return {"alexnet": "fc8", "lenet5": "output"}.get(plain, "predictions")


def _random(plain: str) -> dict[str, Tensor]:
    import torch

    from headstart.backbones.classic_networks import build_classic

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state: dict[str, Tensor] = build_classic(plain, CLASSIC[plain].classes).state_dict()
    return state


def _from_timm(name: str, published: str) -> tuple[dict[str, Tensor], str]:
    module, where = pretrained(name, published)
    return module.state_dict(), where


def _from_torchvision(published: str) -> tuple[dict[str, Tensor], str]:
    import torch
    import torchvision

    weights: Any = getattr(torchvision.models, published).IMAGENET1K_V1
    kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(weights.url).path).name
    if not kept.is_file():
        _reach(urlsplit(weights.url).hostname or "")
    state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True, map_location="cpu")
    return state, f"torchvision ({published}, {kept.name})"


def _reach(host: str, seconds: float = 3.0) -> None:
    """Nothing, or OSError where downloads are switched off or the host does not answer."""
    import socket

    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        raise OSError("downloads are switched off")
    if not any(os.environ.get(each) for each in PROXIES):
        socket.create_connection((host, 443), timeout=seconds).close()


def _absent(name: str, error: Exception) -> BackboneError:
    said = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
    return BackboneError(
        f"{name}: the weights are not on this machine and could not be fetched{offline}: {said}; go online once, "
        f"or give a file: {name}@FILE, or use a packaged backbone: {', '.join(PACKAGED)}"
    )


def under_our_names(plain: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of torchvision or timm under the layer names of a classic network; others keep their names.

    timm keeps VGG's first dense layers as convolutions over all positions: the same numbers, flattened.
    """
    names = foreign_names(plain)
    found = {}
    for key, tensor in state.items():
        module, _, part = key.rpartition(".")
        if plain == "inception_v1" and key.startswith(("aux1.", "aux2.")):
            continue  # the side classifiers of training
        ours = names.get(module)
        dense = ours is not None and ours.startswith("fc") and tensor.ndim == 4
        found[f"{ours}.{part}" if ours else key] = tensor.flatten(1) if dense else tensor
    return found


def foreign_names(plain: str) -> dict[str, str]:
    """Module names of torchvision and of timm to the layer names of a classic network."""
    return {"inception_v1": _inception, "resnet50": _resnet}.get(plain, lambda: _stacked(plain))()


def _stacked(plain: str) -> dict[str, str]:
    """VGG and AlexNet: a list of layers, in which the activations count too; then a list of dense ones."""
    net = _chart(plain)
    names, at = {}, 0
    for layer in net.sources:
        if layer == "flatten":
            break
        has_weights = next(net.get_submodule(layer).parameters(), None) is not None
        if has_weights:
            names[f"features.{at}"] = layer
        at += 2 if has_weights else 1
    if plain == "alexnet":
        return {**names, "classifier.1": "fc6", "classifier.4": "fc7", "classifier.6": "fc8"}
    dense = {"classifier.0": "fc1", "classifier.3": "fc2", "classifier.6": "predictions"}
    timm_dense = {"pre_logits.fc1": "fc1", "pre_logits.fc2": "fc2", "head.fc": "predictions"}
    return {**names, **dense, **timm_dense} if plain.startswith("vgg") else {}


def _chart(plain: str) -> Chart:
    import torch

    from headstart.backbones.classic_networks import build_classic

    with torch.device("meta"):
        return build_classic(plain)


def _resnet() -> dict[str, str]:
    names = {"conv1": "conv1_conv", "bn1": "conv1_bn", "fc": "predictions"}
    for stage, depth in enumerate((3, 4, 6, 3), 1):
        for block in range(depth):
            theirs, ours = f"layer{stage}.{block}", f"conv{stage + 1}_block{block + 1}"
            for number in (1, 2, 3):
                names[f"{theirs}.conv{number}"] = f"{ours}_{number}_conv"
                names[f"{theirs}.bn{number}"] = f"{ours}_{number}_bn"
            names[f"{theirs}.downsample.0"] = f"{ours}_0_conv"
            names[f"{theirs}.downsample.1"] = f"{ours}_0_bn"
    return names


def _inception() -> dict[str, str]:
    from headstart.backbones.classic_networks import INCEPTION

    units = {"conv1": "conv1_7x7_s2", "conv2": "conv2_3x3_reduce", "conv3": "conv2_3x3"}
    branches = {
        "branch1": "1x1", "branch2.0": "3x3_reduce", "branch2.1": "3x3",
        "branch3.0": "5x5_reduce", "branch3.1": "5x5", "branch4.1": "pool_proj",
    }  # fmt: skip
    units |= {
        f"inception{part}.{theirs}": f"inception_{part}_{ours}"
        for part in INCEPTION
        for theirs, ours in branches.items()
    }
    names = {f"{theirs}.conv": ours for theirs, ours in units.items()}
    names |= {f"{theirs}.bn": f"{ours}_bn" for theirs, ours in units.items()}
    return {**names, "fc": "predictions"}
