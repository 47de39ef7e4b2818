"""Several processes under `torchrun`: who is first, whose share of a batch is which, gradients averaged by DDP."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from headstart.base.runtime import n_processes, rank


def first() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


def begin() -> None:
    """Join the other processes (gloo on a CPU, nccl on GPUs); nothing to do without them."""
    if n_processes() > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def together() -> bool:
    """Whether processes have joined."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def wait() -> None:
    """Until every process is here."""
    if together():
        torch.distributed.barrier()


def share(rows: np.ndarray) -> np.ndarray:
    """The rows of a batch that this process takes; where there are none left for it, the first row (see `weight`)."""
    if not together():
        return rows
    own = rows[rank() :: n_processes()]
    return own if len(own) else rows[:1]


def takes_part(n_rows: int) -> bool:
    """Whether a batch of so many rows has one for this process."""
    return not together() or rank() < n_rows


def weight(share_of_batch: float, n_rows: int) -> float:
    """Factor on the loss of this process's rows, so that the mean over the processes is the loss of the whole batch.

    Parameters
    ----------
    share_of_batch : float
        What these rows count in the loss of their batch, 0 to 1.
    n_rows : int
        Of the whole batch.
    """
    if not together():
        return 1.0
    return share_of_batch * n_processes() if takes_part(n_rows) else 0.0


def wrapped(net: nn.Module) -> nn.Module:
    """The network with gradients averaged over the processes."""
    if not together():
        return net
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else None
    return nn.parallel.DistributedDataParallel(net, device_ids=devices)


def summed(values: Sequence[float]) -> list[float]:
    """Sums over the processes."""
    if not together():
        return list(values)
    total = torch.tensor(values, dtype=torch.float64)
    if torch.cuda.is_available():
        total = total.cuda()
    torch.distributed.all_reduce(total)
    return [float(each) for each in total]


def agreed(stop: bool) -> bool:
    """Whether any process wants to stop."""
    return stop if not together() else summed([float(stop)])[0] > 0


def from_first(number: float) -> float:
    """The number that the first process has, in every process."""
    return number if not together() else summed([number if first() else 0.0])[0]


def text_from_first(text: str) -> str:
    """The text that the first process has, in every process."""
    if not together():
        return text
    device = "cuda" if torch.cuda.is_available() else "cpu"
    given = np.frombuffer(text.encode(), np.uint8) if first() else np.zeros(0, np.uint8)
    length = torch.tensor([len(given)], device=device)
    torch.distributed.broadcast(length, 0)
    held = torch.zeros(int(length), dtype=torch.uint8, device=device)
    if first():
        held.copy_(torch.from_numpy(given.copy()))
    torch.distributed.broadcast(held, 0)
    return held.cpu().numpy().tobytes().decode()
