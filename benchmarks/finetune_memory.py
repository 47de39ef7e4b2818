"""Memory of fine-tuning does not grow with the images: activations are mapped, not loaded.

    python benchmarks/finetune_memory.py [--few 5000] [--many 50000]

Draws small images on disk and fine-tunes the last stage of a small network on them from kept activations, each
count in a process of its own. Counted is the peak of memory of the process's own (anonymous pages); pages of the
mapped file belong to the system's cache and are given back when somebody needs them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from bars import Bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=5000)
    parser.add_argument("--many", type=int, default=50000)
    parser.add_argument("--run", type=Path, help="train on this folder and print the peak in bytes")
    options = parser.parse_args()
    if options.run:
        print(train(options.run))
        return
    bars = Bars()
    peaks = []
    for n in (options.few, options.many):
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder) / "images", n)
            environment = {**os.environ, "HEADSTART_CACHE": f"{folder}/cache"}
            command = [sys.executable, "-W", "ignore", __file__, "--run", f"{folder}/images"]
            said = subprocess.run(
                command, env=environment, check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            peaks.append(int(said.split()[-1]))
            kept = sum(each.stat().st_size for each in Path(folder, "cache", "prefix").rglob("*.f16"))
            print(
                f"  {n} images: peak {peaks[-1] / 1e6:.0f} MB, {kept / 1e6:.0f} MB of activations kept",
                flush=True,
            )
    bars.bar("growth of memory from few to many images, MB", (peaks[1] - peaks[0]) / 1e6, "<=", 200.0)
    bars.done()


def draw(folder: Path, n: int) -> None:
    """Small noisy images of four kinds in class folders."""
    from PIL import Image

    random = np.random.default_rng(0)
    for kind in range(4):
        (folder / f"kind{kind}").mkdir(parents=True)
    for number in range(n):
        pixels = random.integers(0, 60, (16, 16, 3), dtype=np.uint8)
        pixels[:, :, number % 3] += np.uint8(60 * (number % 4))
        Image.fromarray(pixels).save(folder / f"kind{number % 4}" / f"{number:06d}.png", compress_level=0)


def train(folder: Path) -> int:
    """Fit, and the most bytes of anonymous memory meanwhile."""
    from headstart.images.scan import scan
    from headstart.images.split import split_table
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.testing.backbones import tiny_backbone

    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
            peak[0] = max(peak[0], int(found.group(1)) * 1024 if found else 0)
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    table = split_table(scan(folder), seed=0)
    method = FineTuneClassifier(
        backbone=tiny_backbone(side=64),
        trainable="last:1",
        epochs=3,
        views=2,
        learning_rate=1e-3,
        batch_size=256,
    )
    method.fit_table(table)
    done.set()
    watcher.join()
    assert method.record_["path"] == "cache", method.record_["path"]
    return peak[0]


if __name__ == "__main__":
    main()
