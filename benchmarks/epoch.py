"""A training epoch on kept activations against the same epoch as plain code, for last:1 and last:2.

    python benchmarks/epoch.py DATA [--images 512]

Plain code is what most people write: timm eager NCHW, frozen layers in `no_grad`, Pillow in a loop left out
(pixels are decoded beforehand for both). The suffix alone trains on activations in memory. All are timed next to
each other in one run, over some images of DATA's train split, and compared by images a second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

import numpy as np
from bars import Bars

BATCH = 32
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=512)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HEADSTART_CACHE"] = cache
        measure(options)


def measure(options: argparse.Namespace) -> None:
    import torch

    from headstart.base.runtime import n_threads
    from headstart.images.scan import scan

    torch.set_num_threads(n_threads())
    table = scan(options.data)
    rows = np.random.default_rng(0).permutation(table.rows("train"))[: options.images]
    part = table.select([int(row) for row in rows])
    codes = np.unique(part.labels[part.target()], return_inverse=True)[1]
    bars = Bars()
    for name, least in (("last:2", 10.0), ("last:1", 25.0)):
        kept, alone, plain, expected = [], [], [], []
        cached, loop_of = prepared(part, codes, name)
        memory = InMemory(cached)
        for round_ in range(ROUNDS):
            took = epoch_seconds(loop_of(cached))
            kept.append(took)
            alone.append(epoch_seconds(loop_of(memory)))
            plain.append(plain_seconds(part, codes, name, len(part)))
            expected.append(loop_of.expected)  # type: ignore[attr-defined]
            print(
                f"  {name} round {round_}: kept {took:.2f} s, suffix alone {alone[-1]:.2f} s, plain {plain[-1]:.1f} s, "
                f"expected {expected[-1]:.2f} s an epoch of {len(part)} images",
                flush=True,
            )
        ratios = [p / k for p, k in zip(plain, kept, strict=True)]
        bars.bar(f"{name}: plain epoch over kept", statistics.median(ratios), ">=", least, "x")
        shares = [k / a for k, a in zip(kept, alone, strict=True)]
        bars.bar(f"{name}: kept over the suffix alone", statistics.median(shares), "<=", 1.1, "x")
        errors = [abs(e / k - 1) for e, k in zip(expected, kept, strict=True)]
        bars.bar(f"{name}: error of the estimate of an epoch", statistics.median(errors), "<=", 0.25)
    bars.done()


class InMemory:
    """Activations of one epoch, gathered beforehand as the network takes them."""

    def __init__(self, cached: object) -> None:
        self.n = cached.n  # type: ignore[attr-defined]
        self.all = cached.get(np.arange(self.n), 0).inputs  # type: ignore[attr-defined]

    def get(self, rows: np.ndarray, epoch: int) -> object:
        import torch

        from headstart.methods.batches import Batch

        return Batch(self.all[torch.from_numpy(rows)])


def prepared(part: object, codes: np.ndarray, name: str) -> tuple[object, object]:
    """Kept activations of two views, and what makes a loop over a source, as `fit` does."""
    from headstart.backbones.load import load
    from headstart.base.runtime import cache_folder
    from headstart.methods.training import Part, Training
    from headstart.methods.training_options import TrainingOptions

    options = TrainingOptions(
        trainable=name, epochs=3, views=2, learning_rate=1e-4, batch_size=BATCH, prefix_precision="float32",
        train_size=224,  # the plain side's size; left alone, crops would be trained on at 192 pixels
    )  # fmt: skip
    train = Part(part.items(), part.digests, codes)  # type: ignore[attr-defined]
    run = Training(
        "finetune", load("lite0"), options, train, None, [str(c) for c in np.unique(codes)], None, 0, 10.0
    )
    run.folder = cache_folder() / "runs" / "epoch"
    run.folder.mkdir(parents=True, exist_ok=True)
    source, _ = run._sources()
    assert run.mode == "cache", run.record
    net = run._net()
    fast = run._bfloat16(net, source, options)
    print(f"  {name}: bfloat16 {fast}, {run.record.get('dtype_trial')}")

    def loop_of(given: object) -> object:
        one = TrainingOptions(**{**vars(options), "epochs": 1})
        loop = run._loop(net, given, one, fast)  # type: ignore[arg-type]
        if given is source:
            loop_of.expected = run._epoch_seconds(net, given, None, options, fast)  # type: ignore[attr-defined,arg-type]
        return loop

    return source, loop_of


def epoch_seconds(loop: object) -> float:
    start = time.perf_counter()
    loop._epoch(0, start)  # type: ignore[attr-defined]
    return time.perf_counter() - start


def plain_seconds(part: object, codes: np.ndarray, name: str, n: int) -> float:
    """Seconds of an epoch of plain code, from some of its batches (the steps are all alike)."""
    import timm
    import torch

    from headstart.backbones.freeze import find_cut
    from headstart.backbones.load import load

    backbone = load("lite0")
    cut = find_cut(backbone, name)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=10)
    state = {k: v for k, v in backbone.module.state_dict().items() if not k.startswith("classifier")}
    model.load_state_dict(state, strict=False)
    model.eval()
    children = list(model.blocks)
    k = int(name.removeprefix("last:"))
    frozen, trained = children[:-k], children[-k:]
    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter_name in cut.trainable or parameter_name.startswith("classifier"))
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    images = torch.randn(BATCH, 3, 224, 224)
    truth = torch.from_numpy(codes[:BATCH])

    def step() -> None:
        with torch.no_grad():
            x = model.bn1(model.conv_stem(images))
            for stage in frozen:
                x = stage(x)
        for stage in trained:
            x = stage(x)
        scores = model.classifier(model.global_pool(model.bn2(model.conv_head(x))))
        loss = torch.nn.functional.cross_entropy(scores, truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    step()
    n_steps = 8
    start = time.perf_counter()
    for _ in range(n_steps):
        step()
    return (time.perf_counter() - start) / n_steps * n / BATCH


if __name__ == "__main__":
    main()
