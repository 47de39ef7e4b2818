"""Every command and snippet of the page on input sizes, in order, on drawn photos."""

from __future__ import annotations

import json
from pathlib import Path


def test_every_block_of_the_page_on_input_sizes(run_page, capsys):
    run_page("how-to-choose-an-input-size.md")
    said = capsys.readouterr()
    assert "(smallest 16 x 16)" in said.out
    assert "320 x 3 x 6" in said.out
    assert "all are done already" in said.err
    assert "by input size: the best method at each" in Path("sizes/report.html").read_text("utf-8")
    shape = json.loads(Path("model/card.json").read_text("utf-8"))["backbone"]["preprocessing"]
    assert (shape["height"], shape["width"]) in ((64, 64), (64, 96))


def test_the_page_names_only_options_that_there_are(options_of):
    assert options_of("how-to-choose-an-input-size.md") <= options_of("reference.md")
