"""What a checkpoint holds of a training loop, and how a loop goes on from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from headstart.methods.curve import Epoch

if TYPE_CHECKING:
    from headstart.methods.loop import Loop

TRAINED = ("kept_epoch", "kept_accuracy", "kept_loss", "images_seen", "stopped_early", "seconds")
"""Of what training gave so far, beside its curve."""


def state_of(loop: Loop) -> dict[str, Any]:
    """Everything that the rest of the run depends on; tensors, lists and plain values."""
    start = loop.bettering.start
    return {
        "step": loop.step, "sums": list(loop.sums), "moving": dict(loop._moving()),
        "optimiser": loop.optimiser.state_dict(), "average": loop.average.state(), "best": loop.best,
        "start": None if start is None else torch.as_tensor(start),
        "curve": [vars(line) for line in loop.trained.curve],
        **{name: getattr(loop.trained, name) for name in TRAINED},
    }  # fmt: skip


def restore(loop: Loop, state: dict[str, Any]) -> None:
    """Put a loop where it stood."""
    loop._put(state["moving"])
    loop.optimiser.load_state_dict(state["optimiser"])
    loop.step, loop.sums = state["step"], state["sums"]
    loop.average.go_on(state["average"])
    loop.best = state["best"]
    loop.bettering.start = None if state["start"] is None else state["start"].numpy()
    loop.trained.curve = [Epoch(**line) for line in state["curve"]]
    for name in TRAINED:
        setattr(loop.trained, name, state[name])
