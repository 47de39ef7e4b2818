"""Content hashes: what a thing is, never where it lies or when it was written.

BLAKE2b of 16 bytes as 32 hexadecimal digits: short enough to read, far beyond accidental collision.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

SIZE_BYTES = 16


def digest_bytes(*parts: bytes) -> str:
    """Hash of the parts, each with its length, so that ("ab", "c") and ("a", "bc") differ."""
    state = hashlib.blake2b(digest_size=SIZE_BYTES)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()


def digest_file(path: str | Path) -> str:
    """Hash of a file's bytes (read in pieces of 1 MiB). Equal to no `digest_bytes`."""
    state = hashlib.blake2b(digest_size=SIZE_BYTES)
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20):
            state.update(piece)
    return state.hexdigest()


def digest_json(value: Any) -> str:
    """Hash of a JSON-like value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digest_bytes(text.encode())
