"""The page of commands and options agrees with the declarations."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from headstart.cli.main import app
from headstart.cli.reference import reference, verbs

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_what_the_declarations_say():
    kept = (DOCS / "reference.md").read_text("utf-8")
    assert kept == reference(), "run: python -m headstart.cli.reference > docs/reference.md"


def test_every_option_of_every_verb_has_a_line():
    sections = dict(
        re.findall(r"^## headstart ([^\n]+)\n(.*?)(?=^## |\Z)", reference(), re.MULTILINE | re.DOTALL)
    )
    for names, command in verbs(typer.main.get_command(app), ()):
        for parameter in command.params:
            (line,) = [
                line
                for line in sections[" ".join(names)].splitlines()
                if f"`{parameter.opts[0]}`" in line or f"`{parameter.metavar}`" in line
            ]
            assert len(line.split("|")[2].strip()) > 5


def test_every_verb_has_a_schema_of_its_json():
    text = (DOCS / "json.md").read_text("utf-8")
    for names, _ in verbs(typer.main.get_command(app), ()):
        assert f"\n## {' '.join(names)}\n" in text


def test_the_readme_shows_commands_that_there_are():
    text = (DOCS.parent / "README.md").read_text("utf-8")
    words = {" ".join(names) for names, _ in verbs(typer.main.get_command(app), ())}
    for line in re.findall(r"^(?:\| [^|]+\| `)?headstart ([a-z]+)", text, re.MULTILINE):
        assert line in words
    for path in re.findall(r"\]\((docs/[a-z-]+\.md)\)", text):
        assert path == "docs/lab-log.md" or (DOCS.parent / path).is_file()
