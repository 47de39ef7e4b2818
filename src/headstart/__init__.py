"""Headstart: reuse pretrained networks on your own images, and know how sure you can be.

Public names are imported when first used, so that `import headstart` loads neither torch nor numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "scan": "headstart.images.scan",
    "ImageTable": "headstart.images.table",
    "ImageGenerator": "headstart.images.generator",
    "FeatureExtractor": "headstart.features.extractor",
    "ImageIndex": "headstart.features.index",
    "ImageClusterer": "headstart.features.cluster",
    "TransferClassifier": "headstart.methods.probe",
    "FineTuneClassifier": "headstart.methods.finetune",
    "MultiOutputTransfer": "headstart.methods.multi_output",
    "load_bundle": "headstart.export.bundle",
    "save_bundle": "headstart.export.save",
    "load_network": "headstart.export.trained",
    "run_study": "headstart.study.execute",
    "StudySpec": "headstart.study.spec",
    "write_report": "headstart.report.build",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from headstart.export.bundle import load_bundle as load_bundle
    from headstart.export.save import save_bundle as save_bundle
    from headstart.export.trained import load_network as load_network
    from headstart.features.cluster import ImageClusterer as ImageClusterer
    from headstart.features.extractor import FeatureExtractor as FeatureExtractor
    from headstart.features.index import ImageIndex as ImageIndex
    from headstart.images.generator import ImageGenerator as ImageGenerator
    from headstart.images.scan import scan as scan
    from headstart.images.table import ImageTable as ImageTable
    from headstart.methods.finetune import FineTuneClassifier as FineTuneClassifier
    from headstart.methods.multi_output import MultiOutputTransfer as MultiOutputTransfer
    from headstart.methods.probe import TransferClassifier as TransferClassifier
    from headstart.report.build import write_report as write_report
    from headstart.study.execute import run_study as run_study
    from headstart.study.spec import StudySpec as StudySpec


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
