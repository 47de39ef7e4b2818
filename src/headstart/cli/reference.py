"""docs/reference.md out of the same declarations as the flags: `python -m headstart.cli.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

HEAD = """# Commands and their options

Written by `python -m headstart.cli.reference`; the tests fail when it does not agree with `--help`.
"""


def reference() -> str:
    """The whole page as Markdown."""
    from headstart.cli.main import app

    root = typer.main.get_command(app)
    parts = [HEAD]
    for names, command in verbs(root, ()):
        parts.append(f"\n## headstart {' '.join(names)}\n\n{_paragraphs(command.help or '')}\n")
        if command.epilog:
            parts.append(f"\n```sh\n{_examples(command.epilog)}\n```\n")
        rows = [_row(parameter) for parameter in command.params]
        parts.append("\n| | |\n|---|---|\n" + "".join(rows))
    return "".join(parts)


def verbs(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb with its words, groups opened."""
    inside = getattr(command, "commands", None)
    if not inside:
        yield names, command
        return
    for name, each in inside.items():
        yield from verbs(each, (*names, name))


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))


def _examples(epilog: str) -> str:
    return "\n".join(line.strip() for line in epilog.splitlines() if line.strip().startswith("headstart"))


def _row(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    named = ", ".join(f"`{name}`" for name in names if name.startswith("-"))
    shown = f" {parameter.metavar}" if parameter.metavar else ""
    said = (parameter.help or "").replace("|", "\\|")
    default = getattr(parameter, "default", None)
    if getattr(parameter, "show_default", False) and default not in (None, False, ""):
        said += f" [default: {default}]"
    required = " (required)" if parameter.required else ""
    return f"| {named}{shown if named else '`' + parameter.metavar + '`'} | {said}{required} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
