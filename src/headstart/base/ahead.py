"""Work done a few steps ahead of whoever consumes it, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(work: Callable[[T], R], given: Iterable[T], workers: int) -> Iterator[R]:
    """Results of `work` for each item, in order; at most twice as many as workers wait at any time.

    Examples
    --------
    >>> list(ahead(abs, [-1, 2, -3], workers=2))
    [1, 2, 3]
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in given:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()
