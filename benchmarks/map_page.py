"""The page of a map of 100,000 images in Chromium: time a frame while moving and zooming, time until a hover shows.

python benchmarks/map_page.py DATA [--n 100000] [--method pca] [--frames 90] [--keep PAGE]

The images of DATA are repeated, their features with noise, up to N; the page is built as `headstart map` builds
it, with its pictures in a folder. Chromium draws without a graphics card, in a window of 1,280 x 900.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from bars import Bars

from headstart.features.extractor import FeatureExtractor
from headstart.features.map_found import ImageMap, readable_features
from headstart.features.project import project
from headstart.images.scan import scan
from headstart.images.table import ImageTable
from headstart.measure.projection import map_trust
from headstart.report.map_page import write_map_page

FRAMES = """async ([kind, n]) => {
  const map = document.getElementById("map"), box = map.getBoundingClientRect(), times = [];
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const at = {clientX: x, clientY: y, pointerId: 7, bubbles: true, cancelable: true};
  const next = () => new Promise(done => requestAnimationFrame(done));
  if (kind === "pan") map.dispatchEvent(new PointerEvent("pointerdown", at));
  let before = await next();
  for (let step = 0; step < n; step++) {
    const place = {...at, clientX: x + 90 * Math.sin(step / 6), clientY: y + 60 * Math.cos(step / 6)};
    if (kind === "pan") map.dispatchEvent(new PointerEvent("pointermove", place));
    else map.dispatchEvent(new WheelEvent("wheel", {...at, deltaY: (step % 30 < 15 ? -60 : 60)}));
    const now = await next();
    times.push(now - before);
    before = now;
  }
  if (kind === "pan") map.dispatchEvent(new PointerEvent("pointerup", at));
  return times;
}"""
HOVERS = """async n => {
  const map = document.getElementById("map"), box = map.getBoundingClientRect(), times = [];
  const card = document.getElementById("card"), part = () => 0.2 + 0.6 * Math.random();
  const next = () => new Promise(done => requestAnimationFrame(done));
  for (let step = 0; step < n; step++) {
    const start = performance.now();
    const place = {clientX: box.left + box.width * part(), clientY: box.top + box.height * part()};
    map.dispatchEvent(new PointerEvent("pointermove", {...place, pointerId: 7, bubbles: true}));
    const shown = !card.hidden;
    await next();
    if (shown) times.push(performance.now() - start);
  }
  return times;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--n", type=int, default=100_000, help="images on the map")
    parser.add_argument("--method", default="pca")
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--keep", help="a page that is there already, or is written and kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(given.keep or Path(folder) / "map.html").absolute()
        if not page.exists():
            write(given.data, given.n, given.method, page)
        pan, zoom, hover, load = measured(page, given.frames)
    bars = Bars()
    bars.bar("median frame, moving", statistics.median(pan), "<=", 50, " ms")
    bars.bar("median frame, zooming", statistics.median(zoom), "<=", 50, " ms")
    bars.bar("95th percentile of a frame", float(np.quantile([*pan, *zoom], 0.95)), "<=", 100, " ms")
    bars.bar("median hover to card", statistics.median(hover), "<=", 50, " ms")
    bars.bar("page open and drawn", load, "<=", 5, " s")
    bars.done()


def write(data: str, n: int, method: str, page: Path) -> None:
    found = repeated(data, n, method)
    start = time.perf_counter()
    write_map_page(found, page)
    parts = [page, *page.with_name(f"{page.stem}_files").glob("*")]
    megabytes = [each.stat().st_size / 1e6 for each in parts]
    print(
        f"{n:,} images, {method} in {found.projection.seconds:.1f} s, trust in {found.seconds['measure']:.1f} s, "
        f"page in {time.perf_counter() - start:.1f} s: {megabytes[0]:.1f} MB and {sum(megabytes[1:]):.0f} MB of pictures",
        flush=True,
    )


def repeated(data: str, n: int, method: str) -> ImageMap:
    """The map of images drawn with replacement, each feature with a tenth of its spread of noise."""
    table, features = readable_features(scan(data), FeatureExtractor())
    rng = np.random.default_rng(0)
    rows = rng.integers(len(table), size=n)
    points = features[rows]
    for at in range(0, n, 10_000):
        part = points[at : at + 10_000]
        part += rng.standard_normal(part.shape, np.float32) * 0.1 * features.std(0)
    drawn = project(points, method)
    start = time.perf_counter()
    many = _many(table, rows)
    target = many.target()
    trust = map_trust(drawn.space, drawn.points, many.labels[target])
    seconds = {"project": drawn.seconds, "measure": time.perf_counter() - start}
    facts = {"backbone": "lite0", "layer": ["pool"], "pooling": "avg"}
    return ImageMap(many, target, drawn, trust, None, None, facts, seconds)


def _many(table: ImageTable, rows: np.ndarray) -> ImageTable:
    """The table with rows repeated; `x/./a.jpg` and `x/././a.jpg` are one file by two names."""
    many = table.select(rows.tolist())
    paths = tuple(f"{'./' * at}{path}" for at, path in zip(turns(rows), many.paths, strict=True))
    return replace(many, paths=paths)


def turns(rows: np.ndarray) -> list[int]:
    """How often each row came before."""
    seen: dict[int, int] = {}
    made = []
    for row in rows.tolist():
        made.append(seen.get(row, 0))
        seen[row] = made[-1] + 1
    return made


def measured(page: Path, frames: int) -> tuple[list[float], list[float], list[float], float]:
    """Milliseconds of frames while moving and while zooming, of hovers, and seconds until the first frame."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        window = browser.new_page(viewport={"width": 1280, "height": 900})
        start = time.perf_counter()
        window.goto(page.as_uri())
        while not window.evaluate("window.headstartMap ? headstartMap.frame().number : 0"):
            window.wait_for_timeout(20)
        load = time.perf_counter() - start
        window.evaluate(FRAMES, ["pan", 10])
        pan, zoom = (window.evaluate(FRAMES, [kind, frames]) for kind in ("pan", "zoom"))
        hover = window.evaluate(HOVERS, frames)
        print(
            f"script's part of the last frame: {window.evaluate('headstartMap.frame().milliseconds'):.1f} ms"
        )
        browser.close()
    return pan, zoom, hover, load


if __name__ == "__main__":
    main()
