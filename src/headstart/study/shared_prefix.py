"""The frozen prefix of a network over test images, run once for all runs of a study that cut it at the same place.

Runs that train from `last:1` differ in what follows the cut alone; the prefix gives the same activations of the same
test image every time. Each run is charged what the prefix took of its images, whichever run computed it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from headstart.backbones.layers import Layer
    from headstart.methods.finetune import FineTuneClassifier

MOST_BYTES = 1 << 28
BATCH = 32


@dataclass(eq=False)
class _Prefix:
    """A network up to a module: its layers, activations by the digest of the image, and what they took."""

    after: str
    layers: dict[str, Layer]
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0
    n_computed: int = 0


@dataclass(eq=False)
class SharedPrefix:
    """Activations of test images at cuts, in memory.

    Parameters
    ----------
    most_bytes : int
        What has no room is computed each time.

    Attributes
    ----------
    charged : float
        Seconds that the last call would have taken longer, had nothing been kept.
    n_bytes : int
        What is held, which no run is charged.
    """

    most_bytes: int = MOST_BYTES
    charged: float = 0.0
    n_bytes: int = 0
    _prefixes: dict[tuple[str, ...], _Prefix] = field(default_factory=dict)

    def scores(
        self, model: FineTuneClassifier, items: Sequence[Any], digests: Sequence[str]
    ) -> np.ndarray | None:
        """Class scores (n, k) before the temperature; None where no part of the network is frozen before a cut.

        Parameters
        ----------
        model : FineTuneClassifier
            Fitted.
        items : sequence
            Images.
        digests : sequence of str
            Of their content.
        """
        self.charged = 0.0
        net, after = model.network_, model.record_["after"]
        if not after or net.mirror:
            return None
        import torch

        from headstart.backbones.freeze import make_suffix

        prefix = self._prefix(model, after)
        body: Any = net.body
        suffix = make_suffix(body.net, prefix.layers, after).eval()
        parts = []
        for at in range(0, len(items), BATCH):
            given = self._activations(model, prefix, items[at : at + BATCH], digests[at : at + BATCH])
            with torch.inference_mode():
                now = torch.from_numpy(given)
                if now.ndim == 4:
                    now = now.contiguous(memory_format=torch.channels_last)
                parts.append(net.head(suffix(now)).numpy())
        return np.concatenate(parts)

    def _prefix(self, model: FineTuneClassifier, after: str) -> _Prefix:
        from headstart.backbones.load import load

        card = model.card_
        key = (card.name, card.weights_digest, card.preprocessing.digest(), after)
        if key not in self._prefixes:
            self._prefixes[key] = _Prefix(after, load(model.backbone).at(model.input_size).layers)
        return self._prefixes[key]

    def _activations(
        self, model: FineTuneClassifier, prefix: _Prefix, items: Sequence[Any], digests: Sequence[str]
    ) -> np.ndarray:
        """What the prefix gives for some images, (n, channels, height, width) or as the cut has it."""
        missing = [row for row, digest in enumerate(digests) if digest not in prefix.kept]
        per_image = prefix.seconds / max(1, prefix.n_computed)
        self.charged += (len(items) - len(missing)) * per_image
        new: dict[str, np.ndarray] = {}
        if missing:
            start = time.perf_counter()
            given = _run(model, prefix, [items[row] for row in missing])
            prefix.seconds += time.perf_counter() - start
            prefix.n_computed += len(missing)
            new = {digests[row]: each for row, each in zip(missing, given, strict=True)}
        found = np.stack([new[each] if each in new else prefix.kept[each] for each in digests])
        for digest, each in new.items():
            if self.n_bytes + each.nbytes <= self.most_bytes:
                prefix.kept[digest] = each.copy()
                self.n_bytes += each.nbytes
        return found


def _run(model: FineTuneClassifier, prefix: _Prefix, items: Sequence[Any]) -> np.ndarray:
    """Run the network of a model as far as the cut."""
    from headstart.backbones.layers import run_until
    from headstart.methods.network import run_network

    body: Any = model.network_.body
    calls = {prefix.after: prefix.layers[prefix.after].calls}
    return run_network(
        lambda images: run_until(body.net, images, [prefix.after], calls)[prefix.after].contiguous(),
        items, model.card_.preprocessing,
    )  # fmt: skip
