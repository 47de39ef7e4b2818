"""A TOML file of search spaces or of configurations to begin with: a table (or several) a method."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from headstart.base.errors import BadOptions, UsageError


def read_tables(path: str | Path, what: str) -> dict[str, Any]:
    """The tables of a file, by method.

    Parameters
    ----------
    path : path
    what : str
        Name of the option that named the file, for errors.

    Raises
    ------
    UsageError
        The file cannot be read, or is no TOML.
    BadOptions
        Values outside a table.
    """
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{what}: {path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{what}: {path} is no TOML: {error}") from error
    if odd := [name for name, value in found.items() if not isinstance(value, dict | list)]:
        raise BadOptions([f"{what}: {name} stands outside a table; write [METHOD] above it" for name in odd])
    return found
