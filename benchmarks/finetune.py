"""`headstart fit DATA --scenario finetune --trainable last:2` against `--scenario features`, cold, three seeds.

    python benchmarks/finetune.py DATA [--seeds 3] [-- OPTIONS OF FIT]

DATA holds train/, validation/ and test/ with class folders. Each seed starts with an empty cache: export,
decoding, the frozen part and training count. Everything is chosen on the validation split; the test split is
read by `headstart evaluate` alone. Options after `--` are passed on to the fine-tuning.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bars import Bars, reference_rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    options, more = parser.parse_known_args()
    more = [word for word in more if word != "--"]
    bars = Bars()
    with tempfile.TemporaryDirectory() as folder:
        rate = reference_rate()
        features = test_accuracy(Path(folder) / "features", options.data, "features", 0, [])[0]
        print(f"  features: {features['accuracy']}", flush=True)
        found, seconds = [], []
        for seed in range(options.seeds):
            scores, took, facts = test_accuracy(
                Path(folder) / f"tuned{seed}",
                options.data,
                "finetune",
                seed,
                ["--trainable", "last:2", *more],
            )
            found.append(scores["accuracy"]["value"])
            seconds.append(took)
            print(f"  seed {seed}: {scores['accuracy']} in {took:.0f} s; {facts}", flush=True)
    median = statistics.median(found)
    bars.bar("median test accuracy of finetune last:2, percent", 100 * median, ">=", 94.0)
    bars.bar("points above features", 100 * (median - features["accuracy"]["value"]), ">=", 4.0)
    bars.seconds("seconds a seed, cold (the longest)", max(seconds), 400, rate)
    bars.done()


def test_accuracy(
    place: Path, data: str, scenario: str, seed: int, more: list[str]
) -> tuple[dict[str, dict[str, float]], float, str]:
    """Scores on test, seconds of the fit as a whole command with an empty cache, and what it said of itself."""
    environment = {**os.environ, "HEADSTART_CACHE": str(place / "cache")}

    def headstart(*words: str) -> str:
        command = [sys.executable, "-m", "headstart.cli.main", *words]
        return subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ).stdout

    start = time.perf_counter()
    said = headstart(
        "fit",
        data,
        "--scenario",
        scenario,
        "--seed",
        str(seed),
        "--out",
        str(place / "model"),
        "--json",
        *more,
    )
    seconds = time.perf_counter() - start
    facts = json.loads(said)
    kept = {name: facts.get(name) for name in ("selection", "chosen", "seconds")}
    return json.loads(headstart("evaluate", str(place / "model"), data, "--json")), seconds, str(kept)


if __name__ == "__main__":
    main()
