"""A kept model as the teacher of `fit --teacher FOLDER` and `tune --teacher FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadImage, UsageError
from headstart.base.hashing import digest_file

if TYPE_CHECKING:
    import numpy as np

    from headstart.export.bundle import Bundle


class BundleTeacher:
    """A bundle with the face of a fitted classifier.

    Attributes
    ----------
    seen_ : frozenset of str
        Content hashes of the images it was fitted and chosen on.
    id : str
        Of its content, wherever its folder lies.
    """

    def __init__(self, bundle: Bundle) -> None:
        import numpy as np

        self.bundle, self.classes_ = bundle, np.array(bundle.classes)
        self.seen_ = bundle.seen()
        self.id = digest_file(bundle.folder / "card.json")  # the card holds the digests of the other files

    def predict_proba(self, items: Sequence[Any]) -> np.ndarray:
        """Probabilities (n, k) of images that can all be read."""
        found = self.bundle.predict_proba(items)
        if found.problems:
            raise BadImage(found.problems[0].path, found.problems[0].reason)
        return found.probabilities


def teacher_of(name: Any) -> Any:
    """A backbone's name as it is, the folder of a model as a classifier.

    Raises
    ------
    UsageError
        The model has several outputs.
    BundleError
        The folder holds no model, or a broken one.
    """
    if not name or not Path(str(name)).is_dir():
        return name
    from headstart.export.bundle import load_bundle

    bundle = load_bundle(str(name))
    if bundle.several:
        raise UsageError(f"teacher: the model in {name} has several outputs; give one that has a single one")
    return BundleTeacher(bundle)
