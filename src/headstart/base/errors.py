"""Every error that Headstart raises on purpose, in one tree.

HeadstartError
|-- UsageError (also ValueError): the caller can mend it; the command line shows one line, exit status 2
|   |-- BadOptions: every mistake of a set of options at once
|   |-- UnknownName: no such backbone, layer, head ...; carries the nearest names
|   |-- MissingPackage (also ImportError): an optional package is absent; carries the install line
|   |-- DataError: a source of images that cannot be read as one
|   |   `-- BadImage: one file that is no readable image
|   |-- BackboneError: weights that are absent, of the wrong shape or not finite
|   |-- BundleError: a saved model that is incomplete, altered or of another kind
|   `-- Busy: another run holds the folder
`-- EngineError: an engine could not export or run a network (the caller falls back, aloud)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class HeadstartError(Exception):
    """Root of the tree."""


class UsageError(HeadstartError, ValueError):
    """Something the caller can mend: what was expected, what came, what to do next."""


class BadOptions(UsageError):
    """Every mistake of a set of options at once."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(self.mistakes))


class UnknownName(UsageError):
    """No such name; the nearest known ones are part of the message."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        options = sorted(set(known))
        self.near = tuple(difflib.get_close_matches(name, options, n=3, cutoff=0.5))
        if self.near:
            said = "did you mean " + " or ".join(repr(n) for n in self.near) + "?"
        elif len(options) <= 12:
            said = "known: " + ", ".join(options)
        else:
            said = f"{len(options)} are known"
        super().__init__(f"no {kind} is called {name!r}; {said}" + (f" {hint}" if hint else ""))


class MissingPackage(UsageError, ImportError):
    """An optional package is absent."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra = package, extra
        UsageError.__init__(
            self, f"{purpose} needs the package {package!r}: pip install 'headstart[{extra}]'"
        )


class DataError(UsageError):
    """A source of images that cannot be read as one."""


class BadImage(DataError):
    """One file that is no readable image; `reason` says why in a few words."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class BackboneError(UsageError):
    """Weights that are absent, of the wrong shape or not finite."""


class BundleError(UsageError):
    """A saved model that is incomplete, altered or of another kind."""


class Busy(UsageError):
    """Another run holds the folder."""


class EngineError(HeadstartError):
    """An engine could not export or run a network."""
