"""`headstart fit DATA --scenario features`: accuracy and seconds, cold and warm.

    python benchmarks/fit_features.py DATA

Bars: test accuracy 88.5 % at least; 60 s with an empty cache (export, check, decoding and fit included), then
6 s for `--head linear_svm` on warm features, both as whole commands from process start to exit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bars import Bars, reference_rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    data = parser.parse_args().data
    bars = Bars()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HEADSTART_CACHE": str(Path(folder) / "cache")}

        def headstart(*words: str) -> tuple[float, str]:
            start = time.perf_counter()
            command = [sys.executable, "-m", "headstart.cli.main", *words]
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            return time.perf_counter() - start, done.stdout

        rate = reference_rate()
        cold, _ = headstart("fit", data, "--scenario", "features", "--out", f"{folder}/model")
        _, said = headstart("evaluate", f"{folder}/model", data, "--json")
        found = json.loads(said)
        print(f"  {found}")
        bars.bar("test accuracy of the logistic head", found["accuracy"]["value"], ">=", 0.885)
        bars.seconds("cold fit", cold, 60, rate)
        warm, _ = headstart(
            "fit", data, "--scenario", "features", "--head", "linear_svm", "--out", f"{folder}/svm"
        )
        bars.seconds("warm fit of linear_svm", warm, 6, reference_rate())
    bars.done()


if __name__ == "__main__":
    main()
