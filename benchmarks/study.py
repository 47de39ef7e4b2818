"""A study of 2,250 runs: how long it takes, how soon a finished one is read, how soon 10,000 runs are sorted.

    python benchmarks/study.py DATA [--out FOLDER] [--browser chromium]

3 backbones x 5 layers x 6 heads x 5 sizes (5, 10, 20, 50 and all images a class) x 5 seeds of the scenario
features; every run whose result a seed cannot change is made once. DATA has given splits. The features start
from an empty cache. The page of 10,000 rows is drawn, opened and sorted in a headless browser where there is one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bars import Bars, reference_rate, took

LAYERS = ("stage3", "stage4", "stage5", "stage6", "pool")
HEADS = ("logistic", "linear_svm", "knn", "nearest_mean", "lda", "ridge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--out", help="where the study goes; one that is there goes on")
    parser.add_argument("--backbones", default="lite0,lite1,lite2")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--browser", default=shutil.which("chromium") or "")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(given, Path(folder))


def measure(given: argparse.Namespace, folder: Path) -> None:
    out = Path(given.out) if given.out else folder / "study"
    # compiled modules are kept, as they are unless an environment forbids it
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"HEADSTART_CACHE": str(folder / "cache"), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    command = [
        *(str(Path(sys.executable).with_name("headstart")), "study", given.data, "--backbone", given.backbones),
        *("--layer", ",".join(LAYERS), "--head", ",".join(HEADS), "--per-class", "5,10,20,50,all"),
        *("--seeds", str(given.seeds), "--out", str(out)),
    ]  # fmt: skip
    first = took(lambda: subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE))
    again = statistics.median(
        took(lambda: subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE))
        for _ in range(3)
    )
    rate = reference_rate()
    bars = Bars()
    bars.seconds("the study", first, 900, rate)
    bars.seconds("reading it when it is finished, report included", again, 3, rate)
    if given.browser:
        page = folder / "many.html"
        many(out, page)
        opened, sorts = sorted_in_a_browser(page, given.browser)
        print(f"page of 10,000 rows: {page.stat().st_size / 1e6:.1f} MB")
        bars.seconds("opening the page of 10,000 rows", opened, 3.0, rate)
        bars.seconds("a sort of 10,000 rows", statistics.median(sorts), 0.3, rate)
    else:
        bars.untold("opening the page of 10,000 rows", "no browser", "<=", 3.0, " s")
        bars.untold("a sort of 10,000 rows", "no browser", "<=", 0.3, " s")
    bars.done()


def many(study: Path, page: Path, n: int = 10_000) -> None:
    """A report whose table has n rows: those of the study, repeated under other names."""
    from headstart.report.build import write_report
    from headstart.study.record import load_record

    record = load_record(study)
    rows = record.summaries
    copies = tuple(
        replace(rows[at % len(rows)], method=f"{rows[at % len(rows)].method} {at}") for at in range(n)
    )
    write_report(replace(record, summaries=copies), page)


def sorted_in_a_browser(page: Path, browser: str) -> tuple[float, list[float]]:
    """Seconds until the page is there, and of each sort of its largest table (until it is drawn)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        running = tools.chromium.launch(executable_path=browser)
        tab = running.new_page()
        opened = took(lambda: tab.goto(page.as_uri()))
        sorts = tab.evaluate(
            """async () => {
              const table = [...document.querySelectorAll('table')].sort((a, b) => b.rows.length - a.rows.length)[0];
              const times = [];
              for (const heading of [...table.tHead.rows[0].cells].slice(0, 8)) {
                const start = performance.now();
                (heading.querySelector('button') ?? heading).click();
                await new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
                times.push((performance.now() - start) / 1000);
              }
              return times;
            }"""
        )
        running.close()
    return opened, sorts


if __name__ == "__main__":
    main()
