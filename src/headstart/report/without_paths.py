"""A study record without the paths of the machine it ran on: they are shortened to their last name.

So are the names of backbones whose weights are a file or folder (`timm:resnet18@FILE`), wherever they stand: in cells,
names of methods, summaries. The ids of runs stay, for they know the weights by their content.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from headstart.backbones.catalog import local_weights
from headstart.study.records import MethodSummary, StudyRecord


def without_paths(record: StudyRecord) -> StudyRecord:
    """The record with its folder, its weights files, the roots of its tables and the home left out of every text."""
    record = _with_short_backbones(record)
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


def short_backbones(record: StudyRecord) -> dict[str, str]:
    """The name in an archive of each backbone whose weights are a file or folder of the machine, by its whole name.

    Files of one name are told apart by a folder with a number.
    """
    named = [*(record.spec.get("backbone") or ()), record.spec.get("teacher") or "", *record.cards]
    named += [result.cell.backbone for result in record.results]
    found: dict[str, str] = {}
    places: dict[str, str] = {}  # of each file or folder
    for name in dict.fromkeys(map(str, named)):
        if (own := local_weights(name)) is None:
            continue
        if own[1] not in places:
            last = Path(own[1]).name
            n = sum(Path(each).name == last for each in places)
            places[own[1]] = f"{n + 1}/{last}" if n else last
        found[name] = own[0] + places[own[1]]
    return found


def _with_short_backbones(record: StudyRecord) -> StudyRecord:
    short = short_backbones(record)
    if not any(name != kept for name, kept in short.items()):
        return record
    places = dict(short)
    for name in short:
        path = Path((local_weights(name) or ("", ""))[1]).expanduser()
        places |= {str(each): path.name for each in (path, path.absolute()) if each.is_absolute()}
    order = sorted(places, key=len, reverse=True)

    def shortened(text: str) -> str:
        for place in order:
            text = text.replace(place, places[place])
        return text

    kept = ("folder", "tables", "test_rows", "probabilities")
    return replace(
        record,
        **{
            each.name: _each_text(getattr(record, each.name), shortened)
            for each in fields(record)
            if each.name not in kept
        },
    )


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of nested values in which every text is changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_each_text(name, change): _each_text(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_each_text(each, change) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _each_text(getattr(value, f.name), change) for f in fields(value)})
    return value


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
