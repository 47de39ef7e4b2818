"""A small training run as a program: to be killed, taken up again, or shared by several processes.

    python -m headstart.testing.training DATA OUT [NAME=VALUE ...]

DATA is a folder of class folders; OUT gets the weights as safetensors. Values are JSON. `kill_at=STEP` ends the
process with SIGKILL as soon as that step is done, checkpoints being written after every step.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from headstart.base.events import Event, Progress, listening
from headstart.base.files import written_aside
from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.processes import first
from headstart.testing.backbones import tiny_backbone


def main(arguments: list[str]) -> None:
    """Fit the tiny network on a folder and write its weights."""
    from safetensors.torch import save_file

    data, out, *given = arguments
    options: dict[str, Any] = {"trainable": "last:1", "epochs": 4, "views": 2, "batch_size": 8}
    options |= {"learning_rate": 1e-3, "checkpoint_minutes": 0.0, "manifold_mixup": 0.0}
    options |= {
        "dtype": "float32"
    }  # "auto" measures which is faster, and a run beside others may measure otherwise
    options |= {name: json.loads(value) for name, _, value in (each.partition("=") for each in given)}
    kill_at = options.pop("kill_at", None)

    def hear(event: Event) -> None:
        if isinstance(event, Progress) and event.task == "train" and event.done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with listening(hear):
        method = FineTuneClassifier(backbone=tiny_backbone(), **options)
        method.fit_table(split_table(scan(data), seed=0))
    if first():
        with written_aside(out) as aside:
            save_file(
                {name: each.contiguous() for name, each in method.network_.state_dict().items()}, str(aside)
            )


if __name__ == "__main__":
    main(sys.argv[1:])
