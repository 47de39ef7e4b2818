"""Loss surfaces on the page: every path is drawn, and what a surface does not hold of a path is said."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.backbones.card import Preprocessing
from headstart.explain.landscape import compare_starts
from headstart.explain.see import see
from headstart.explain.target import target_of_network
from headstart.report.explain_figures import is_dot, landscape_together, landscapes
from headstart.report.explain_page import Parts, explain_document, write_explain_page
from headstart.report.html import render
from headstart.testing.backbones import tiny_network


@pytest.fixture(scope="module")
def starts():
    images = torch.randn(9, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return compare_starts(
        tiny_network(seed=1), tiny_network(seed=2), images, torch.arange(9) % 3, steps=4, side=5,
        learning_rate=0.05,
    )  # fmt: skip


@pytest.fixture(scope="module")
def seen():
    target = target_of_network(tiny_network(), Preprocessing(32, 32), {"kind": [str(n) for n in range(10)]})
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    return see(target, [image], ["a.png"], check=False)


def lines_drawn(svg: str) -> int:
    """Paths of the four steps in black; ticks and frames are shorter, marks have no `L`ine of this colour alone."""
    found = re.findall(r'<path d="([^"]*)" [^>]*style="([^"]*)"', svg)
    return sum(where.count("L ") == 4 and "stroke: #111111" in style for where, style in found)


def text_of(seen, starts) -> str:
    return render(explain_document(seen, Parts(starts=starts))).replace("\xa0", " ")


def test_every_surface_has_its_path(starts):
    assert all(is_dot(each[2]) and not is_dot(each[1]) for each in (starts.random, starts.pretrained))
    assert lines_drawn(landscapes(starts)) == 6  # two planes, two random planes, and each of these enlarged
    assert lines_drawn(landscape_together(starts)) == 2


def test_a_random_plane_that_shows_its_path_needs_no_corner(starts, seen):
    wide = {
        name: (*getattr(starts, name)[:2], replace(around, path=1000 * around.path, explained=0.25))
        for name, around in (("random", starts.random[2]), ("pretrained", starts.pretrained[2]))
    }
    seen_there = replace(starts, **wide)
    assert lines_drawn(landscapes(seen_there)) == 4
    page = text_of(seen, seen_there)
    assert "They hold 25 % of the movement. One scale" in page and "corner" not in page


def test_losses_that_are_no_numbers_are_drawn_as_high(starts):
    bad = starts.together.loss.copy()
    bad[0], bad[-1] = np.nan, np.inf
    assert lines_drawn(landscape_together(replace(starts, together=replace(starts.together, loss=bad)))) == 2


def test_the_page_says_how_much_each_surface_holds(starts, seen):
    page = text_of(seen, starts)
    both = starts.together
    assert 'id="landscape-together"' in page and 'id="landscape-figure"' in page
    there = [f"{100 * share:.3g} %" for share in both.explained]
    assert f"{there[0]} of the movement from random weights and {there[1]} of that from pretrained" in page
    assert f"cosine of the two movements {both.cosine:.2f}" in page and f"{both.apart:.3g} apart" in page
    weights = len(starts.random[0].weights[-1])
    assert f"as two random directions among {weights:,} do (section 7.1 there)" in page
    bad, good = starts.random[0], starts.pretrained[0]
    assert f"{good.losses[-1]:.3f} from pretrained and {bad.losses[-1]:.3f} from random weights" in page
    rows = [f"after {path.halved} step" if path.halved else "never" for path in (good, bad)]
    assert f"it is halved {rows[0]}" in page and f"and {rows[1]}" in page


def test_a_start_that_never_came_down_half_way_is_never(starts, seen):
    flat = replace(starts.random[0], losses=np.array([1.0, 0.9, 0.9, 0.9, 0.8]))
    page = text_of(seen, replace(starts, random=(flat, *starts.random[1:])))
    assert " and never." in page


@pytest.mark.parametrize("width", [360, 1100])
def test_it_fits(browser, starts, seen, tmp_path, width):
    page = write_explain_page(seen, tmp_path / "page.html", Parts(starts=starts))
    with closing(browser.new_context(viewport={"width": width, "height": 900})) as context:
        opened = context.new_page()
        opened.goto(page.as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.locator("#landscape-together").count() == 1
