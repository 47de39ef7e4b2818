"""Which tricks are on in which run, and which runs speak for which trick: four designs, all pure.

One at a time over the bare baseline; one left out of the full bag; added in order; and two-level fractional
factorial designs for interactions (Box and Hunter, The 2^(k-p) Fractional Factorial Designs, Technometrics 3, 1961),
whose generators are found by search for the fewest runs of the resolution that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

ONE, LEAVE, ADD, FACTORIAL = "one-at-a-time", "leave-one-out", "in-order", "factorial"
DESIGNS = (ONE, LEAVE, ADD, FACTORIAL)
FULL = 0
"""Resolution of a design that holds every combination."""
MOST_RUNS = 256

On = frozenset[str]


@dataclass(frozen=True)
class Contrast:
    """How a trick's effect comes out of the runs: the mean of some less the mean of others.

    Attributes
    ----------
    name : str
        The trick; two of them joined by " x " for an interaction.
    plus, minus : tuple of frozenset of str
        What is on in the runs of either side.
    aliases : tuple of str
        Interactions that the same runs cannot tell from this one.
    """

    name: str
    plus: tuple[On, ...]
    minus: tuple[On, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Design:
    """The runs of a design and what they tell.

    Attributes
    ----------
    kind : str
    tricks : tuple of str
    runs : tuple of frozenset of str
        The tricks that are on in each.
    contrasts : tuple of Contrast
    resolution : int or None
        Of a factorial design: 3, 4, 5 ..., `FULL` where no combination is left out; None for other designs.
    """

    kind: str
    tricks: tuple[str, ...]
    runs: tuple[On, ...]
    contrasts: tuple[Contrast, ...]
    resolution: int | None = None


def make_design(kind: str, tricks: Sequence[str], resolution: int = 4) -> Design:
    """The runs that a design needs.

    Parameters
    ----------
    kind : {"one-at-a-time", "leave-one-out", "in-order", "factorial"}
    tricks : sequence of str
        In the order in which they are added.
    resolution : int
        Least resolution of a factorial design, 3 to 5: with 4 no main effect is mistaken for an interaction of
        two, with 5 no two such interactions for one another.

    Examples
    --------
    >>> [sorted(run) for run in make_design("in-order", ["a", "b"]).runs]
    [[], ['a'], ['a', 'b']]
    """
    names, none, everything = tuple(tricks), frozenset[str](), frozenset(tricks)
    if kind == FACTORIAL:
        return _factorial(names, resolution)
    if kind == ONE:
        pairs = [(name, frozenset({name}), none) for name in names]
    elif kind == LEAVE:
        pairs = [(name, everything, everything - {name}) for name in names]
    else:
        filled = [frozenset(names[: at + 1]) for at in range(len(names))]
        pairs = [(name, now, now - {name}) for name, now in zip(names, filled, strict=True)]
    runs = dict.fromkeys(run for _, with_it, without in pairs for run in (without, with_it))
    contrasts = tuple(Contrast(name, (with_it,), (without,)) for name, with_it, without in pairs)
    return Design(kind, names, tuple(runs), contrasts)


def _factorial(names: tuple[str, ...], resolution: int) -> Design:
    n_base, columns = columns_of(len(names), resolution)
    rows = range(1 << n_base)
    runs = tuple(
        frozenset(name for name, column in zip(names, columns, strict=True) if _odd(column & row))
        for row in rows
    )
    together: dict[int, list[tuple[str, str]]] = {}
    for (a, one), (b, other) in combinations(zip(names, columns, strict=True), 2):
        together.setdefault(one ^ other, []).append((a, b))
    contrasts = []
    for name, column in zip(names, columns, strict=True):
        plus, minus = tuple(r for r in runs if name in r), tuple(r for r in runs if name not in r)
        # at resolution 3 the runs with a trick may be those where two others differ: the same contrast, turned round
        aliases = tuple(f"minus {a} x {b}" for a, b in together.pop(column, ()))
        contrasts.append(Contrast(name, plus, minus, aliases))
    for pairs in together.values():
        a, b = pairs[0]
        same = tuple(run for run in runs if (a in run) == (b in run))
        apart = tuple(run for run in runs if (a in run) != (b in run))
        aliases = tuple(f"{c} x {d}" for c, d in pairs[1:])
        contrasts.append(Contrast(f"{a} x {b}", same, apart, aliases))
    found = FULL if n_base == len(names) else least_word(columns)
    return Design(FACTORIAL, names, runs, tuple(contrasts), found)


def columns_of(n_tricks: int, resolution: int) -> tuple[int, tuple[int, ...]]:
    """Number of base columns, and each trick's column as a set of them (bits), with the fewest runs.

    Columns of one bit are free; each other is the product of some of them. Any `resolution` - 1 of the columns
    are independent, which is what the resolution says.
    """
    for n_base in range(1, n_tricks + 1):
        for order in (_near(resolution - 1), _near(n_base)):
            chosen = [1 << bit for bit in range(n_base)]
            for candidate in sorted(_products(n_base), key=order):
                if len(chosen) < n_tricks and _independent([*chosen, candidate], resolution):
                    chosen.append(candidate)
            if len(chosen) >= n_tricks:
                return n_base, tuple(chosen[:n_tricks])
    raise AssertionError("every combination is always possible")


def _near(length: int) -> Callable[[int], tuple[int, int, int]]:
    """Products of about so many columns first."""
    return lambda each: (abs(each.bit_count() - length) % 2, abs(each.bit_count() - length), each)


def _products(n_base: int) -> Iterator[int]:
    return (each for each in range(1 << n_base) if each.bit_count() > 1)


def _independent(columns: Sequence[int], resolution: int) -> bool:
    """Whether the last column is no product of fewer than `resolution` - 1 of the others."""
    *others, last = columns
    return not any(
        _product(some) == last for n in range(1, resolution - 1) for some in combinations(others, n)
    )


def _product(columns: Sequence[int]) -> int:
    out = 0
    for each in columns:
        out ^= each
    return out


def least_word(columns: Sequence[int]) -> int:
    """Resolution of these columns: the fewest whose product is nothing; `FULL` where there are none."""
    for n in range(1, min(len(columns), 6) + 1):
        if any(_product(some) == 0 for some in combinations(columns, n)):
            return n
    return FULL


def _odd(bits: int) -> bool:
    return bits.bit_count() % 2 == 1
