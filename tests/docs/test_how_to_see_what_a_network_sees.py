"""Every command and snippet of the page on what a network sees, in order, on drawn photos."""

from __future__ import annotations

from pathlib import Path


def test_every_block_of_the_page_on_seeing_runs(run_page, capsys):
    run_page("how-to-see-what-a-network-sees.md")
    said = capsys.readouterr().out
    assert "random weights" in said and "CKA with model" in said and "from pretrained" in said
    assert "How far to believe the maps" in Path("seen.html").read_text("utf-8")
    assert "What training changed" in Path("both.html").read_text("utf-8")
    assert "Why a good start matters" in Path("start.html").read_text("utf-8")


def test_the_page_names_only_options_that_there_are(options_of):
    assert options_of("how-to-see-what-a-network-sees.md") <= options_of("reference.md")
