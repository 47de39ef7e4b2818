"""Preprocessing and weights agree: the pretrained classifiers on ImageNet images whose class is known.

    python benchmarks/selftest.py FOLDER

FOLDER holds images whose names start with their synset, and classes.tsv.
"""

from __future__ import annotations

import argparse

from bars import Bars


def main() -> None:
    from headstart.features.selftest import self_test

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    bars = Bars()
    for name in ("lite0", "lite1", "lite2"):
        found = self_test(name, folder)
        print(f"  {found}")
        bars.bar(f"top-1 of {name}", found.top1, ">=", 0.85)
        bars.bar(f"errors by which another normalisation fits {name} better", found.errors or 0.0, "<=", 3.0)
    bars.done()


if __name__ == "__main__":
    main()
