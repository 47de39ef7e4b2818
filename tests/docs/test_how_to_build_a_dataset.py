"""Every command and snippet of the page on building a data set, in order, on drawn photos."""

from __future__ import annotations

import re
from pathlib import Path

from headstart.cli.reference import reference


def test_every_block_of_the_page_runs(run_page, capsys):
    run_page("how-to-build-a-dataset.md")
    said = capsys.readouterr().out
    assert "balance: 10 images a class" in said and "nothing was written" in said
    assert len(list(Path("balanced").rglob("*.jpg"))) == 24 and len(list(Path("small").rglob("*.jpg"))) == 12
    assert Path("with-table/labels.csv").is_file() and Path("as-coco/annotations/instances.json").is_file()
    assert len(list(Path("photos").rglob("*"))) == 33


def test_the_page_names_only_options_that_there_are(options_of):
    assert options_of("how-to-build-a-dataset.md") <= set(re.findall(r"--[a-z0-9][a-z0-9-]+", reference()))
