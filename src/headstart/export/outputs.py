"""The outputs of a model that has several: which columns of its answers are whose, and what is decided from them.

The graph gives one table, the probabilities of all outputs side by side (of a number its value), so that whatever
runs one output runs several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.images.column_kinds import KINDS
from headstart.methods.output import Output, decide

if TYPE_CHECKING:
    from headstart.methods.output_heads import OutputModel


@dataclass(frozen=True)
class Answer:
    """One output of a model.

    Attributes
    ----------
    output : Output
    thresholds : tuple of float
        Of the kind "labels".
    first, last : int
        Its columns of the model's answers: first .. last - 1.
    temperature : float
    facts : dict
        What the card says beside: how it was chosen, on how many images.
    """

    output: Output
    thresholds: tuple[float, ...]
    first: int
    last: int
    temperature: float
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the output."""
        return self.output.name

    def of(self, table: np.ndarray) -> np.ndarray:
        """Its probabilities (n, k), or numbers (n,), out of the model's answers."""
        own = table[:, self.first : self.last]
        return own[:, 0] if self.output.kind == "number" else own

    def decided(self, table: np.ndarray) -> np.ndarray:
        """What it predicts, coded."""
        return decide(self.output, self.of(table), self.thresholds or None)

    def said(self, row: np.ndarray) -> str | float | list[str]:
        """What it predicts of one image (a row of answers): a class or level, labels, a number."""
        code = self.decided(row[None])[0]
        if self.output.kind == "number":
            return float(code)
        if self.output.kind == "labels":
            return [level for level, there in zip(self.output.levels, code, strict=True) if there]
        return self.output.levels[int(code)]

    def entries(self, row: np.ndarray, top: int) -> list[dict[str, Any]]:
        """Classes, labels or levels with their probabilities, the most probable first; a number's value.

        Of labels each says whether it is given: its probability reaches its threshold.
        """
        own = self.of(row[None])[0]
        if self.output.kind == "number":
            return [{"value": float(own)}]
        given = None
        if self.output.kind == "labels":
            decided = self.decided(row[None])[0]
            given = {level for level, there in zip(self.output.levels, decided, strict=True) if there}
        found = []
        for at in (-own).argsort(kind="stable")[:top]:
            level = self.output.levels[at]
            more = {} if given is None else {"given": level in given}
            found.append({"label": level, "probability": float(own[at]), **more})
        return found


def width_of(output: Output) -> int:
    """Columns of an output's answers."""
    return 1 if output.kind == "number" else len(output.levels)


def facts_of_model(model: OutputModel) -> dict[str, Any]:
    """What the card says of an output."""
    return {
        **model.output.to_dict(), "thresholds": list(model.thresholds), "temperature": model.temperature,
        "score": model.score, "selected_on": model.selected_on, "chosen": model.chosen,
        "head": None if model.head is None else model.head.name, "n_train": model.n_train,
        "n_validation": model.n_validation,
    }  # fmt: skip


def answers_of(card: Mapping[str, Any]) -> tuple[Answer, ...]:
    """The outputs of a card; one of classes where it names none."""
    said = card.get("outputs")
    if not said:
        classes = tuple(map(str, card["classes"]))
        return (Answer(Output(str(card["target"]), "classes", classes), (), 0, len(classes), 1.0, {}),)
    found, first = [], 0
    for each in said:
        output = Output.from_dict(each)
        if output.kind not in KINDS:
            raise ValueError(f"{output.kind!r} is no kind of output; known: {', '.join(KINDS)}")
        last = first + width_of(output)
        facts = {
            name: each.get(name)
            for name in ("score", "selected_on", "chosen", "head", "n_train", "n_validation")
        }
        found.append(
            Answer(
                output, tuple(map(float, each["thresholds"])), first, last, float(each["temperature"]), facts
            )
        )
        first = last
    return tuple(found)


def scales_of(outputs: Sequence[Output]) -> np.ndarray:
    """What differences are measured in, a column of answers: 1 of a probability, the deviation of a number."""
    return np.concatenate(
        [[output.scale] if output.kind == "number" else np.ones(len(output.levels)) for output in outputs]
    ).astype(np.float32)


def side_by_side(outputs: Sequence[Output], found: Mapping[str, np.ndarray]) -> np.ndarray:
    """Answers of each output by name as one table, float32 (n, columns)."""
    parts = [np.asarray(found[output.name], np.float32) for output in outputs]
    return np.concatenate([part[:, None] if part.ndim == 1 else part for part in parts], axis=1)
