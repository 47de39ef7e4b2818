"""The id of a run: a hash of what it is, whatever folder the weights of its networks lie in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headstart.backbones.catalog import without_folder
from headstart.base.hashing import digest_json

NEW = ("cut", "training", "per_class", "tuned", "tricks", "fold", "shifted", "sharing", "outputs")
"""Fields of a cell that its id leaves out where they are empty."""


def content_id(fields: Mapping[str, Any]) -> str:
    """The id of a cell with these fields.

    A file of weights is known by its content, which stands beside its name; so an archive, which names no folder of
    the machine, has the ids of the study. A run of the scenario features keeps the id that it had before there were
    others.
    """
    own = {name: value for name, value in fields.items() if name not in NEW or value}
    own["backbone"] = without_folder(own["backbone"])
    options = json.loads(own.get("training") or "{}")
    teacher = str(options.get("teacher") or "")
    if without_folder(teacher) != teacher:
        own["training"] = json.dumps(options | {"teacher": without_folder(teacher)}, sort_keys=True)
    return digest_json(own)
