"""Every command and snippet of the page on summaries, in order."""

from __future__ import annotations

from pathlib import Path


def test_every_block_of_the_page_on_networks(run_page, capsys):
    run_page("how-to-read-a-network.md")
    said = capsys.readouterr().out
    page = (Path(__file__).parents[2] / "docs" / "how-to-read-a-network.md").read_text("utf-8")
    shown = [line for line in page.split("\n```\n")[2].splitlines() if line]
    assert [line for line in shown if line not in said.splitlines()] == []
    assert "  trainable           7,213,322" in said
    assert Path("lite0.svg").read_text("utf-8").startswith("<svg ")


def test_the_page_names_only_options_that_there_are(options_of):
    assert options_of("how-to-read-a-network.md") <= options_of("reference.md")
