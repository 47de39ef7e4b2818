"""Processor, threads and memory of the machine that a study runs on, for its report."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from headstart.base.runtime import n_threads


def machine() -> dict[str, Any]:
    """Processor, threads and memory of this machine."""
    import psutil

    name = next((line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), "")
    return {
        "processor": name or platform.processor() or platform.machine(),
        "n_threads": n_threads(),
        "memory_bytes": int(psutil.virtual_memory().total),
    }


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text(errors="replace").splitlines() if file.is_file() else []
