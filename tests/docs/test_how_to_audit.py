"""Every command and snippet of the page on audits, in order, on drawn photos."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("cleanlab")


def test_every_block_of_the_page_on_audits_runs(run_page, capsys):
    run_page("how-to-audit.md")
    said = capsys.readouterr().out
    assert re.search(r"findings? of [6-9] checks", said) and "train" in said
    assert "What was looked at" in Path("audit.html").read_text("utf-8")
    assert Path("mended.csv").read_text("utf-8").startswith("path,label")
    assert Path("folds.csv").read_text("utf-8").startswith("path,label,group,fold,inner_0")


def test_the_page_names_only_options_that_there_are(options_of):
    assert options_of("how-to-audit.md") <= options_of("reference.md")
