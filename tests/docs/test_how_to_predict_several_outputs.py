"""Every command and snippet of the page on several outputs, in order, on drawn images."""

from __future__ import annotations

import json
from pathlib import Path

from headstart.cli.main import app
from headstart.cli.reference import verbs


def test_every_block_of_the_page_on_several_outputs_runs(run_page, capsys):
    run_page("how-to-predict-several-outputs.md")
    said = capsys.readouterr().out
    assert "all of colour, marks, size right at once" in said and "all right:" in said
    card = json.loads(Path("trained/card.json").read_text("utf-8"))
    assert card["weighting"] == "uncertainty" and card["options"]["head_rates"] == {"light": 2.0}


def test_the_page_names_options_that_there_are(options_of):
    import typer

    known = {
        name
        for _, command in verbs(typer.main.get_command(app), ())
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    assert options_of("how-to-predict-several-outputs.md") <= known
