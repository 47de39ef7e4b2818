"""Training the whole network: images a second against plain eager NCHW float32, the loss curve, peak memory.

    python benchmarks/full.py DATA [--steps 12]

Both sides start from the same weights and see the same pixels in the same order (batch 32 at 224 pixels, AdamW,
the same rate, BatchNorm by its kept statistics); decoding is left out of both. The loss curves must agree within
noise. Peak memory is that of `headstart`'s loop at batch 64, in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np
from bars import Bars

RATE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--memory", action="store_true", help="train at batch 64 and print the peak in bytes")
    options = parser.parse_args()
    if options.memory:
        ours(*batches(options.data, 3, 64))
        from headstart.base.runtime import peak_memory_bytes

        print(peak_memory_bytes())
        return
    bars = Bars()
    images, codes = batches(options.data, options.steps, 32)
    our_losses, our_rate, dtype = ours(images, codes)
    plain_losses, plain_rate = plain(images, codes)
    print(f"  ours {our_rate:.1f} images/s ({dtype}), plain {plain_rate:.1f} images/s")
    print(f"  ours  {np.round(our_losses, 3).tolist()}\n  plain {np.round(plain_losses, 3).tolist()}")
    bars.bar("full: images a second over plain", our_rate / plain_rate, ">=", 3.0, "x")
    gap = float(np.abs(np.array(our_losses) - plain_losses).max())
    bars.bar("full: largest difference of the loss curves", gap, "<=", 0.1)
    command = [sys.executable, "-W", "ignore", __file__, options.data, "--memory"]
    peak = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])
    bars.bar("full: peak memory at batch 64, GB", peak / 1e9, "<=", 6.0)
    bars.done()


def batches(data: str, steps: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Prepared pixels (steps, size, 224, 224, 3) and class numbers of some training images."""
    from headstart.backbones.load import card
    from headstart.images.prepare import prepare
    from headstart.images.scan import scan

    table = scan(data)
    rows = np.random.default_rng(0).permutation(table.rows("train"))[: steps * size]
    codes = np.unique(table.labels[table.target()], return_inverse=True)[1]
    how = card("lite0").preprocessing
    pixels = np.stack([prepare(table.item(int(row)), how) for row in rows])
    return pixels.reshape(steps, size, *pixels.shape[1:]), codes[rows].reshape(steps, size)


def ours(images: np.ndarray, codes: np.ndarray) -> tuple[list[float], float, str]:
    """Losses of the steps and images a second of the loop, in the precision that it chooses."""
    import torch

    from headstart.backbones.load import load
    from headstart.base.runtime import n_threads
    from headstart.methods.batches import Batch
    from headstart.methods.network import normaliser
    from headstart.methods.training import Part, Training
    from headstart.methods.training_options import TrainingOptions

    torch.set_num_threads(n_threads())
    how = load("lite0").card.preprocessing
    steps, size = codes.shape
    options = TrainingOptions(
        epochs=1, learning_rate=RATE, batch_size=size, schedule="constant", warmup=0.0, clip=0.0,
        label_smoothing=0.0, dtype="auto", start="plain",
    )  # fmt: skip
    names = [str(n) for n in range(10)]
    run = Training("full", load("lite0"), options, Part([], [], codes.ravel()), None, names, None, 0, 0.0)
    run.mode, run._decide = "plain", lambda **values: run.decided.update(values)  # type: ignore[method-assign]
    normalise = normaliser(how.mean, how.std)

    class Given:
        """The batches as they are."""

        n = steps * size

        def get(self, rows: np.ndarray, epoch: int) -> Batch:
            pixels = torch.from_numpy(images.reshape(-1, *images.shape[2:])[rows])
            return Batch(normalise(pixels).contiguous(memory_format=torch.channels_last))

    source = Given()
    net = run._net()
    fast = run._bfloat16(net, source, options)
    loop = run._loop(net, source, options, fast)
    loop.mode(True)
    losses, start = [], 0.0
    for step in range(steps):
        before = loop.sums[0]
        rows = np.arange(step * size, (step + 1) * size)
        loop._train_step(rows, source.get(rows, 0))
        losses.append((loop.sums[0] - before) / size)
        if step == 0:
            start = time.perf_counter()
    return losses, (steps - 1) * size / (time.perf_counter() - start), "bfloat16" if fast else "float32"


def plain(images: np.ndarray, codes: np.ndarray) -> tuple[list[float], float]:
    """The same in code as most people write it: eager, NCHW, float32."""
    import torch

    from headstart.backbones.load import load
    from headstart.methods.network import normaliser
    from headstart.methods.training import Part, Training
    from headstart.methods.training_options import TrainingOptions

    run = Training(
        "full", load("lite0"), TrainingOptions(), Part([], [], codes.ravel()), None, [str(n) for n in range(10)],
        None, 0, 0.0,
    )  # fmt: skip
    run.mode = "plain"
    net = run._net().to(memory_format=torch.contiguous_format).eval()
    how = load("lite0").card.preprocessing
    normalise = normaliser(how.mean, how.std)
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=RATE,
    )
    losses, start = [], 0.0
    for step, (pixels, truth) in enumerate(zip(images, codes, strict=True)):
        given = normalise(torch.from_numpy(pixels)).contiguous()
        loss = torch.nn.functional.cross_entropy(net(given), torch.from_numpy(truth))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        if step == 0:
            start = time.perf_counter()
    n = (len(images) - 1) * images.shape[1]
    return losses, n / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
