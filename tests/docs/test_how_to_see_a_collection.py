"""Every command and snippet of the page on maps, in order, on drawn photos."""

from __future__ import annotations

from pathlib import Path


def test_every_block_of_the_page_on_maps_runs(run_page, capsys):
    run_page("how-to-see-a-collection.md")
    said = capsys.readouterr().out
    assert "Trustworthiness" in said and "predictions that differ from the label" in said
    assert "Map of photos" in Path("map.html").read_text("utf-8")
    assert "Map of photos" in Path("again.html").read_text("utf-8")


def test_the_page_names_only_options_that_there_are(options_of, capsys):
    from headstart.cli.reference import reference

    assert all(name in reference() for name in options_of("how-to-see-a-collection.md"))
