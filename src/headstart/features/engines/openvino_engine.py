"""OpenVINO on the CPU (extra `turbo`): one stream a worker; bfloat16 where the processor has it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from headstart.base.errors import EngineError
from headstart.base.optional import require
from headstart.base.runtime import n_threads


class OpenVinoRunner:
    """Run an exported graph with OpenVINO.

    Parameters
    ----------
    path : Path
    precision : str
        "float32" and "int8" compute in float32 where the graph is not quantised; "bfloat16" lowers it.
    workers : int, optional
        Streams; each is one thread.
    """

    batch_size = 16

    def __init__(self, path: Path, precision: str = "float32", workers: int | None = None) -> None:
        openvino: Any = require("openvino", extra="turbo", purpose="the engine openvino")
        self.n_workers = workers or n_threads()
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
            "NUM_STREAMS": str(self.n_workers),
            "INFERENCE_NUM_THREADS": str(self.n_workers),
        }
        try:
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(str(path)), "CPU", options)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot load {path.name}: {str(error).splitlines()[0][:300]}"
            ) from error
        self._local = threading.local()

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Features of uint8 pixels (n, height, width, 3)."""
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._model.create_infer_request()
        request.infer([np.ascontiguousarray(pixels)])
        outputs = range(len(self._model.outputs))
        return [np.array(request.get_output_tensor(number).data, np.float32) for number in outputs]
