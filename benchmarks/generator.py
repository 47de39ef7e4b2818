"""The generator against Keras's legacy one and against torchvision's transforms in torch's own loader.

    python benchmarks/generator.py DATA [--rounds 3] [--batches 24]

DATA holds train/ with class folders. All three decode the same files, crop, mirror and change colours (`medium`)
to 224 x 224, in batches of 32, on two processors; each round measures them next to each other, and the median
ratio counts. Keras has no random crop: zoom, shift, mirror, brightness and channel shift are its nearest settings.
Its brightness and channel shift are measured with and without, and the faster of the two counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import torch
from bars import Bars
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

SIZE, BATCH = 224, 32


def ours(folder: Path) -> Any:
    from headstart.images.generator import ImageGenerator

    return ImageGenerator("medium", n_workers=2).flow_from_directory(
        folder, (SIZE, SIZE), batch_size=BATCH, interpolation="bilinear", seed=1
    )


def keras(folder: Path, colours: bool) -> Any:
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    more = {"brightness_range": (0.7, 1.3), "channel_shift_range": 30.0} if colours else {}
    made = ImageDataGenerator(
        zoom_range=0.3, width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True, **more
    )
    return made.flow_from_directory(
        folder, target_size=(SIZE, SIZE), batch_size=BATCH, interpolation="bilinear", seed=1
    )


def loader(folder: Path) -> Iterator[Any]:
    steps = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, scale=(0.35, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.3, 0.3, 0.3),
            v2.ToImage(),
            v2.ToDtype(torch.float32),
        ]
    )
    made = torch.utils.data.DataLoader(
        ImageFolder(folder, steps), batch_size=BATCH, shuffle=True, num_workers=2, persistent_workers=True
    )
    while True:
        yield from made


def rate(stream: Any, n_batches: int) -> float:
    """Images a second, after two batches to warm up."""
    for _ in islice(stream, 2):
        pass
    start, n = time.perf_counter(), 0
    for images, _ in islice(stream, n_batches):
        n += len(images)
    return n / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=24)
    options = parser.parse_args()
    folder = options.data / "train"
    against_keras, against_loader = [], []
    for number in range(options.rounds):
        mine = rate(ours(folder), options.batches)
        theirs = max(rate(keras(folder, colours), max(4, options.batches // 4)) for colours in (True, False))
        torchs = rate(loader(folder), options.batches)
        print(
            f"  round {number}: generator {mine:.0f}, Keras {theirs:.0f}, torch's loader {torchs:.0f} images/s"
        )
        against_keras.append(mine / theirs)
        against_loader.append(mine / torchs)
    bars = Bars()
    bars.bar("generator over Keras's legacy generator", statistics.median(against_keras), ">=", 3.0, "x")
    bars.bar(
        "generator over torch's loader with torchvision", statistics.median(against_loader), ">=", 1.0, "x"
    )
    bars.done()


if __name__ == "__main__":
    main()
