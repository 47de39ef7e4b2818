"""Every command and snippet of the page on similar images, in order, on drawn photos."""

from __future__ import annotations

from pathlib import Path


def test_every_block_of_the_page_on_similar_images(run_page, capsys):
    run_page("how-to-find-similar-images.md")
    said = capsys.readouterr().out
    assert "30 images by lite0 pool (avg), 1280 values, cosine" in said
    assert "8 values, whitened to 8" in said
    assert "mean average precision" in said
    assert "added 0, changed 0, removed 0" in said
    assert "1 disc/000.jpg 1.0 True" in said
    assert Path("found.html").read_text("utf-8").count("data:image/jpeg;base64,") == 6


def test_the_page_names_only_options_that_there_are(options_of):
    assert options_of("how-to-find-similar-images.md") <= options_of("reference.md")
