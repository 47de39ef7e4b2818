"""Optional packages, imported where they are used and refused with the install line."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from headstart.base.errors import MissingPackage


def require(package: str, *, extra: str, purpose: str) -> ModuleType:
    """Import `package`, or say which extra of Headstart brings it.

    Raises
    ------
    MissingPackage
        With the `pip install` line.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackage(package, extra, purpose) from error


def installed(package: str) -> bool:
    """Whether `package` could be imported (without importing it)."""
    return importlib.util.find_spec(package) is not None
