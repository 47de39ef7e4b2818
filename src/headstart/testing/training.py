"""A small training run as a program: to be killed, taken up again, or shared by several processes.

    python -m headstart.testing.training DATA OUT [NAME=VALUE ...]

DATA is a folder of class folders; OUT gets the weights as safetensors. Values are JSON. `kill_at=STEP` ends the
process with SIGKILL as soon as that step is done, checkpoints being written after every step. `uneven=true` makes
processes measure different times, holds the first folder of activations, and prints what each process did.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from headstart.base.events import Event, Progress, listening
from headstart.base.files import folder_lock, written_aside
from headstart.base.runtime import rank
from headstart.images.scan import scan
from headstart.images.split import split_table
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.kept import activations_folder
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
    uneven = options.pop("uneven", False)

    def hear(event: Event) -> None:
        if isinstance(event, Progress) and event.task == "train" and event.done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    method = FineTuneClassifier(backbone=tiny_backbone(), **options)
    with ExitStack() as stack:
        stack.enter_context(listening(hear))
        folders = stack.enter_context(uneven_processes()) if uneven else []
        method.fit_table(split_table(scan(data), seed=0))
    if uneven:
        did = {name: method.record_[name] for name in ("epochs", "learning_rate", "n_steps")}
        own = all(not folder.name.isalnum() for folder in folders)
        used = sorted(map(str, set(folders)))
        sys.stdout.write(f"process {rank()}: {did}, aside {own}, {used}\n")
    if first():
        with written_aside(out) as aside:
            save_file(
                {name: each.contiguous() for name, each in method.network_.state_dict().items()}, str(aside)
            )


@contextmanager
def uneven_processes() -> Iterator[list[Path]]:
    """Let each process measure times of its own, and another run hold every folder of activations that is asked for.

    Gives the folders that this process used.
    """
    from headstart.methods import frozen_part, prefix
    from headstart.methods.measured import Measured

    def seconds(self: Measured, *given: Any) -> float:
        return 0.2 + 0.3 * rank()

    folders: list[Path] = []

    @contextmanager
    def held(key: str) -> Iterator[Path]:
        with ExitStack() as stack:
            if first():
                stack.enter_context(folder_lock(activations_folder() / key))
            folders.append(stack.enter_context(prefix.held_folder(key)))
            yield folders[-1]

    with patch.object(Measured, "_epoch_seconds", seconds), patch.object(frozen_part, "held_folder", held):
        yield folders


if __name__ == "__main__":
    main(sys.argv[1:])
