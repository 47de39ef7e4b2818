"""The frozen part of a network over test images, run once for all runs of a study that cut it at the same place.

Runs that train from `last:1` differ in what follows the cut alone; the part before it gives the same activations of
the same test image every time. Each run is charged what the part took of its images, whichever run computed it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier

MOST_BYTES = 1 << 28
BATCH = 32
Place = tuple[Any, ...]


@dataclass(eq=False)
class FrozenTests:
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
    _kept: dict[Place, dict[str, np.ndarray]] = field(default_factory=dict)
    _seconds: dict[Place, list[float]] = field(default_factory=dict)

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
        net, after = model.network_, str(model.record_.get("after") or "")
        if not after or net.mirror:
            return None
        from headstart.backbones.freeze import make_suffix
        from headstart.backbones.load import load

        card = model.card_
        place = (card.name, card.weights_digest, card.preprocessing.digest(), after)
        body: Any = net.body
        layers = load(model.backbone).at(model.input_size).layers
        suffix = make_suffix(body.net, layers, after).eval()
        parts = []
        for at in range(0, len(items), BATCH):
            given = self._activations(model, place, items[at : at + BATCH], digests[at : at + BATCH])
            parts.append(_run(suffix, net.head, given))
        return np.concatenate(parts)

    def _activations(
        self, model: FineTuneClassifier, place: Place, items: Sequence[Any], digests: Sequence[str]
    ) -> np.ndarray:
        """What the part before the cut gives for some images, (n, channels, height, width)."""
        kept, seconds = self._kept.setdefault(place, {}), self._seconds.setdefault(place, [0.0, 0.0])
        missing = [row for row, digest in enumerate(digests) if digest not in kept]
        new: dict[str, np.ndarray] = {}
        if missing:
            start = time.perf_counter()
            given = _prefix(model, place[-1], [items[row] for row in missing])
            seconds[0] += time.perf_counter() - start
            seconds[1] += len(missing)
            new = {digests[row]: each for row, each in zip(missing, given, strict=True)}
        self.charged += (len(items) - len(missing)) * seconds[0] / max(1.0, seconds[1])
        found = np.stack([new[each] if each in new else kept[each] for each in digests])
        for digest, each in new.items():
            if self.n_bytes + each.nbytes <= self.most_bytes:
                kept[digest] = each.copy()
                self.n_bytes += each.nbytes
        return found


class _Reached(Exception):
    """The activation that was asked for is there."""


def _prefix(model: FineTuneClassifier, after: str, items: Sequence[Any]) -> np.ndarray:
    """Run the network of a model as far as a module."""
    import torch

    from headstart.base.runtime import n_threads
    from headstart.images.prepare import prepare
    from headstart.methods.network import normaliser

    how, found = model.card_.preprocessing, []
    body: Any = model.network_.body

    def stop(module: Any, given: Any, out: Any) -> None:
        found.append(out)
        raise _Reached

    torch.set_num_threads(n_threads())
    with ThreadPoolExecutor(n_threads()) as pool:
        pixels = np.stack(list(pool.map(lambda item: prepare(item, how), items)))
    images = normaliser(how.mean, how.std)(torch.from_numpy(pixels))
    handle = body.net.get_submodule(after).register_forward_hook(stop)
    try:
        with torch.inference_mode():
            body(images.contiguous(memory_format=torch.channels_last))
    except _Reached:
        pass
    finally:
        handle.remove()
    out: np.ndarray = found[0].contiguous().numpy()
    return out


def _run(suffix: Any, head: Any, given: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        now = torch.from_numpy(given)
        if now.ndim == 4:
            now = now.contiguous(memory_format=torch.channels_last)
        out: np.ndarray = head(suffix(now)).numpy()
    return out
