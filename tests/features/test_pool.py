"""Pooling: one vector an image, whatever the layout."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.base.errors import BadOptions, UnknownName
from headstart.features.pool import POOLINGS, check_pooling, pool

sizes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))


@given(sizes, st.sampled_from(POOLINGS), st.integers(0, 9))
def test_the_three_layouts_of_the_same_positions_pool_alike(size, pooling, seed):
    maps = torch.from_numpy(np.random.default_rng(seed).normal(size=size).astype(np.float32))
    tokens = maps.flatten(2).transpose(1, 2)
    found = pool(maps, "nchw", pooling)
    if pooling == "flat":
        assert found.shape == (size[0], size[1] * size[2] * size[3])
    else:
        assert torch.allclose(found, pool(maps.permute(0, 2, 3, 1), "nhwc", pooling), atol=1e-5)
        assert torch.allclose(found, pool(tokens, "tokens", pooling), atol=1e-5)
        assert found.shape == (size[0], size[1] * (2 if pooling == "avg+std" else 1))


def test_the_poolings_are_what_their_names_say():
    maps = torch.tensor([[[[1.0, 3.0]], [[-2.0, 2.0]]]])
    assert pool(maps, "nchw", "avg").tolist() == [[2.0, 0.0]]
    assert pool(maps, "nchw", "max").tolist() == [[3.0, 2.0]]
    assert pool(maps, "nchw", "avg+std").tolist() == [[2.0, 0.0, 1.0, 2.0]]
    gem = ((1**3 + 3**3) / 2) ** (1 / 3)
    assert pool(maps, "nchw", "gem")[0, 0].item() == pytest.approx(gem, rel=1e-5)


def test_class_tokens_are_no_positions():
    tokens = torch.tensor([[[100.0], [1.0], [3.0]]])
    assert pool(tokens, "tokens", "avg", n_prefix=1).tolist() == [[2.0]]
    assert pool(tokens, "tokens", "flat", n_prefix=1).shape == (1, 3)
    assert pool(torch.ones(1, 1, 4), "tokens", "avg", n_prefix=1).shape == (1, 4)


def test_a_layer_without_positions_is_returned_as_it_is_and_has_no_spread():
    assert pool(torch.ones(2, 5), "vector", "max").shape == (2, 5)
    with pytest.raises(BadOptions, match="needs positions"):
        check_pooling("avg+std", "vector", "pool")
    with pytest.raises(UnknownName, match="avg"):
        check_pooling("avgg")
