"""What is known of a teacher before it is asked anything: its name, its content and its classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headstart.base.errors import UsageError


def is_fitted(teacher: Any) -> bool:
    """Whether it is a classifier that answers as it is, and no network that has yet to learn."""
    return hasattr(teacher, "predict_proba")


def teacher_name(teacher: Any) -> str:
    """What a record calls it: the name of a network, the type of a fitted classifier; "" without a teacher.

    Examples
    --------
    >>> teacher_name("lite1"), teacher_name(None)
    ('lite1', '')
    """
    if is_fitted(teacher):
        return type(teacher).__name__
    card = getattr(teacher, "card", None)
    return str(teacher or "") if card is None else str(card.name)


def content_of(teacher: Any) -> str:
    """By what a fitted teacher is known again: its content, else its name; "" of a network that has yet to learn."""
    return (str(getattr(teacher, "id", "")) or teacher_name(teacher)) if is_fitted(teacher) else ""


def told_of(teacher: Any) -> dict[str, str]:
    """What identifies it, JSON-like: `teacher`, its name, and `teacher_id`, its content, where it knows that."""
    known = str(getattr(teacher, "id", "")) if is_fitted(teacher) else ""
    return {"teacher": teacher_name(teacher), **({"teacher_id": known} if known else {})}


def check_classes(teacher: Any, classes: Iterable[Any]) -> None:
    """Refuse a teacher of other classes than those to be learned; one that does not know its own yet passes.

    Raises
    ------
    UsageError
        With what it lacks and what it has besides.
    """
    known = getattr(teacher, "classes_", None) if is_fitted(teacher) else None
    if known is None:
        return
    theirs, ours = {str(each) for each in known}, {str(each) for each in classes}
    if theirs != ours:
        raise UsageError(
            f"teacher: it knows other classes; it lacks {_some(ours - theirs)} and has {_some(theirs - ours)} "
            "besides; give one that was fitted on the same classes"
        )


def _some(names: set[str]) -> str:
    shown = sorted(names)[:3]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(repr(name) for name in shown) or "none") + more
