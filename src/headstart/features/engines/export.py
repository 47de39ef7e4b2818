"""A trunk to ONNX: the only exporter. Graphs take uint8 pixels and hold nothing beyond the deepest tap."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.base.errors import EngineError
from headstart.base.files import written_aside
from headstart.features.engines.any_batch import TRACED, free_batch
from headstart.features.taps import Place, make_trunk

if TYPE_CHECKING:
    from torch import nn

    from headstart.backbones.load import Backbone

OPSET = 18
INPUT = "pixels"


def output_name(number: int) -> str:
    """Name of the graph's output for place `number`."""
    return f"features{number}"


def export_onnx(backbone: Backbone, places: Sequence[Place], path: Path) -> None:
    """Write the trunk of `backbone` as one ONNX file (weights inside), whole or not at all.

    Raises
    ------
    EngineError
        The exporter cannot express the network; the message holds its first line.
    """
    trunk = make_trunk(backbone, places, stop=False)
    shape = backbone.card.preprocessing
    size = (shape.height, shape.width, 3)
    with written_aside(path) as aside, _quiet():
        try:
            if not _exported_at_one_size(trunk, size, len(places), aside):
                _export(trunk, size, len(places), aside, any_number=True)
        except Exception as error:
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise EngineError(f"{backbone.card.name} could not be exported to ONNX: {said[:300]}") from error


def _exported_at_one_size(trunk: nn.Module, size: tuple[int, int, int], n_places: int, path: Path) -> bool:
    """The quick way; False where the network cannot be traced so, or depends on the number of images."""
    try:
        _export(trunk, size, n_places, path, any_number=False)
        return free_batch(path, size)
    except Exception:  # noqa: BLE001 - whatever it is, the slow way meets it again and says so
        return False


def _export(
    trunk: nn.Module, size: tuple[int, int, int], n_places: int, path: Path, *, any_number: bool
) -> None:
    import torch

    torch.onnx.export(
        trunk,
        (torch.zeros(2 if any_number else TRACED, *size, dtype=torch.uint8),),
        str(path),
        dynamo=True,
        opset_version=OPSET,
        external_data=False,
        verbose=False,
        dynamic_shapes=({0: torch.export.Dim("n", min=1)},) if any_number else None,
        input_names=[INPUT],
        output_names=[output_name(i) for i in range(n_places)],
    )


@contextlib.contextmanager
def _quiet():  # type: ignore[no-untyped-def]
    """Keep the exporter's chatter off the terminal (its error, if any, is raised)."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
