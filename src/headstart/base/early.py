"""Imports beside the work: modules that will be wanted are loaded by another thread meanwhile."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


@contextmanager
def meanwhile(load: Callable[[], Any]) -> Iterator[None]:
    """Run `load` in another thread while the block runs.

    What fails in it is met again where the module is wanted, so nothing is raised here.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(load)
        yield


class _Hidden:
    """A finder that denies some modules to one thread; other threads find them as ever."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._thread = frozenset(names), threading.get_ident()

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> None:
        """Raise for a hidden module, pass on any other."""
        if name in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def import_without(module: str, *hidden: str) -> ModuleType:
    """Import `module`, whose optional imports of `hidden` find nothing unless they are loaded already."""
    finder: Any = _Hidden(hidden)
    sys.meta_path.insert(0, finder)
    try:
        return import_module(module)
    finally:
        sys.meta_path.remove(finder)
