"""The snippet of the page on labelling runs, and its options and keys are those of the page that is served."""

from __future__ import annotations

import re
from pathlib import Path

from headstart.cli.reference import reference
from headstart.dataset.next_rows import ORDERS
from headstart.dataset.session import RECENT
from headstart.web.pages import filled

DOCS = Path(__file__).parents[2] / "docs"


def test_the_snippet_of_the_page_runs(run_page, capsys):
    run_page("how-to-label.md")
    assert capsys.readouterr().out.strip().endswith(" 2")
    assert Path("photos-labels/labels.csv").read_text().splitlines()[0] == "path,label"


def test_the_page_names_only_options_that_there_are(options_of):
    assert options_of("how-to-label.md") <= set(re.findall(r"--[a-z0-9][a-z0-9-]+", reference()))


def test_the_keys_and_orders_of_the_docs_are_those_of_the_page():
    text = (DOCS / "how-to-label.md").read_text("utf-8")
    served = filled("label.html", name="x")
    for key in ("Space", "Enter", "R", "A", "S", "X", "U", "N", "O", "V"):
        assert f"`{key}`" in text and f"<kbd>{key}</kbd>" in served
    for order in (*ORDERS, RECENT):
        assert f"| `{order}` |" in text and f'<option value="{order}">' in served
