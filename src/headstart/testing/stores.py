"""The contract suite of stores of vectors: the embedded one and every database must pass it.

`check_store(open_store)` runs each check on a store of its own; a check fails with AssertionError. `open_store(name)`
gives a new handle to the store of that name, which may be empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.base.errors import Busy, DataError, UnknownName
from headstart.features.neighbours.exact import nearest, unit
from headstart.features.stores.contract import Cells, Key, Records, VectorStore
from headstart.features.stores.where import holds, parse_where

Open = Callable[[str], VectorStore]
D = 6
ODD_NAME = 'x"; DROP TABLE headstart; -- {a} %s $1 \\'
ODD_CELLS = (
    "it's", 'a "b"', "'; DROP TABLE headstart; --", "NULL", "\x00nul\x01", "\udcff.jpg", "\ud7ff", "é\U0001f600", "%s {x}",
    "\\", "", " 3 ", "1_000", "nan", "inf", "-0.0", "3e2", "Z", "a", "ｆ", "１２", None,
)  # fmt: skip
CONDITIONS = (
    'label == "hat"', 'label != "hat"', 'label in ("hat", "dress")', 'label in ("hat", 3)', 'label < "e"', 'label >= "hat"',
    "width > 100", "width <= 80.5", "width == 3e2", "width != 300", "width in (300, 'x')", "width < 1e999", 'width > "3"',
    'label == "hat" and width > 100', 'label == "dress" or (width < 100 and label != "hat")', 'path == "p3"',
    'path != "p3"', 'path < "p5" and digest != "d1"', 'path in ("p1", "p2", "none")', 'label == "no such"',
    "label == \"x' OR 1=1 --\"", 'label == "1 = 1; DROP TABLE t"', "label != 5", "odd == 12", "odd == 1000", "odd != 0",
    "odd > 2", "odd >= 1e999", "odd <= -0", 'odd == "NULL"', 'odd == ""', 'odd != ""', 'odd > "\ud7ff"', 'odd <= "\x00zzz"',
    'odd < "\udcff"', 'odd == "\udcff.jpg"', 'odd == "\\\\"', "odd == \"'; DROP TABLE headstart; --\"", 'odd > "Z"',
    'odd in ("%s {x}", "é\U0001f600", 3)', f"`{ODD_NAME}` == 'yes'", f"`{ODD_NAME}` != 'yes' or label == 'hat'",
)  # fmt: skip


def records(n: int, *, first: int = 0, seed: int = 0, d: int = D, **columns: Cells) -> Records:
    """Images p0, p1 ... with random vectors of length one."""
    vectors = unit(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))
    names = range(first, first + n)
    made: dict[str, Cells] = {
        "root": ("/data",) * n, "path": tuple(f"p{at}" for at in names), "digest": tuple(f"d{at}" for at in names),
    }  # fmt: skip
    return Records({**made, **columns}, vectors)


def card_of(metric: str = "cosine") -> dict[str, Any]:
    """A card as a store keeps it."""
    return {"format": "headstart-index", "metric": metric, "backbone": 'lite0 é "quoted" \udcff', "whiten": 3}


def put(
    store: VectorStore, new: Records, gone: tuple[Key, ...] = (), metric: str = "cosine", **extra: np.ndarray
) -> None:
    """One change, as the one writer."""
    with store.writing():
        store.change(new, gone, card_of(metric), extra or None)


def check_store(open_store: Open) -> None:
    """Every promise of `headstart.features.stores.contract.VectorStore`."""
    for check in CHECKS:
        check(open_store)


def an_empty_store_is_empty(open_store: Open) -> None:
    """No card, no rows, no arrays."""
    store = open_store("empty")
    assert store.card == {} and len(store) == 0 and store.arrays() == {} and store.approximate is None
    assert store.columns == {"root": (), "path": (), "digest": ()} and len(store.rows) == 0


def images_are_added_replaced_and_removed(open_store: Open) -> None:
    """In order; one that is put again moves to the end; another handle sees the same."""
    store = open_store("changes")
    put(store, records(5, label=("hat", None, "hat", "dress", "hat")))
    put(store, records(2, first=1, seed=9, size=("S", "M")), (("/data", "p4"), ("/data", "nowhere")))
    for each in (store, open_store("changes")):
        assert each.columns["path"] == ("p0", "p3", "p1", "p2")
        assert each.columns["label"] == ("hat", "dress", None, None)
        assert each.columns["size"] == (None, None, "S", "M")
        assert len(each) == len(each.rows) == 4 and (np.diff(each.rows) > 0).all()
        assert each.names == tuple(each.columns) == ("root", "path", "digest", "label", "size")
        expected = np.concatenate([records(5).vectors[[0, 3]], records(2, seed=9).vectors])
        assert np.array_equal(each.vectors(), expected)
        assert np.array_equal(each.vectors(each.rows[[2, 0, 2]]), expected[[2, 0, 2]])
        assert each.cells(each.rows[[2, 0]])["size"] == ("S", None)
    put(store, records(0), tuple(zip(store.columns["root"], store.columns["path"], strict=True)))
    assert len(open_store("changes")) == 0
    put(store, records(3))
    assert open_store("changes").columns["path"] == ("p0", "p1", "p2")


def odd_cells_and_columns_come_back(open_store: Open) -> None:
    """Quotes, NUL, bytes that are no UTF-8, missing cells; a column of a hostile name."""
    store = open_store("odd")
    n = len(ODD_CELLS)
    new = records(n, odd=ODD_CELLS)
    new.columns[ODD_NAME] = ("yes",) * n
    new.columns["path"] = tuple(f"p{at}{cell}" for at, cell in enumerate(ODD_CELLS))
    put(store, new)
    again = open_store("odd")
    assert again.columns == new.columns and again.names == tuple(new.columns)
    put(again, records(0), (("/data", new.columns["path"][5]),))
    assert len(open_store("odd")) == n - 1 and "\udcff.jpg" not in again.columns["odd"]


def neighbours_are_the_exact_ones(open_store: Open) -> None:
    """By both metrics, as plain products of matrices find them; more than there are: -1 and NaN behind."""
    for metric in ("cosine", "l2"):
        store = open_store(f"exact_{metric}")
        new, queries = records(40), records(7, seed=3).vectors
        put(store, new, metric=metric)
        rows, scores = nearest(queries, new.vectors, 10, metric)
        found = store.search(queries, 10)
        assert np.array_equal(found.rows, store.rows[rows]), metric
        assert np.allclose(found.scores, scores if metric == "cosine" else -scores, atol=1e-5)
        all_of = store.search(queries, 43)
        assert all_of.rows.shape == all_of.scores.shape == (7, 43) and all_of.rows.dtype == np.int64
        assert (all_of.rows[:, 40:] == -1).all() and np.isnan(all_of.scores[:, 40:]).all()
        assert (np.sort(all_of.rows[:, :40], axis=1) == store.rows).all()


def of_equal_images_the_earlier_come_first(open_store: Open) -> None:
    """One image, then many that are all the same, then one that is a vector of zeros."""
    for metric in ("cosine", "l2"):
        store = open_store(f"equal_{metric}")
        same = records(1).vectors
        put(store, records(1), metric=metric)
        one = store.search(same, 1)
        assert one.rows.tolist() == [[store.rows[0]]]
        assert np.allclose(one.scores, metric == "cosine", atol=2e-3)
        new = records(20)
        put(store, Records(new.columns, np.repeat(same, 20, axis=0)), metric=metric)
        assert store.search(same, 5).rows.tolist() == [store.rows[:5].tolist()]
        put(
            store,
            Records(records(1, first=99).columns, np.zeros((1, D), np.float32)),
            metric=metric,
        )
        last = store.search(same, 21)
        assert last.rows[0, -1] == store.rows[-1] and np.isfinite(last.scores).all()


def conditions_mean_the_same_everywhere(open_store: Open) -> None:
    """Every form, hostile literals and columns too: what `holds` says of the columns, and nothing is harmed."""
    store = open_store("where")
    n = len(ODD_CELLS)
    label = (*("hat", "dress", None, 'a "b"\'', "5", "x' OR 1=1 --") * 4,)[:n]
    width = (*("300", "80.5", "x", None, "1e3", "-3") * 4,)[:n]
    new = records(n, odd=ODD_CELLS, label=label, width=width)
    new.columns[ODD_NAME] = tuple(("yes", "no", None)[at % 3] for at in range(n))
    put(store, new)
    query = records(1, seed=5).vectors
    for text in CONDITIONS:
        condition = parse_where(text)
        true = np.flatnonzero(holds(condition, new.columns))
        rows, _ = nearest(query, new.vectors, n, "cosine", true)
        found = store.search(query, n, condition).rows[0]
        assert found[found >= 0].tolist() == store.rows[rows[0]].tolist(), text
    _expect(
        UnknownName, lambda: store.search(query, 1, parse_where("lable == 'hat'")), "did you mean 'label'"
    )
    assert len(open_store("where")) == n


def vectors_that_cannot_be_compared_are_refused(open_store: Open) -> None:
    """NaN, infinity, another length, in images and in queries; nothing is lost."""
    store = open_store("bad")
    put(store, records(3))
    for value in (np.nan, np.inf):
        bad = records(2, first=7)
        bad.vectors[1, 2] = value
        _expect(DataError, lambda bad=bad: put(store, bad), "p8")  # type: ignore[misc]
        _expect(DataError, lambda bad=bad: store.search(bad.vectors, 1), "not finite")  # type: ignore[misc]
    _expect(DataError, lambda: put(store, records(2, first=7, d=D + 1)), f"for an index of {D}")
    _expect(DataError, lambda: store.search(np.zeros((1, D + 1), np.float32), 1), f"for an index of {D}")
    assert open_store("bad").columns["path"] == ("p0", "p1", "p2")


def the_card_and_arrays_come_back(open_store: Open) -> None:
    """As they were given, large ones too; a change without arrays leaves none."""
    store = open_store("card")
    arrays = {
        "mean": np.arange(D, dtype=np.float32),
        "matrix": np.random.default_rng(0).normal(size=(200, 300)).astype(np.float32),
    }
    put(store, records(2), mean=arrays["mean"], matrix=arrays["matrix"])
    again = open_store("card")
    assert again.card == card_of()
    kept = again.arrays()
    assert set(kept) == set(arrays) and all(np.array_equal(kept[name], arrays[name]) for name in arrays)
    put(again, records(1, first=5))
    assert open_store("card").arrays() == {}


def a_second_writer_is_refused(open_store: Open) -> None:
    """While the first writes; afterwards it sees what the first has written."""
    first, second = open_store("writers"), open_store("writers")
    put(first, records(2))
    with first.writing():
        _expect(Busy, lambda: put(second, records(1, first=7)), "")
        first.change(records(1, first=5), (), card_of())
    put(second, records(1, first=7))
    assert second.columns["path"] == open_store("writers").columns["path"] == ("p0", "p1", "p5", "p7")


def a_change_that_fails_changes_nothing(open_store: Open) -> None:
    """An error in the block of a writer leaves the index and frees it."""
    store = open_store("fails")
    put(store, records(2))

    def fail() -> None:
        with store.writing():
            raise DataError("the cause")

    _expect(DataError, fail, "the cause")
    put(store, records(1, first=5))
    assert open_store("fails").columns["path"] == ("p0", "p1", "p5")


CHECKS: tuple[Callable[[Open], None], ...] = (
    an_empty_store_is_empty,
    images_are_added_replaced_and_removed,
    odd_cells_and_columns_come_back,
    neighbours_are_the_exact_ones,
    of_equal_images_the_earlier_come_first,
    conditions_mean_the_same_everywhere,
    vectors_that_cannot_be_compared_are_refused,
    the_card_and_arrays_come_back,
    a_second_writer_is_refused,
    a_change_that_fails_changes_nothing,
)


def _expect(kind: type[Exception], call: Callable[[], Any], told: str) -> None:
    try:
        call()
    except kind as error:
        assert told in str(error), f"{told!r} is not in {error}"
    else:
        raise AssertionError(f"expected {kind.__name__}")
