"""What every benchmark shares: bars, the reference speed of this machine in this run, the verdict line."""

from __future__ import annotations

import operator
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

REFERENCE_RATE = 16.0
SIGNS = {">=": operator.ge, "<=": operator.le}


class Bars:
    """Print a line a bar, then PASS or FAIL, and leave with status 1 when one falls short."""

    def __init__(self) -> None:
        self.missed = 0
        self.n = 0

    def bar(self, name: str, value: float, sign: str, bound: float, unit: str = "") -> None:
        """One bar: `NAME: value (bar: bound)`."""
        good = bool(SIGNS[sign](value, bound))
        self.n += 1
        self.missed += not good
        print(
            f"{name}: {value:.4g}{unit} (bar: {sign} {bound:.4g}{unit}){'' if good else '  MISSED'}",
            flush=True,
        )

    def untold(self, name: str, why: str, sign: str, bound: float, unit: str = "") -> None:
        """A bar that this machine cannot measure counts as missed."""
        self.n += 1
        self.missed += 1
        print(f"{name}: not measured, {why} (bar: {sign} {bound:.4g}{unit})  MISSED", flush=True)

    def seconds(self, name: str, value: float, bound: float, rate: float) -> None:
        """A bar in seconds, stretched by how slow this machine is in this run; both are printed."""
        scaled = bound * REFERENCE_RATE / rate
        print(
            f"{name}: plain bar {bound:.4g} s, this run's reference rate {rate:.3g} images/s, bar here {scaled:.4g} s"
        )
        self.bar(name, value, "<=", scaled, " s")

    def done(self) -> None:
        """The verdict, last."""
        print(f"FAIL: {self.missed} of {self.n}" if self.missed else "PASS")
        sys.exit(1 if self.missed else 0)


def took(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def reference_rate(n_batches: int = 3, threads: int = 2) -> float:
    """Images a second of lite0 in torch eager, NCHW, batch 32: what most tools run."""
    import timm
    import torch

    torch.set_num_threads(threads)
    model = timm.create_model("tf_efficientnet_lite0").eval()
    batch = torch.randn(32, 3, 224, 224)
    with torch.no_grad():
        model(batch)
        start = time.perf_counter()
        for _ in range(n_batches):
            model(batch)
    return 32 * n_batches / (time.perf_counter() - start)


def plain_loop_rate(files: list[Path], threads: int = 2) -> float:
    """Images a second of the loop that most people write: Pillow, timm eager NCHW, batch 32."""
    import timm
    import torch
    from PIL import Image
    from timm.data import create_transform, resolve_model_data_config

    torch.set_num_threads(threads)
    model = timm.create_model("tf_efficientnet_lite0").eval()
    transform = create_transform(**resolve_model_data_config(model), is_training=False)

    def run(part: list[Path]) -> None:
        for at in range(0, len(part), 32):
            images = [transform(Image.open(path).convert("RGB")) for path in part[at : at + 32]]
            with torch.no_grad():
                model.forward_head(model.forward_features(torch.stack(images)), pre_logits=True)

    run(files[:32])
    start = time.perf_counter()
    run(files)
    return len(files) / (time.perf_counter() - start)


def plain_loop_in_its_own_process(files: list[Path]) -> float:
    """`plain_loop_rate`, where nothing else has been loaded: as its users run it."""
    code = (
        "import sys, pathlib, bars\n"
        "files = [pathlib.Path(line) for line in sys.stdin.read().split(chr(10))]\n"
        "print(bars.plain_loop_rate(files))"
    )
    told = "\n".join(str(path.resolve()) for path in files)
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        input=told,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=folder,
    )
    return float(done.stdout)


def forward_rate(runner: object, pixels: np.ndarray, n: int) -> float:
    """Images a second of an engine on pixels in memory, as many calls at once as it takes."""
    from concurrent.futures import ThreadPoolExecutor

    size, workers = runner.batch_size, runner.n_workers  # type: ignore[attr-defined]
    starts = [(at * size) % (len(pixels) - size + 1) for at in range(max(1, n // size))]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda at: runner.run(pixels[at : at + size]), starts[: 2 * workers]))  # type: ignore[attr-defined]
        start = time.perf_counter()
        list(pool.map(lambda at: runner.run(pixels[at : at + size]), starts))  # type: ignore[attr-defined]
    return len(starts) * size / (time.perf_counter() - start)
