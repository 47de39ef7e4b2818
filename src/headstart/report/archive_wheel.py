"""Headstart itself for an archive: a wheel of the package as it is installed here, made without a network.

No index has Headstart, so an archive that named it alone could not be repeated, or by another package of that name.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import headstart

PACKAGE = "headstart"
TAG = "py3-none-any"
KIND = f"Wheel-Version: 1.0\nGenerator: {PACKAGE}\nRoot-Is-Purelib: true\nTag: {TAG}\n"


def wheel_files() -> tuple[str, dict[str, bytes]] | None:
    """File name of a wheel of this package, and what is in it; None where it was never installed as a package.

    The code is that which runs, also where it was installed to be edited.
    """
    try:
        made = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    home, described = Path(headstart.__file__).parent, made.read_text("METADATA")
    if described is None:
        return None
    files = {
        f"{PACKAGE}/{path.relative_to(home).as_posix()}": path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    about = f"{PACKAGE}-{made.version}.dist-info"
    files |= {f"{about}/METADATA": described.encode(), f"{about}/WHEEL": KIND.encode()}
    files |= {f"{about}/{name}": content for name, content in _others(made).items()}
    rows = [f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items()]
    files[f"{about}/RECORD"] = "".join([*rows, f"{about}/RECORD,,\n"]).encode()
    return f"{PACKAGE}-{made.version}-{TAG}.whl", files


def _others(made: Distribution) -> dict[str, bytes]:
    """Commands and licences, by their names beside METADATA."""
    found = {name: text for name in ("entry_points.txt", "top_level.txt") if (text := made.read_text(name))}
    for path in made.files or ():
        place = path.as_posix()
        if ".dist-info/licenses/" in place:
            found[place.partition(".dist-info/")[2]] = path.read_text()
    return {name: text.encode() for name, text in found.items()}


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
