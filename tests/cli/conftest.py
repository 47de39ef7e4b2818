"""Run the command line in this process, and hold its JSON against the documented schemas."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from headstart.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Ran:
    """Exit status and what was printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """`run("fit", folder, ...)`: the command line, in this process."""

    def call(*arguments) -> Ran:
        capsys.readouterr()
        status = main([str(each) for each in arguments])
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return call


def schemas() -> dict[str, dict]:
    """The schema under each heading of docs/json.md."""
    text = (DOCS / "json.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^## ([^\n]+)\n(.*?)^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return {name: json.loads(block) for name, _, block in blocks}


@pytest.fixture
def as_documented():
    """Parse a result, check it against the schema of that name, and that no key is undocumented."""

    def check(name: str, text: str):
        value, schema = json.loads(text), schemas()[name]
        jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
        assert_keys_are_documented(value, schema)
        return value

    return check


def assert_keys_are_documented(value, schema) -> None:
    if isinstance(value, list) and "items" in schema:
        for item in value:
            assert_keys_are_documented(item, schema["items"])
    if isinstance(value, dict) and "properties" in schema:
        assert set(value) <= set(schema["properties"])
        for key, item in value.items():
            assert_keys_are_documented(item, schema["properties"][key])
