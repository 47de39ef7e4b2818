"""The machine on one screen: threads, processor abilities, memory, the cache folder, versions."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from functools import cache
from pathlib import Path

CACHE_VARIABLE = "HEADSTART_CACHE"
NVIDIA = Path("/dev/nvidiactl")


def n_threads() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def n_processes() -> int:
    """Processes that work on one run under `torchrun`; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Number of this process among them, 0 the first."""
    return int(os.environ.get("RANK", "0")) if n_processes() > 1 else 0


@cache
def processor_flags() -> frozenset[str]:
    """Instruction sets the processor names (Linux; empty elsewhere)."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def has_gpu() -> bool:
    """Whether torch would find a GPU, without importing it: a device, one left visible, and a build for it."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if not NVIDIA.exists() or os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    try:
        built = (Path(found.origin).parent / "version.py").read_text()
    except OSError:
        return True
    return re.search(r"^cuda\b[^=\n]*=\s*['\"]", built, re.MULTILINE) is not None


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    return bool(processor_flags() & {"avx512_bf16", "amx_bf16", "bf16"})


def has_int8() -> bool:
    """Whether the processor adds products of bytes in 32 bits at once; without it int8 overflows or is slow."""
    if platform.machine().lower() not in ("x86_64", "amd64", "i686"):
        return True
    return bool(processor_flags() & {"avx512_vnni", "avx_vnni", "amx_int8"})


def cache_folder() -> Path:
    """Where features, exports and downloads are kept: $HEADSTART_CACHE, else the user's cache folder."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "headstart"


def peak_memory_bytes() -> int:
    """Most memory this process has held so far (resident set)."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


PACKAGES = (
    "headstart",
    "torch",
    "torchvision",
    "timm",
    "onnx",
    "onnxruntime",
    "openvino",
    "scikit-learn",
    "numpy",
    "pillow",
    "simplejpeg",
)


def versions() -> dict[str, str]:
    """Versions of Python, the system and the packages that decide a result."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
