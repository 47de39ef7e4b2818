"""A study record without the paths of the machine it ran on: they are shortened to their last name."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.study.records import MethodSummary, StudyRecord


def without_paths(record: StudyRecord) -> StudyRecord:
    """The record with its folder, the roots of its tables and the user's home left out of every text."""
    short = _shortener(record)
    tables = {
        name: replace(
            table,
            root=Path(table.root).name,
            source=short(table.source),
            problems=tuple(
                replace(each, path=short(each.path), reason=short(each.reason)) for each in table.problems
            ),
        )
        for name, table in record.tables.items()
    }
    results = tuple(
        replace(each, error=short(each.error), notes=tuple(map(short, each.notes))) for each in record.results
    )

    def rows(given: tuple[MethodSummary, ...]) -> tuple[MethodSummary, ...]:
        return tuple(replace(row, errors=tuple(map(short, row.errors))) for row in given)

    return replace(
        record,
        folder=Path(record.folder).name,
        command=_command(record.command, short),
        spec={name: _value(value, short) for name, value in record.spec.items()},
        audits={name: _deep(audit, short) for name, audit in record.audits.items()},
        machine={name: _value(value, short) for name, value in record.machine.items()},
        warnings=tuple(map(short, record.warnings)),
        cut=tuple(replace(each, error=short(each.error)) for each in record.cut),
        tables=tables,
        results=results,
        summaries=rows(record.summaries),
        sized=rows(record.sized),
        retrieval=rows(record.retrieval),
        joint=rows(record.joint),
    )


def _shortener(record: StudyRecord) -> Callable[[str], str]:
    """Replaces known folders, the longest first, by their last name, and the home folder by `~`."""
    folders = {str(Path(record.folder).absolute()), *(table.root for table in record.tables.values())}
    known = {folder: Path(folder).name for folder in folders if len(Path(folder).parts) > 1}
    home = str(Path.home())
    if len(Path(home).parts) > 1:
        known[home] = "~"
    order = sorted(known, key=len, reverse=True)

    def short(text: str) -> str:
        for folder in order:
            text = text.replace(folder, known[folder])
        return text

    return short


def _command(command: str, short: Callable[[str], str]) -> str:
    """The command with absolute paths as their last name."""
    try:
        words = shlex.split(command)
    except ValueError:
        return short(command)
    return shlex.join(_value(word, short) for word in words)


def _value(value: Any, short: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        named, _, path = value.partition("=")
        if path and Path(path).is_absolute():  # a second test folder: NAME=FOLDER
            return f"{short(named)}={Path(path).name}"
        return Path(value).name if Path(value).is_absolute() else short(value)
    if isinstance(value, list | tuple):
        return [_value(item, short) for item in value]
    return {key: _value(item, short) for key, item in value.items()} if isinstance(value, dict) else value


def _deep(value: Any, short: Callable[[str], str]) -> Any:
    """Every text in a JSON-like value; one that is a command word by word."""
    if isinstance(value, dict):
        parts = value.items()
        return {
            name: _command(each, short) if name == "command" and each else _deep(each, short)
            for name, each in parts
        }
    if isinstance(value, list | tuple):
        return [_deep(each, short) for each in value]
    return _value(value, short) if isinstance(value, str) else value
