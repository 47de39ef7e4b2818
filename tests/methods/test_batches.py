"""Fetching batches beside training."""

from __future__ import annotations

import torch

from headstart.methods.batches import fetcher


def test_torch_works_alone_in_the_thread_that_fetches_and_as_before_in_others():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with fetcher() as pool:
            assert pool.submit(torch.get_num_threads).result() == 1
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
