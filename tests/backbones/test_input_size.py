"""A size as people write it: one way of reading it, whatever asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.backbones.card import Preprocessing
from headstart.backbones.input_size import LEAST, MOST, read_size, sides, written
from headstart.base.errors import BadOptions

SIDE = st.integers(LEAST, MOST)


@given(SIDE, SIDE)
def test_what_is_written_is_read_back(height, width):
    text = written(height, width)
    assert sides(text) == sides((height, width)) == (height, width)
    assert read_size(text) == (height if height == width else text)
    assert read_size(read_size(text)) == read_size(text)


@pytest.mark.parametrize("text", ["224", "224x224", " 224 X 224 ", "224×224"])
def test_a_square_is_a_number_however_it_is_written(text):
    assert read_size(text) == 224


@pytest.mark.parametrize(
    "nonsense", ["abc", "", "x", "10x", "x10", "1x2x3", "-5", "10.5", True, (1, 2, 3), (1.5, 2)]
)
def test_nonsense_is_told_how_to_write_it(nonsense):
    with pytest.raises(ValueError, match="is no size; write 224, or 100x200"):
        read_size(nonsense)
    with pytest.raises(BadOptions, match="is no size"):
        Preprocessing().at(nonsense)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("0x10", "0x10 is below 16"),
        (15, "15 is below 16"),
        ("5000x5000", "5000 is above 2048"),
        ("16x2049", "16x2049 is above"),
    ],
)
def test_a_side_out_of_bounds_is_named(size, said):
    with pytest.raises(ValueError, match=said):
        read_size(size)
    with pytest.raises(BadOptions, match="is outside 16"):
        Preprocessing().at(size)


def test_a_card_takes_every_spelling():
    assert Preprocessing().at("100x200") == Preprocessing().at((100, 200)) == Preprocessing().at([100, 200])
    assert Preprocessing().at("96") == Preprocessing().at(96)
    assert Preprocessing().at("100x200").digest() != Preprocessing().at("200x100").digest()
