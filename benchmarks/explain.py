"""Grad-CAM of 100 images against a forward and backward pass of the same images, lite0 at 224 pixels.

    python benchmarks/explain.py DATA [--images 100]

Both are timed next to each other on pixels in memory, in batches of the same size; the middle of three rounds counts.
The maps of all four kinds are compared with those of random weights, of the same and of another image.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from bars import Bars

ROUNDS = 3
BATCH = 16
CHECKED = 24


def main() -> None:
    import torch

    from headstart.backbones.load import load
    from headstart.base.runtime import n_threads
    from headstart.explain.cam import CAMS, class_activation
    from headstart.explain.faithful import sanity
    from headstart.explain.target import target_of_backbone
    from headstart.images.scan import scan

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=100)
    given = parser.parse_args()
    torch.set_num_threads(n_threads())
    table = scan(given.data)
    rows = np.random.default_rng(0).permutation(len(table))[: given.images]
    target = target_of_backbone(load("lite0"))
    pixels = target.prepared([table.item(int(row)) for row in rows])
    classes = target.probabilities(pixels).argmax(1)
    class_activation(target, pixels[:BATCH], classes[:BATCH].tolist())
    ratios = []
    for round_ in range(ROUNDS):
        start = time.perf_counter()
        maps = class_activation(target, pixels, classes.tolist(), batch=BATCH)
        took = time.perf_counter() - start
        passes = forward_and_backward(target, pixels, classes)
        ratios.append(took / passes)
        print(f"  round {round_}: Grad-CAM {took:.2f} s, forward and backward {passes:.2f} s", flush=True)
    print(f"  maps {maps.coarse.shape}")
    bars = Bars()
    for method in CAMS:
        some = class_activation(target, pixels[:CHECKED], classes[:CHECKED].tolist(), method=method)
        found = sanity(target, pixels[:CHECKED], some, draws=2)
        print(
            f"  {method}: correlation with random weights {found.mean:.3f}, with another image's {found.other:.3f}"
        )
        if method == "gradcam":
            bars.bar("Grad-CAM, correlation with random weights, 2 draws", abs(found.mean), "<=", 0.3)
    bars.bar("Grad-CAM over a forward and backward pass", statistics.median(ratios), "<=", 2.5, "x")
    bars.done()


def forward_and_backward(target: object, pixels: np.ndarray, classes: np.ndarray) -> float:
    """Seconds of the scores and their slopes in the pixels."""
    import torch

    start = time.perf_counter()
    for at in range(0, len(pixels), BATCH):
        images = target.images(pixels[at : at + BATCH]).requires_grad_(True)  # type: ignore[attr-defined]
        scores = target.scores(images)  # type: ignore[attr-defined]
        picked = scores.gather(1, torch.from_numpy(classes[at : at + BATCH])[:, None]).sum()
        torch.autograd.grad(picked, images)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
