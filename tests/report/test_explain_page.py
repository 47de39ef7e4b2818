"""The page on what a network sees, in a browser: hostile names stay names, nothing is loaded, it fits a phone."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from headstart.backbones.card import Preprocessing
from headstart.explain.optimisers import race
from headstart.explain.see import counterpart, see
from headstart.explain.target import target_of_network
from headstart.report.explain_page import Parts, explain_document, write_explain_page
from headstart.report.html import render
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


class Two(nn.Module):
    """Two outputs of the same classes that never agree."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__()
        self.body, self.names = tiny_network(), (first, second)

    def forward(self, images):
        scores = self.body(images)
        sure = 100 * torch.eye(10)
        return {self.names[0]: scores + sure[3], self.names[1]: scores + sure[8]}


def test_side_by_side_an_output_stands_beside_the_one_of_its_name():
    names = [f"c{number}" for number in range(10)]
    orders = (("kind", "size"), ("size", "kind"))
    one, two = (
        target_of_network(
            Two(*each), Preprocessing(32, 32), dict.fromkeys(each, names), name=f"net-{each[0]}"
        )
        for each in orders
    )
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    seen, beside = (see(each, [image], ["a.png"], check=False) for each in (one, two))
    page = render(explain_document(seen, Parts(beside=beside)))
    assert "c3, 100.0 %; net-size: c8, 100.0 %" in page and "c8, 100.0 %; net-size: c3, 100.0 %" in page
    assert [counterpart(beside.views, each).output.name for each in ("kind", "size")] == ["kind", "size"]
    assert counterpart(beside.views, "colour") is None
