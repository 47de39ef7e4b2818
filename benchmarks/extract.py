"""Feature extraction, decode included, against a plain loop of timm eager NCHW with Pillow.

    python benchmarks/extract.py DATA [--precisions float32,bfloat16,int8] [--rounds 3]

DATA holds train/, validation/ and test/ with class folders. Each round measures the plain loop, the engine's
own forward pass and the whole extraction next to each other, with an empty feature cache (exports are kept:
they are made once a backbone); the median ratio over rounds is what counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from bars import Bars, forward_rate, plain_loop_in_its_own_process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--precisions", default="float32,bfloat16,int8")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HEADSTART_CACHE"] = cache
        measure(options)


def measure(options: argparse.Namespace) -> None:
    from headstart.backbones.load import card
    from headstart.features.extract import Tap, extract
    from headstart.features.store import FeatureStore
    from headstart.images.prepare import prepare
    from headstart.images.scan import scan

    bars = Bars()
    table = scan(options.data)
    items = table.items()
    sample = [Path(item) for item in items[:: max(1, len(items) // 192)]][:192]
    pixels = np.stack([prepare(path, card("lite0").preprocessing) for path in sample[:64]])
    bounds = {"float32": 8.0, "bfloat16": 12.0, "int8": 15.0}
    features = {}
    for precision in options.precisions.split(","):
        if why := cannot(precision):
            bars.untold(f"{precision} over the plain loop", why, ">=", bounds[precision], "x")
            continue
        extract(
            items,
            table.digests,
            precision=precision,
            store=FeatureStore(Path(os.environ["HEADSTART_CACHE"]) / "warm"),
        )
        ratios, shares, rates = [], [], []
        for round_ in range(options.rounds):
            loop = plain_loop_in_its_own_process(sample)
            forward = forward_rate(ready_runner(table, precision), pixels, 768)
            store = FeatureStore(Path(os.environ["HEADSTART_CACHE"]) / f"{precision}-{round_}")
            start = time.perf_counter()
            found = extract(items, table.digests, paths=table.paths, precision=precision, store=store)
            rate = len(items) / (time.perf_counter() - start)
            ratios.append(rate / loop)
            shares.append(rate / forward)
            rates.append(rate)
            print(
                f"  round {round_}: plain loop {loop:.1f}, engine alone {forward:.0f}, extraction {rate:.0f} images/s"
            )
        features[precision] = found.features[Tap("pool")]
        assert (found.engine["precision"]) == precision, found.engine
        print(f"  {found.engine}")
        bars.bar(f"{precision} over the plain loop", statistics.median(ratios), ">=", bounds[precision], "x")
        if precision == "float32":
            bars.bar("float32 over its own forward pass", statistics.median(shares), ">=", 0.7)
    if {"float32", "int8"} <= set(features):
        accuracy = {name: logistic_accuracy(table, features[name]) for name in ("float32", "int8")}
        print(f"  logistic head on the test split: {accuracy}")
        bars.bar(
            "int8 accuracy against float32, points",
            100 * (accuracy["int8"] - accuracy["float32"]),
            ">=",
            -1.0,
        )
    bars.done()


def cannot(precision: str) -> str:
    """Why this processor cannot run a precision quickly; "" where it can."""
    from headstart.base.runtime import has_bfloat16, has_int8

    if precision == "bfloat16" and not has_bfloat16():
        return "this processor has no bfloat16"
    if precision == "int8" and not has_int8():
        return "this processor has no quick and exact int8 (VNNI)"
    return ""


def ready_runner(table: object, precision: str) -> object:
    """The runner that extraction uses, from the kept export."""
    from headstart.backbones.load import card, load
    from headstart.features.calibration import Calibration, calibration_rows
    from headstart.features.engines.prepare import needs_calibration, prepare_runner, settle
    from headstart.features.taps import Place

    wish = settle("auto", precision)
    made = card("lite0")
    name = calibration_rows(made, table.digests)[0] if needs_calibration(wish) else ""
    calibration = Calibration(name, lambda n: np.zeros((0, 224, 224, 3), np.uint8))
    return prepare_runner(
        lambda: load("lite0"), made, [Place("global_pool", "avg")], wish, calibration
    ).runner


def logistic_accuracy(table: object, features: np.ndarray) -> float:
    """Test accuracy of a logistic head chosen on the validation split."""
    from headstart.methods.heads import make_head

    labels = np.array(table.labels[table.target()])
    part = {name: np.array(table.rows(name)) for name in ("train", "validation", "test")}
    held = (features[part["validation"]], labels[part["validation"]])
    head = make_head("logistic").fit(features[part["train"]], labels[part["train"]], validation=held)
    return float((head.predict(features[part["test"]]) == labels[part["test"]]).mean())


if __name__ == "__main__":
    main()
