"""Every command and snippet of the page on groups, in order, on drawn photos."""

from __future__ import annotations

from pathlib import Path


def test_every_block_of_the_page_on_groups_runs(run_page, capsys):
    run_page("how-to-group-images.md")
    said = capsys.readouterr().out
    assert "chosen" in said and "ari" in said
    assert "In short" in Path("groups.html").read_text("utf-8")
    assert Path("groups/clusters.csv").is_file()
    assert len(list(Path("groups").rglob("*.jpg"))) == 30


def test_the_page_names_only_options_that_there_are(options_of):
    assert options_of("how-to-group-images.md") <= options_of("reference.md")
