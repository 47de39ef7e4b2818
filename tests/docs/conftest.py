"""Run the code blocks of a page of the docs, in order, in a folder with drawn photos."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from headstart.cli.main import main
from headstart.testing.images import class_folders

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder `photos` in the working folder."""
    monkeypatch.chdir(tmp_path)
    return class_folders(tmp_path / "photos", n_per_class=10)


@pytest.fixture
def run_page(photos, capsys):
    """Run every `sh` and `python` block of a page; a `toml` block becomes study.toml."""

    def run(page: str) -> None:
        names: dict[str, object] = {}
        text = (DOCS / page).read_text("utf-8")
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            if language == "sh":
                for line in block.splitlines():
                    assert main(shlex.split(line, comments=True)[1:]) == 0, (
                        f"{line}: {capsys.readouterr().err}"
                    )
            elif language == "python":
                exec(compile(block, page, "exec"), names)
            elif language == "toml":
                Path("study.toml").write_text(block)

    return run


@pytest.fixture(scope="session")
def options_of():
    """The options that a page names."""

    def find(page: str) -> set[str]:
        return set(re.findall(r"--[a-z0-9][a-z0-9-]+", (DOCS / page).read_text("utf-8")))

    return find
