"""Numbers as a person reads them: one way to write each, used by the tables, the captions and the verdict.

Absent and not finite values are written as a dash, never as a zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from headstart.measure.values import Score

DASH = "–"
PERCENT_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_precision", "macro_recall")


def is_number(value: float | None) -> bool:
    """Whether there is a finite number to show."""
    return value is not None and math.isfinite(value)


def percent(value: float | None) -> str:
    """`0.8204` as `82.0 %`."""
    return f"{100 * value:.1f} %" if value is not None and math.isfinite(value) else DASH


def decimal(value: float | None, digits: int = 3) -> str:
    """`0.53719` as `0.537`."""
    return f"{value:.{digits}f}" if value is not None and math.isfinite(value) else DASH


def interval(score: Score, *, as_percent: bool = True) -> str:
    """The ends of the 95 % interval: `77.9–85.6`."""
    if not (is_number(score.low) and is_number(score.high)):
        return ""
    scale, digits = (100, 1) if as_percent else (1, 3)
    return f"{scale * score.low:.{digits}f}–{scale * score.high:.{digits}f}"


def signed_points(*shares: float) -> str:
    """A difference of shares in points with its sign, `+1.3`; of both ends of its interval `-0.4 to +3.1`."""
    return " to ".join(f"{100 * share:+.1f}" for share in shares)


def scored(score: Score) -> str:
    """Value and interval in one phrase: `82.0 % (95 % interval 77.9–85.6 %)`."""
    between = interval(score)
    return f"{percent(score.value)} (95 % interval {between} %)" if between else percent(score.value)


def duration(seconds: float | None) -> str:
    """Seconds with their unit, minutes or hours where that reads better."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 0.001:
        return "under 1 ms"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def longer(seconds: float | None) -> str:
    """A difference of seconds with its sign."""
    return DASH if seconds is None else f"{'-' if seconds < 0 else '+'}{duration(abs(seconds))}"


def size(n_bytes: float | None) -> str:
    """Bytes as kB, MB or GB (powers of ten)."""
    if not n_bytes or not math.isfinite(n_bytes):
        return DASH
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return (
                f"{n_bytes / scale:.3g} {unit}"
                if n_bytes < 999.5 * scale
                else f"{n_bytes / scale:.0f} {unit}"
            )
    return f"{n_bytes:.0f} B"


def count(n: int, one: str, many: str = "") -> str:
    """`1 image`, `2,400 images`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    given = list(names)
    if len(given) < 2:
        return "".join(given)
    return f"{', '.join(given[:-1])} and {given[-1]}"


def total_seconds(seconds: dict[str, float]) -> float | None:
    """All seconds of a method: its `total` where there is one, else the sum; None where none are known."""
    if not seconds:
        return None
    return seconds["total"] if "total" in seconds else sum(seconds.values())


def seconds_parts(seconds: dict[str, float]) -> str:
    """The parts of the seconds in their own order: `38 + 3.2 + 0.1`; "" where there is but one."""
    parts = [value for name, value in seconds.items() if name != "total"]
    return (
        " + ".join(f"{value:.1f}" if value < 10 else f"{value:.0f}" for value in parts)
        if len(parts) > 1
        else ""
    )


def search_measures(k: int) -> tuple[tuple[str, str, str], ...]:
    """The measures of a search, in order: key, name, and what it says, for the first k results."""
    return (
        ("map", "mAP", "mean average precision: 1 where every image of the class comes before any other"),
        ("precision_at_k", f"precision at {k}", f"share of the first {k} that are of the query's class"),
        ("recall_at_k", f"recall at {k}", f"share of all images of the class that are among the first {k}"),
        (
            "r_precision",
            "R-precision",
            "share of the first R that are of the class, R the number of its images",
        ),
        ("ndcg", "NDCG", "gain discounted by the logarithm of the rank, against the best order"),
    )
