"""A network with several outputs on its way into a bundle and back: one graph, its check, and the module again."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.load import Backbone, fill, from_module, read_weights
from headstart.backbones.rebuild import bare_network
from headstart.base.errors import BundleError
from headstart.export.outputs import scales_of, side_by_side
from headstart.export.trained import CHECK_BATCH, rename_output
from headstart.export.weld import BOUND, N_CHECK, PROBABILITIES, largest_difference, note, sample_pixels
from headstart.features.engines.export import export_onnx
from headstart.features.taps import Place
from headstart.methods.joint_network import JointHead, JointNet
from headstart.methods.multi_output import split_logits
from headstart.methods.network import TransferNet, Whole, normaliser
from headstart.methods.output import Output

if TYPE_CHECKING:
    from headstart.backbones.card import Preprocessing
    from headstart.export.bundle import Bundle
    from headstart.methods.multi_output import MultiOutputTransfer
    from headstart.methods.output_heads import OutputModel

TRUNK = "towers.{}.body.net."


class Answers(nn.Module):
    """Logits of all outputs side by side to their answers: probabilities, or the value of a number."""

    def __init__(self, outputs: Sequence[Output], temperatures: Sequence[float]) -> None:
        super().__init__()
        self.outputs, self.temperatures = tuple(outputs), tuple(temperatures)
        self.widths = [output.width for output in outputs]

    def forward(self, logits: Tensor) -> Tensor:
        """Float32 (n, columns)."""
        parts = torch.split(logits, self.widths, dim=1)
        found = zip(self.outputs, self.temperatures, parts, strict=True)
        return torch.cat([_answer(output, part, t) for output, t, part in found], dim=1)


def _answer(output: Output, logits: Tensor, temperature: float) -> Tensor:
    if output.kind == "number":
        return logits * output.scale + output.centre
    if output.kind == "classes":
        return torch.softmax(logits / temperature, dim=1)
    each = torch.sigmoid(logits / temperature)
    if output.kind == "labels":
        return each
    between = [each[:, :-1] - each[:, 1:]] if each.shape[1] > 1 else []
    return torch.cat(
        [1 - each[:, :1], *between, each[:, -1:]], dim=1
    )  # nothing that would fix the batch in a graph


class JointClassifier(nn.Module):
    """Normalised images (n, 3, height, width) to the answers of all outputs."""

    def __init__(self, net: JointNet, models: Sequence[OutputModel]) -> None:
        super().__init__()
        self.net = net
        self.probabilities = Answers([each.output for each in models], [each.temperature for each in models])

    def forward(self, images: Tensor) -> Tensor:
        """Float32 (n, columns)."""
        out: Tensor = self.probabilities(self.net(images))
        return out


def write_joint_graph(classifier: MultiOutputTransfer, path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The graph from pixels to the answers of all outputs, checked against torch; see `trained.write_graph`."""
    import onnx

    how = classifier.card_.preprocessing
    net = copy.deepcopy(classifier.network_).to(memory_format=torch.contiguous_format)
    whole = from_module(JointClassifier(net, classifier.models_), how, classifier.card_.name)
    export_onnx(whole, [Place(PROBABILITIES, "flat")], path)
    model = onnx.load(str(path), load_external_data=False)
    rename_output(model, PROBABILITIES)
    note(model, facts)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    drawn = sample_pixels(N_CHECK, how.height, how.width)
    pixels = np.concatenate([drawn, classifier.samples_])
    expected = torch_answers(classifier, pixels, how)
    difference = largest_difference(path, pixels, expected, scales_of(classifier.outputs_))
    return {
        "largest_difference": difference, "bound": BOUND, "n_real": len(classifier.samples_), "n_drawn": N_CHECK,
        "drawn_probabilities": [[float(f"{value:.7g}") for value in row] for row in expected[:N_CHECK]],
    }  # fmt: skip


def torch_answers(classifier: MultiOutputTransfer, pixels: np.ndarray, how: Preprocessing) -> np.ndarray:
    """What torch makes of uint8 pixels (n, height, width, 3): the answers of all outputs, float32 (n, columns)."""
    normalise = normaliser(how.mean, how.std)
    with torch.inference_mode():
        parts = [
            classifier.network_(normalise(torch.from_numpy(pixels[at : at + CHECK_BATCH]))).numpy()
            for at in range(0, len(pixels), CHECK_BATCH)
        ]
    logits = split_logits(np.concatenate(parts), classifier.outputs_)
    found = {each.output.name: each.of_logits(p) for each, p in zip(classifier.models_, logits, strict=True)}
    return side_by_side(classifier.outputs_, found)


def write_joint_network(net: JointNet, path: Path) -> None:
    """All weights as safetensors, a tensor that trunks share once; `unit_length` of each head is noted."""
    from safetensors.torch import save_file

    first: dict[int, str] = {}
    state: dict[str, Tensor] = {}
    same: list[str] = []
    for name, each in net.state_dict(keep_vars=True).items():
        known = first.setdefault(id(each), name)
        if known == name:
            state[name] = each.detach().cpu().contiguous().clone()
        else:
            same.append(f"{name}={known}")
    units = [str(bool(head.unit_length)).lower() for tower in net.towers for head in _heads(tower)]
    save_file(state, str(path), metadata={"unit_length": ",".join(units), "same": ";".join(same)})


def _heads(tower: nn.Module) -> list[Any]:
    joint: Any = tower
    return list(joint.head.heads)


def load_joint_network(opened: Bundle, given: Backbone | None = None) -> JointNet:
    """The trained network of a bundle with several outputs; see `headstart.load_network`."""
    from safetensors import safe_open

    path = opened.folder / "backbone.safetensors"
    state = dict(read_weights(path))
    with safe_open(str(path), "pt") as file:
        notes = file.metadata() or {}
    for line in filter(None, notes.get("same", "").split(";")):
        name, _, known = line.partition("=")
        if known not in state:
            raise BundleError(f"{path}: {name} should be as {known}, which is not there")
        state[name] = state[known]
    outputs = [answer.output for answer in opened.outputs]
    trunks = [[output] for output in outputs] if opened.card["sharing"] != "hard" else [outputs]
    units = [word == "true" for word in notes.get("unit_length", "").split(",")]
    if len(units) != len(outputs):
        raise BundleError(f"{path}: holds {len(units)} heads, the card names {len(outputs)} outputs")
    towers, first = [], 0
    for number, own in enumerate(trunks):
        weight = state.get(f"towers.{number}.head.heads.0.linear.weight")
        if weight is None or weight.ndim != 2:
            raise BundleError(f"{path}: holds no head for {own[0].name!r}")
        head = JointHead(int(weight.shape[1]), own, units[first : first + len(own)])
        mirror = opened.card.get("options", {}).get("test_views") == "mirror"
        towers.append(TransferNet(Whole(bare_network(opened.backbone, given)), head, mirror))
        first += len(own)
    net = JointNet(towers)
    fill(net, state, str(path))
    return net.eval()
