"""Commands that an audit prints: each with the options that the audit itself was given, so that it finds the same data."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

READ = ("image_root", "path_column", "label_columns", "split_column", "group_column", "on_bad")
"""Options by which data are read; commands that are printed carry them."""
Given = tuple[tuple[str, str], ...]
"""Options with their values, each as it is typed; several label columns are several pairs of `--target`."""
TARGET, GROUP = "--target", "--group-column"
NOT_OF_BUILD = ("--backbone", "--kind")


def audit_command(data: str, given: Given, column: str = "", more: Sequence[str] = ()) -> str:
    """`headstart audit` with what was given, on one label column where that is named.

    Examples
    --------
    >>> audit_command("my photos", (("--image-root", "all"), ("--target", "a"), ("--target", "b")), "a")
    "headstart audit 'my photos' --image-root all --target a"
    """
    return _joined(["audit", data], _on(given, column), more)


def split_command(data: str, given: Given) -> str:
    """`headstart split`, which keeps the shares of all label columns, and calls the column of groups otherwise."""
    first = next((value for flag, value in given if flag == TARGET), "")
    named = tuple(("--group" if flag == GROUP else flag, value) for flag, value in _on(given, first))
    return _joined(["split", data], named, ("--anew", "--out", "split.csv"))


def build_command(data: str, given: Given, column: str, options: Sequence[str]) -> str:
    """`headstart dataset build` on a label column."""
    kept = tuple((flag, value) for flag, value in given if flag not in NOT_OF_BUILD)
    return _joined(
        ["dataset", "build", data], _on(kept, column), (*options, "--layout", "csv", "--out", "mended")
    )


def _on(given: Given, column: str) -> Given:
    rest = tuple(pair for pair in given if pair[0] != TARGET)
    return (*rest, (TARGET, column)) if column else given


def _joined(start: list[str], given: Given, more: Sequence[str]) -> str:
    words = ["headstart", *start]
    for flag, value in given:
        words += [] if flag == TARGET else [flag, value]
    targets = [value for flag, value in given if flag == TARGET]
    words += [TARGET, ",".join(targets)] if targets else []
    return shlex.join([*words, *more])
