"""Memory does not grow with the number of images: peak at 20,000 distinct JPEGs against 2,000, cold.

    python benchmarks/memory.py DATA [--large 20000] [--small 2000]

The JPEGs are made from those of DATA by changing a few pixels, so that each has a digest of its own. Each run
is `headstart features` in a process of its own, with the export made beforehand.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bars import Bars

RUN = """
import sys
from headstart.base.runtime import peak_memory_bytes
from headstart.cli.main import main
try:
    main()
except SystemExit as end:
    if end.code:
        raise
print("PEAK", peak_memory_bytes(), file=sys.stderr)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--large", type=int, default=20_000)
    parser.add_argument("--small", type=int, default=2_000)
    options = parser.parse_args()
    bars = Bars()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        sources = sorted(Path(options.data).rglob("*.jpg"))
        make(sources, place / "large", options.large)
        (place / "small").mkdir()
        for path in sorted((place / "large").iterdir())[: options.small]:
            os.link(path, place / "small" / path.name)
        peak(place, "small", "first")
        small, large = peak(place, "small", "cold-small"), peak(place, "large", "cold-large")
        print(f"  peak at {options.small}: {small / 1e6:.0f} MB; at {options.large}: {large / 1e6:.0f} MB")
        bars.bar("growth of the peak", (large - small) / 1e6, "<=", 200, " MB")
    bars.done()


def make(sources: list[Path], folder: Path, n: int) -> None:
    """Write n distinct JPEGs."""
    from PIL import Image

    folder.mkdir()

    def one(number: int) -> None:
        with Image.open(sources[number % len(sources)]) as image:
            changed = image.convert("RGB")
        changed.putpixel((0, 0), (number % 256, number // 256 % 256, 7))
        changed.putpixel((8, 8), (number // 256 % 256, number % 256, 99))
        exif = f"image {number}".encode()
        changed.save(folder / f"{number:06d}.jpg", quality=90, comment=exif)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(n)))


def peak(place: Path, name: str, run: str) -> int:
    """Peak resident set of one extraction; the export is shared, the feature cache is not."""
    cache = place / "cache" / run
    if run != "first":
        cache.mkdir(parents=True)
        (cache / "exports").symlink_to(place / "cache" / "first" / "exports")
    environment = {**os.environ, "HEADSTART_CACHE": str(cache)}
    words = ["features", str(place / name), "--out", str(place / f"{run}.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return int(done.stderr.split("PEAK")[-1].split()[0])


if __name__ == "__main__":
    main()
