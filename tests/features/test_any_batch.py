"""A graph traced at one number of images takes any number, or is traced with a symbol."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from headstart.backbones.card import Preprocessing
from headstart.backbones.load import from_module
from headstart.features.engines import export
from headstart.features.engines.export import export_onnx
from headstart.features.engines.onnx_engine import OnnxRunner
from headstart.features.engines.torch_engine import TorchRunner
from headstart.features.taps import Place
from headstart.testing.backbones import tiny_backbone

SHAPE = Preprocessing(32, 32, crop=1.0)


class WithToken(nn.Module):
    """Puts a learned token in front of the positions: its expansion names the number of images."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 8, 8)
        self.token = nn.Parameter(torch.ones(1, 1, 6))
        self.last = nn.Linear(6, 5)

    def forward(self, images):
        rows = self.patches(images).flatten(2).transpose(1, 2)
        joined = torch.cat([self.token.expand(rows.shape[0], -1, -1), rows], 1)
        return self.last(joined.cumsum(1)[:, -1])


@pytest.fixture
def ways(monkeypatch):
    """Which exports were made: True where the number of images was a symbol."""
    seen = []
    real = export._export
    monkeypatch.setattr(
        export, "_export", lambda *a, any_number: seen.append(any_number) or real(*a, any_number=any_number)
    )
    return seen


def check(backbone, places, path):
    export_onnx(backbone, places, path)
    runner, reference = OnnxRunner(path, workers=1), TorchRunner(backbone, places, device="cpu")
    for n in (1, 2, 13, 5):
        pixels = np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3)).astype(np.uint8)
        for ours, theirs in zip(runner.run(pixels), reference.run(pixels), strict=True):
            assert ours.shape == theirs.shape
            assert np.allclose(ours, theirs, atol=1e-4)
    given = onnx.load(str(path)).graph.input[0].type.tensor_type.shape.dim[0]
    assert given.dim_param and not given.dim_value


def test_an_ordinary_network_is_traced_once_at_one_size(tmp_path, ways):
    places = [Place("blocks.1", "avg+std"), Place("blocks.2", "flat"), Place("pool", "avg")]
    check(tiny_backbone(), places, tmp_path / "tiny.onnx")
    assert ways == [False]


def test_a_network_that_names_the_number_of_images_elsewhere_is_traced_with_a_symbol(tmp_path, ways):
    check(from_module(WithToken(), SHAPE, "token"), [Place("last", "avg")], tmp_path / "token.onnx")
    assert ways == [False, True]
