"""Scores of ordered levels have a slope and their probabilities, however sure a model is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.explain.joint import scores_of_output, shares_of_scores
from headstart.methods.output import Output, probabilities

LEVELS = Output("grade", "ordinal", ("a", "b", "c", "d"))


@pytest.mark.parametrize(
    "logits", [(1.0, 0.2, -2.0), (60.0, 30.0, -45.0), (200.0, 190.0, 180.0), (-90.0, -95.0, -99.0)]
)
def test_a_score_has_a_slope_where_the_probability_is_all_but_0_or_1(logits):
    """The logarithm of a clamped probability is flat there: maps of levels that a model was sure of were all zeros."""
    given = torch.tensor([logits], requires_grad=True)
    scores = scores_of_output(LEVELS, given)
    for level in range(4):
        (slope,) = torch.autograd.grad(scores[0, level], given, retain_graph=True)
        assert torch.isfinite(slope).all() and slope.abs().max() > 1e-3, (logits, level)
    shares = shares_of_scores("ordinal", scores.detach()).numpy()
    np.testing.assert_allclose(shares, probabilities(LEVELS, np.array([logits])), atol=1e-6)


def test_thresholds_that_cross_or_meet_leave_finite_scores():
    given = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.5, 0.5]], requires_grad=True)
    scores = scores_of_output(LEVELS, given)
    scores.sum().backward()
    assert torch.isfinite(scores).all() and torch.isfinite(given.grad).all()
    shares = shares_of_scores("ordinal", scores.detach()).numpy()
    np.testing.assert_allclose(shares, probabilities(LEVELS, given.detach().numpy()), atol=1e-5)


def test_two_levels_are_the_two_sides_of_one_threshold():
    scores = scores_of_output(Output("worn", "ordinal", ("no", "yes")), torch.tensor([[3.0]]))
    assert scores.tolist() == [[-3.0, 3.0]]
