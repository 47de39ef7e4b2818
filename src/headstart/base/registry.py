"""A named set of things of one kind, with a helpful error for an unknown name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from headstart.base.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to things of one kind.

    Examples
    --------
    >>> shapes: Registry[int] = Registry("shape")
    >>> shapes.add("square", 4)
    4
    >>> shapes["square"]
    4
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> T:
        """Register one item; a name can be taken once."""
        if name in self._items:
            raise ValueError(f"the {self.kind} {name!r} is registered already")
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[T], T]:
        """`add` as a decorator."""
        return lambda item: self.add(name, item)

    def __getitem__(self, name: str) -> T:
        try:
            return self._items[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._items) from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def names(self) -> tuple[str, ...]:
        """The names in the order of registration."""
        return tuple(self._items)
