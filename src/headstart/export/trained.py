"""A trained network on its way into a bundle and back: weights as safetensors, one ONNX graph, its check.

For the exporter a trained network is a backbone like any other: images in, and a last layer that gives
probabilities (temperature and softmax inside).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.card import Preprocessing
from headstart.backbones.load import Backbone, fill, from_module, read_weights
from headstart.backbones.load import load as load_backbone
from headstart.backbones.rebuild import bare_network
from headstart.base.errors import BundleError
from headstart.export.bundle import Bundle
from headstart.export.weld import (
    BOUND,
    N_CHECK,
    PROBABILITIES,
    facts_of,
    largest_difference,
    note,
    sample_pixels,
)
from headstart.features.engines.export import export_onnx
from headstart.features.taps import Place
from headstart.methods.calibrate import softmax
from headstart.methods.network import LinearHead, TransferNet, Whole, normaliser

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.methods.joint_network import JointNet

BODY, HEAD, KEPT_HEAD = "body.net.", "head.", "transfer_head."
CHECK_BATCH = 8


class Classifier(nn.Module):
    """Normalised images (n, 3, height, width) to probabilities (n, k)."""

    def __init__(self, net: TransferNet, temperature: float) -> None:
        super().__init__()
        self.net, self.temperature = net, temperature
        self.probabilities = nn.Softmax(dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Softmax of the scores over the temperature."""
        out: Tensor = self.probabilities(self.net(images) / self.temperature)
        return out


# ---- out -----------------------------------------------------------------------------------------------------


def write_network(net: TransferNet, path: Path) -> None:
    """All weights as safetensors: the backbone's under their own names, the head's under `transfer_head.`."""
    from safetensors.torch import save_file

    state = {
        _kept_name(name): each.detach().cpu().contiguous().clone() for name, each in net.state_dict().items()
    }
    save_file(state, str(path), metadata={"unit_length": str(net.head.unit_length).lower()})


def _kept_name(name: str) -> str:
    return name.removeprefix(BODY) if name.startswith(BODY) else KEPT_HEAD + name.removeprefix(HEAD)


def _own_name(name: str) -> str:
    return HEAD + name.removeprefix(KEPT_HEAD) if name.startswith(KEPT_HEAD) else BODY + name


def write_graph(classifier: FineTuneClassifier, target: str, path: Path) -> dict[str, Any]:
    """The graph from pixels to probabilities, checked against torch.

    Returns
    -------
    dict
        What the card keeps of the check: how many images, the largest difference of a probability, and torch's
        probabilities of the drawn images (`sample_pixels`), by which a later export is checked without torch.

    Raises
    ------
    EngineError
        The network cannot be exported, or the graph differs from torch by more than 1e-4.
    """
    import onnx

    how = classifier.card_.preprocessing
    net = copy.deepcopy(classifier.network_).to(memory_format=torch.contiguous_format)
    whole = from_module(Classifier(net, classifier.temperature_), how, classifier.card_.name)
    export_onnx(whole, [Place(PROBABILITIES, "flat")], path)
    model = onnx.load(str(path), load_external_data=False)
    rename_output(model, PROBABILITIES)
    note(model, facts_of([str(each) for each in classifier.classes_], target, how))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    drawn = sample_pixels(N_CHECK, how.height, how.width)
    pixels = np.concatenate([drawn, classifier.samples_])
    expected = torch_probabilities(classifier.network_, classifier.temperature_, pixels, how)
    difference = largest_difference(path, pixels, expected)
    return {
        "largest_difference": difference, "bound": BOUND, "n_real": len(classifier.samples_), "n_drawn": N_CHECK,
        "drawn_probabilities": [[float(f"{value:.7g}") for value in row] for row in expected[:N_CHECK]],
    }  # fmt: skip


def rename_output(model: Any, name: str) -> None:
    """Give the only output another name, wherever it is spoken of."""
    graph = model.graph
    before = graph.output[0].name
    for node in graph.node:
        node.output[:] = [name if each == before else each for each in node.output]
        node.input[:] = [name if each == before else each for each in node.input]
    graph.output[0].name = name


def torch_probabilities(
    net: TransferNet, temperature: float, pixels: np.ndarray, how: Preprocessing
) -> np.ndarray:
    """What torch makes of uint8 pixels (n, height, width, 3): float32 (n, k)."""
    normalise = normaliser(how.mean, how.std)
    with torch.inference_mode():
        parts = [
            net(normalise(torch.from_numpy(pixels[at : at + CHECK_BATCH]))).numpy()
            for at in range(0, len(pixels), CHECK_BATCH)
        ]
    return softmax(np.concatenate(parts) / np.float32(temperature))


# ---- and back ------------------------------------------------------------------------------------------------


def load_network(
    bundle: Bundle | str | Path, backbone: str | Backbone | None = None
) -> TransferNet | JointNet:
    """The trained network of a bundle as a torch module: normalised images (n, 3, height, width) to class scores.

    Parameters
    ----------
    bundle : Bundle or path
        Of the scenario finetune, full or scratch.
    backbone : str or Backbone, optional
        A network of the same architecture, where timm has none of that name (a module of your own).

    Returns
    -------
    TransferNet or JointNet
        In evaluation mode; every parameter may be trained further. Divide its scores by
        `bundle.card["temperature"]` before the softmax to have the bundle's probabilities. With several outputs the
        logits of all come side by side (see `bundle.outputs`, each with its temperature).

    Raises
    ------
    BundleError
        The bundle's network was not trained.
    BackboneError
        A tensor is missing, of another shape, or not finite; the architecture is not known.
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle(bundle)
    if not opened.trained:
        raise BundleError(
            f"{opened.folder}: the scenario is {opened.scenario}, so its network is {opened.backbone.name} "
            "unchanged; only trained networks are loaded from a model"
        )
    path = opened.folder / "backbone.safetensors"
    given = None if backbone is None else load_backbone(backbone)
    if opened.several:
        from headstart.export.joint import load_joint_network

        return load_joint_network(opened, given)
    state = {_own_name(name): tensor for name, tensor in read_weights(path).items()}
    weight = state.get("head.linear.weight")
    n_classes, width = tuple(weight.shape) if weight is not None and weight.ndim == 2 else (0, 0)
    if n_classes != len(opened.classes):
        raise BundleError(f"{path}: holds no head for {len(opened.classes)} classes")
    head = LinearHead(width, n_classes, bool(opened.card["unit_length"]))
    mirror = opened.card.get("options", {}).get("test_views") == "mirror"
    net = TransferNet(Whole(bare_network(opened.backbone, given)), head, mirror)
    fill(net, state, str(path))
    return net.eval()
