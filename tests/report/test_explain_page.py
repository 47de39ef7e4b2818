"""The page on what a network sees, in a browser: hostile names stay names, nothing is loaded, it fits a phone."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from headstart.backbones.card import Preprocessing
from headstart.explain.optimisers import race
from headstart.explain.see import see
from headstart.explain.target import target_of_network
from headstart.report.explain_page import Parts, write_explain_page
from headstart.testing.backbones import tiny_network

HOSTILE = "<script>document.title='hacked'</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    path = folder / "a<b>&'.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)).save(path)
    names = [f"{HOSTILE}{number}" for number in range(10)]
    target = target_of_network(tiny_network(), Preprocessing(32, 32), {HOSTILE: names}, name=HOSTILE)
    seen = see(target, [path], [str(path)], methods=("gradcam", "layercam"), draws=1, fractions=3)
    return write_explain_page(seen, folder / "page.html", Parts(race=race("beale", steps=10)))


def test_names_are_text(page):
    text = page.read_text("utf-8")
    assert HOSTILE not in text and "&lt;script&gt;" in text and "Grad-CAM" in text


@pytest.mark.parametrize("width", [360, 1100])
def test_it_fits_and_loads_nothing(browser, page, width):
    with closing(browser.new_context(viewport={"width": width, "height": 900})) as context:
        opened = context.new_page()
        said, asked = [], []
        opened.on("console", lambda message: said.append(message.text))
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(page.as_uri())
        assert "hacked" not in opened.title()
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert not said and [each for each in asked if not each.startswith("data:")] == [page.as_uri()]
