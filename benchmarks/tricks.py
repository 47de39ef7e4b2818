"""Twelve tricks one at a time: `headstart study DATA --tricks ...` with `last:1`, two seeds, 40 images a class.

    python benchmarks/tricks.py DATA [DATA ...] [--per-class 40] [--seeds 2] [-- OPTIONS OF STUDY]

DATA are folders or packaged sets. The cache is empty at the start: features, views of the frozen part and training
count. Printed are the verdicts with their intervals, wall and processor seconds; the bar on wall time is stretched
by how slow this machine is in this run. Nothing is said of how large an effect ought to be: what is held to account
is that every trick gets an interval, and in time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bars import Bars, reference_rate

TRICKS = (
    "warmup", "no_bias_decay", "cosine", "one_cycle", "label_smoothing", "manifold_mixup", "random_erasing", "dropout",
    "ema", "sam", "l2_sp", "focal_loss",
)  # fmt: skip
MINUTES = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--per-class", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    options, more = parser.parse_known_args()
    bars = Bars()
    rate = reference_rate()
    found, wall, busy = study(options, [word for word in more if word != "--"])
    (table,) = found["tricks"]
    for each in (*table["effects"], *table["by_dataset"]):
        print(f"  {'+'.join(each['datasets'])}: {line(each)}", flush=True)
    n_runs = len(options.data) * options.seeds * (len(TRICKS) + 1)
    print(f"  {found['n_done']} runs, {wall:.0f} s of wall time, {busy:.0f} s of processor time", flush=True)
    bars.bar("runs done", found["n_done"], ">=", n_runs)
    told = sum(each["low"] is not None for each in table["effects"])
    bars.bar("tricks with an interval", told, ">=", len(TRICKS))
    bars.seconds("wall seconds", wall, 60.0 * MINUTES * len(options.data), rate)
    bars.done()


def line(each: dict[str, Any]) -> str:
    """One effect in points, with its interval, verdict and price."""
    if each["low"] is None:
        return f"{each['trick']} missing: {each['why']}"
    low, high = 100 * each["low"], 100 * each["high"]
    price = "" if each["times"] is None else f", training {each['times']:.2f}x"
    return f"{each['trick']} {100 * each['effect']:+.1f} ({low:+.1f} to {high:+.1f}) {each['kind']}{price}"


def study(options: argparse.Namespace, more: list[str]) -> tuple[dict[str, Any], float, float]:
    """What the study says, its wall seconds and the processor's."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        command = [
            sys.executable, "-m", "headstart.cli.main", "study", *options.data, "--scenario", "finetune",
            "--trainable", "last:1", "--per-class", str(options.per_class), "--seeds", str(options.seeds),
            "--tricks", ",".join(TRICKS), "--out", str(place / "study"), "--json", *more,
        ]  # fmt: skip
        start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, "HEADSTART_CACHE": str(place / "cache")}
        done = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        wall, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        return json.loads(done.stdout), wall, busy


if __name__ == "__main__":
    main()
