"""Search of one image in an index of a folder's images: from process start to printed result, and in process.

    python benchmarks/search_one.py DATA [--rounds 5]

The index is built first, in a temporary folder (features come from the cache where they are there).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bars import Bars, reference_rate, took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    from headstart.features.index import ImageIndex
    from headstart.images.scan import scan

    table = scan(given.data)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "index"
        index = ImageIndex.build(table, place)
        queries = [str(each) for each in table.items()[:: max(1, len(table) // 20)]][:20]
        print(f"{len(index):,} images")
        command = [str(Path(sys.executable).with_name("headstart")), "search", str(place)]
        starts = [took(lambda at=at: run([*command, queries[at]])) for at in range(given.rounds + 1)][1:]
        index = ImageIndex.open(place)
        index.search(queries[:1], 12)
        inside = [1000 * took(lambda query=query: index.search([query], 12)) for query in queries]
    rate = reference_rate()
    bars = Bars()
    bars.seconds("one search from process start", statistics.median(starts), 3.0, rate)
    bars.seconds("one search in process", statistics.median(inside) / 1000, 0.060, rate)
    bars.done()


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.PIPE)


if __name__ == "__main__":
    main()
