"""Torch: the reference every other engine is compared with, and the engine of a GPU.

Precision and device policy on one screen: float32 with channels-last on every device; bfloat16 by autocast.
A forward pass ends at the deepest tap.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.base.runtime import n_threads
from headstart.features.taps import Place, make_trunk

if TYPE_CHECKING:
    from headstart.backbones.load import Backbone


def pick_device() -> str:
    """ "cuda" or "mps" where there is one, else "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


class TorchRunner:
    """Run a trunk in torch.

    Parameters
    ----------
    backbone : Backbone
    places : sequence of Place
    precision : {"float32", "bfloat16"}
    device : str, optional
    """

    n_workers = 1

    def __init__(
        self,
        backbone: Backbone,
        places: Sequence[Place],
        precision: str = "float32",
        device: str | None = None,
    ) -> None:
        import torch

        self.device = device or pick_device()
        self.batch_size = 16 if self.device == "cpu" else 128
        self._half = precision == "bfloat16"
        if self.device == "cpu":
            torch.set_num_threads(n_threads())
        trunk = make_trunk(backbone, places)
        if self.device != "cpu":  # the backbone itself stays on the CPU, where exports and checks expect it
            trunk = copy.deepcopy(trunk).to(self.device)
        self._trunk = trunk.to(memory_format=torch.channels_last)

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Features of uint8 pixels (n, height, width, 3)."""
        import torch

        batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, enabled=self._half):
            found = self._trunk(batch)
        return [each.float().cpu().numpy() for each in found]
