"""A fitted head as arrays and JSON values, and back: for safetensors and a card, without skops.

Importing skops loads every estimator of scikit-learn, and torch with it where torch is installed: seconds
that `predict` from a bundle need not spend. Nothing but numbers and names is read, so nothing can be run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.base.errors import BundleError, UsageError
from headstart.methods.heads import make_head
from headstart.methods.heads_base import Head

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUES = ("chosen_", "path_", "selection_", "selected_on_", "seed_matters_", "temperature_", "n_features_in_")
SCALING = ("mean_", "scale_")


def head_state(head: Head) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays by name, and values fit for JSON (labels among them).

    Raises
    ------
    UsageError
        The head is not fitted, or its labels are no strings, integers or booleans.
    """
    if not hasattr(head, "model_"):
        raise UsageError(f"the head {head.name!r} is not fitted; call fit before saving it")
    labels = head.classes_.tolist()
    if not all(isinstance(label, str | int | bool) for label in labels):
        raise UsageError("labels must be strings, integers or booleans to be saved")
    arrays = {name: getattr(head, name) for name in SCALING}
    arrays |= {f"model.{k}": v for k, v in head.model_.items() if isinstance(v, np.ndarray)}
    values: dict[str, Any] = {name: getattr(head, name) for name in VALUES}
    values["selection_"] = None if np.isnan(head.selection_) else float(head.selection_)
    values["path_"] = [[value, accuracy] for value, accuracy in head.path_]
    values["model"] = {k: _plain(v) for k, v in head.model_.items() if not isinstance(v, np.ndarray)}
    options = {name: _plain(value) for name, value in head.get_params().items()}
    return arrays, {"head": head.name, "options": options, "classes": labels, **values}


def head_from_state(arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> Head:
    """The fitted head that `head_state` was made from.

    Raises
    ------
    BundleError
        Something is missing.
    """
    try:
        head = make_head(values["head"], **values["options"])
        head.classes_ = np.array(values["classes"])
        for name in VALUES:
            setattr(head, name, values[name])
        for name in SCALING:
            setattr(head, name, np.asarray(arrays[name]))
        head.selection_ = float("nan") if values["selection_"] is None else values["selection_"]
        head.path_ = [(value, accuracy) for value, accuracy in values["path_"]]
        model = {name.removeprefix("model."): a for name, a in arrays.items() if name.startswith("model.")}
        head.model_ = {**values["model"], **model}
    except (KeyError, TypeError) as error:
        raise BundleError(f"the saved head is incomplete or of another version: {error}") from error
    return head


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
