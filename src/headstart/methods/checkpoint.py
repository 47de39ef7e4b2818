"""Checkpoints: everything a run needs to go on, in one file that is whole or absent; read without unpickling."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import torch

from headstart.base.errors import UsageError
from headstart.base.events import warn
from headstart.base.files import written_aside

FILE = "checkpoint.pt"


class Checkpoints:
    """The checkpoint of one training run.

    Parameters
    ----------
    folder : Path
    key : str
        Hash of all that decides the run; a checkpoint of another run is not read.
    minutes : float
        Time between two; 0 writes one after every step.
    """

    def __init__(self, folder: Path, key: str, minutes: float) -> None:
        self.path, self.key, self.seconds = folder / FILE, key, 60 * minutes
        self.last = time.monotonic()
        self.on = True

    def due(self, *, epoch_end: bool = False) -> bool:
        """Whether it is time; the end of an epoch counts when half the time has passed."""
        waited = time.monotonic() - self.last
        return self.on and waited >= self.seconds / (2 if epoch_end else 1)

    def write(self, state: dict[str, Any]) -> None:
        """Write one, aside and renamed; a disk that is full is told of once, and the run goes on."""
        self.last = time.monotonic()
        try:
            with written_aside(self.path) as aside:
                torch.save({"key": self.key, "state": state}, aside)
        except (OSError, RuntimeError) as error:
            self.on = False
            warn(f"no checkpoint could be written ({error}); the run goes on, but cannot be taken up again")

    def read(self) -> dict[str, Any] | None:
        """The last checkpoint of this run, if there is one."""
        if not self.path.is_file():
            return None
        try:
            found = torch.load(self.path, weights_only=True, map_location="cpu")
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
            warn(f"the checkpoint {self.path} cannot be read ({type(error).__name__}); training starts anew")
            return None
        if not isinstance(found, dict) or found.get("key") != self.key:
            return None
        state: dict[str, Any] = found["state"]
        return state

    def remove(self) -> None:
        """Take it away: the run is finished."""
        self.path.unlink(missing_ok=True)


def check_folder(folder: Path) -> Path:
    """A folder for checkpoints, made where it is absent."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; checkpoints need a folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
