"""What is said of groups: drawn splits part none, given ones may."""

from __future__ import annotations

import pytest

from headstart.images.table import ImageTable
from headstart.report.division import groups_words


def table_of(groups, splits=None):
    n = 6
    return ImageTable(
        "x", "", tuple(f"{at}.png" for at in range(n)), tuple(f"{at:032x}" for at in range(n)),
        {"label": tuple("ab"[at % 2] for at in range(n))}, groups=groups, splits=splits,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "splits", "said"),
    [
        (None, None, ""),
        (tuple("kkllmm"), None, "; 3 groups that no split parts"),
        (tuple("kkllmm"), ("train",) * 4 + ("test",) * 2, "; 3 groups that the given split keeps whole"),
        (tuple("kkllmm"), ("train",) * 3 + ("test",) * 3, "; 3 groups, 1 of them parted by the given split"),
    ],
)
def test_groups_are_said_to_be_whole_only_where_they_are(groups, splits, said):
    assert groups_words(table_of(groups, splits)) == said
