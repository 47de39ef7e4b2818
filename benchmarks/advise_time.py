"""The adviser's time: `headstart advise` on a data set it has not seen, from an empty cache, under two minutes.

    python benchmarks/advise_time.py [--data textiles]

The whole command is timed, its start and the reading of the images included; it measures 1,000 images at most.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

from bars import Bars, reference_rate

from headstart.base.runtime import CACHE_VARIABLE

MOST_SECONDS = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="textiles", help="a folder, a table, or the name of a packaged set")
    given = parser.parse_args()
    bars = Bars()
    rate = reference_rate()
    seconds, found = advised(given.data)
    seen = found["situation"]
    print(
        f"{given.data}: {seen['n']:,} images to learn from, measured on {seen['n_measured']:,}; "
        f"{found['seconds']:.0f} s by its own clock; {found['verdict']}"
    )
    bars.seconds(f"headstart advise {given.data}", seconds, MOST_SECONDS, rate)
    bars.done()


def advised(data: str) -> tuple[float, dict[str, object]]:
    """Seconds of the command in a process of its own with an empty cache, and what it said."""
    with tempfile.TemporaryDirectory(prefix="headstart-") as cache:
        start = time.perf_counter()
        ran = subprocess.run(
            [sys.executable, "-m", "headstart.cli.main", "advise", data, "--json"],
            stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, CACHE_VARIABLE: cache},
        )  # fmt: skip
        seconds = time.perf_counter() - start
    return seconds, json.loads(ran.stdout)


if __name__ == "__main__":
    main()
