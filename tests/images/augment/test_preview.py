"""Sheets of previews: every operator under its name, draws of a policy, seeded."""

import numpy as np
import pytest

from headstart.base.errors import BadOptions
from headstart.images.augment import OPERATORS, Policy, Step, find_policy
from headstart.images.augment.preview import GAP, LINE, operator_sheet, policy_sheet

PHOTO = np.tile(np.linspace(0, 255, 60).astype(np.uint8)[None, :, None], (40, 1, 3))


def tile(sheet, row, column, side):
    top = GAP + row * (side + LINE + GAP) + LINE
    left = GAP + column * (side + GAP)
    return sheet[top : top + side, left : left + side]


def test_the_first_tile_is_the_image_and_the_others_are_draws():
    sheet = policy_sheet(PHOTO, find_policy("medium"), 2, 3, side=48, seed=4)
    assert sheet.shape == (2 * (48 + LINE + GAP) + GAP, 3 * (48 + GAP) + GAP, 3)
    first, second = tile(sheet, 0, 0, 48), tile(sheet, 0, 1, 48)
    assert np.abs(np.diff(first[24, 2:46, 0].astype(int))).max() < 12 and not np.array_equal(first, second)
    assert np.array_equal(sheet, policy_sheet(PHOTO, find_policy("medium"), 2, 3, side=48, seed=4))
    assert not np.array_equal(sheet, policy_sheet(PHOTO, find_policy("medium"), 2, 3, side=48, seed=5))


def test_a_policy_that_mixes_is_drawn_on_a_batch():
    sheet = policy_sheet(PHOTO, Policy("m", (Step("horizontal_flip", p=0.5), Step("mixup"))), 1, 4, side=32)
    assert sheet.shape[1] == 4 * (32 + GAP) + GAP


def test_every_operator_has_a_tile():
    sheet = operator_sheet(PHOTO, columns=8, side=40)
    assert sheet.shape[0] == -(-(len(OPERATORS) + 1) // 8) * (40 + LINE + GAP) + GAP


@pytest.mark.parametrize("rows, columns", [(0, 3), (3, 0), (100, 100)])
def test_a_grid_that_cannot_be_is_refused(rows, columns):
    with pytest.raises(BadOptions, match="grid"):
        policy_sheet(PHOTO, find_policy("light"), rows, columns)
