"""OpenVINO on the CPU (extra `turbo`): one stream a worker; bfloat16 where the processor has it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from headstart.base.errors import EngineError
from headstart.base.optional import require
from headstart.base.runtime import n_threads

_BEFORE_CORE = threading.Lock()


@cache
def _core_of(process: int) -> Any:
    openvino: Any = require("openvino", extra="turbo", purpose="the engine openvino")
    # its binding looks NumPy up at the first use of a tensor's data, and two threads that do so at once wait for each
    # other, and with the interpreter's lock for ever
    _ = openvino.Tensor(np.zeros(1, np.float32)).data
    return openvino.Core()


def _core() -> Any:
    """The one core of this process, kept to its end.

    Its CPU plugin gives the thread that it is made in a stack for signals, and puts back the one before when it goes.
    Of two plugins the first to go frees the stack that the second puts back: then the next signal that Python handles
    (Ctrl-C, the end of a child) ends the process without a word.
    """
    with _BEFORE_CORE:
        return _core_of(os.getpid())


class OpenVinoRunner:
    """Run an exported graph with OpenVINO.

    Parameters
    ----------
    graphs : sequence of Path
        One graph, or several that follow each other; all but the last run in float32.
    precision : str
        "float32" and "int8" compute in float32 where the graph is not quantised; "bfloat16" lowers the last one.
    workers : int, optional
        Streams; each is one thread. Twice as many callers keep them busy: a call waits for its stream, so with one
        caller a stream a processor idles whenever the caller decodes or is woken late.
    """

    batch_size = 4

    def __init__(
        self, graphs: Sequence[Path], precision: str = "float32", workers: int | None = None
    ) -> None:
        core = _core()
        streams = workers or n_threads()
        self.n_workers = 2 * streams
        options = {"NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": str(streams)}
        lowered = "bf16" if precision == "bfloat16" else "f32"
        hints = ["f32"] * (len(graphs) - 1) + [lowered]
        try:
            self._parts = [
                core.compile_model(
                    core.read_model(str(graph)), "CPU", {**options, "INFERENCE_PRECISION_HINT": hint}
                )
                for graph, hint in zip(graphs, hints, strict=True)
            ]
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot load {graphs[0].name}: {str(error).splitlines()[0][:300]}"
            ) from error
        self._local = threading.local()

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Features of uint8 pixels (n, height, width, 3)."""
        requests = getattr(self._local, "requests", None)
        if requests is None:
            requests = self._local.requests = [part.create_infer_request() for part in self._parts]
        given: Any = np.ascontiguousarray(pixels)
        for request in requests:
            request.infer([given])
            given = request.get_output_tensor(0)
        outputs = range(len(self._parts[-1].outputs))
        return [np.array(requests[-1].get_output_tensor(number).data, np.float32) for number in outputs]
