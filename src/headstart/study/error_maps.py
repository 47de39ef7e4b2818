"""Where the best method looked when it erred and was sure: class-activation maps (Grad-CAM) of a few test images.

They are made while the network is at hand: of a network that trains right after its run, of a head on features at the
end of the study, when the best is known. Only coarse maps are kept, so that a report needs no network, and beside each
its correlation with the map of the same network with random weights.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headstart.base.errors import HeadstartError
from headstart.base.events import unheard, warn
from headstart.study.error_map import ErrorMap
from headstart.study.partition import Dataset
from headstart.study.records import Cell, CellResult
from headstart.study.retrieval import RETRIEVAL
from headstart.study.store import StudyStore
from headstart.study.summarise import choose_best, most_images, summarise

if TYPE_CHECKING:
    import numpy as np

    from headstart.explain.target import Target
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.methods.multi_output import MultiOutputTransfer
    from headstart.methods.output import Output

N_MAPS = 6
"""Images of a run that get a map: one pass forward and one back each."""


def surest_errors(probabilities: np.ndarray, truth: np.ndarray, n: int = N_MAPS) -> list[int]:
    """Positions of the wrong answers with the highest probability, the surest first.

    Parameters
    ----------
    probabilities : float array (n_test, k)
    truth : int array (n_test,)
    n : int
        At most so many.
    """
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return [int(at) for at in (-sure).argsort(kind="stable") if said[at] != truth[at]][:n]


def best_heads(cells: Sequence[Cell], results: Mapping[str, CellResult]) -> list[Cell]:
    """The first finished run of each dataset's best method, where that is a head on features of one output."""
    asked = [cell for cell in cells if cell.scenario != RETRIEVAL and not cell.sharing]
    known = {cell.id: results[cell.id] for cell in asked if cell.id in results}
    most = most_images(asked)
    rows = [row for row in summarise(asked, known) if row.per_class == most[row.dataset]]
    best = choose_best(rows, known)
    winners = [row for row in rows if best.get(row.dataset) == row.method and not row.trains]
    done = [[known[id].cell for id in row.cells if id in known and known[id].whole] for row in winners]
    return [runs[0] for runs in done if runs]


def without_maps(cells: Sequence[Cell], datasets: Mapping[str, Dataset]) -> list[str]:
    """Datasets of several outputs whose errors get no maps: a line each that says so."""
    return [
        f"{dataset}: the errors of several outputs have no maps here; `headstart explain MODEL IMAGE` makes them for "
        "each output"
        for dataset in dict.fromkeys(cell.dataset for cell in cells if cell.sharing)
        if mapped_output(datasets[dataset]) is None
        or not any(cell.trains for cell in cells if cell.sharing and cell.dataset == dataset)
    ]


def mapped_output(data: Dataset) -> Output | None:
    """Of several outputs the one whose errors get maps: the first of the kind classes."""
    return next((output for output in data.outputs if output.kind == "classes"), None)


def first_fold_options(result: CellResult) -> dict[str, Any]:
    """Options that the search of the run's first fold chose; {} where the method's defaults served."""
    for search in result.tuning[:1]:
        for trial in search["trials"]:
            if trial["number"] == search["best"] and not trial["default"]:
                return dict(trial["params"])
    return {}


def shown_closely(cell: Cell, cells: Sequence[Cell]) -> bool:
    """Whether a run is the first of its method on most images: the one that a report looks at closely."""
    mine = [each for each in cells if (each.dataset, each.method) == (cell.dataset, cell.method)]
    most = most_images(mine)[cell.dataset]
    return next(each.id for each in mine if each.per_class == most) == cell.id


def network_maps(
    model: FineTuneClassifier, cell: Cell, data: Dataset, probabilities: np.ndarray
) -> tuple[ErrorMap, ...]:
    """Maps of a network that was just trained, on the test images of the run's first fold."""
    from headstart.explain.target import target_of_network

    def target() -> Target:
        preprocessing, classes = model.card_.preprocessing, [str(name) for name in model.classes_]
        return target_of_network(model.network_, preprocessing, classes, name=cell.method)

    return _made(
        cell, data, _of_fold(cell, data, probabilities), target, [str(name) for name in model.classes_]
    )


def joint_maps(
    model: MultiOutputTransfer, cell: Cell, data: Dataset, answers: np.ndarray
) -> tuple[ErrorMap, ...]:
    """Maps of a network of several outputs that was just trained: of the errors of `mapped_output`.

    Parameters
    ----------
    model : MultiOutputTransfer
        Of the run's first fold.
    cell : Cell
    data : Dataset
    answers : ndarray, shape (n_test, columns)
        What it said, in the columns of all outputs.
    """
    from headstart.explain.target import target_of_outputs
    from headstart.methods.output import encode

    output = mapped_output(data)
    if output is None:
        return ()
    first = sum(max(1, len(each.levels)) for each in data.outputs[: data.outputs.index(output)])
    rows = data.partition(cell.seed).folds[0].test
    cells = [data.table.labels[output.name][row] for row in rows]
    erred = _Errors(
        rows, encode(output, cells), answers[:, first : first + len(output.levels)], output.levels
    )

    def target() -> Target:
        temperatures = [each.temperature for each in model.models_]
        return target_of_outputs(
            model.network_, model.card_.preprocessing, model.outputs_, temperatures, name=cell.method
        )

    own = next(each for each in model.outputs_ if each.name == output.name)
    return _made(cell, data, erred, target, list(own.levels), output.name)


def head_maps(
    cell: Cell,
    data: Dataset,
    features: np.ndarray,
    probabilities: np.ndarray,
    make_head: Callable[[str], Any],
) -> tuple[ErrorMap, ...]:
    """Maps of a head on frozen features, which is fitted once more on the run's first fold.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
        One row for each row of the dataset's table.
    probabilities : ndarray, shape (n_test, k)
        What the run said.
    make_head : callable
        Name to an unfitted head.
    """
    import numpy as np

    from headstart.backbones.load import load
    from headstart.explain.target import target_of_head

    fold, codes = data.partition(cell.seed, cell.per_class).folds[0], data.codes()
    train, held = np.array(fold.train, dtype=int), np.array(fold.validation, dtype=int)
    groups = None if data.table.groups is None else [data.table.groups[row] for row in fold.train]
    head = make_head(cell.head)
    validation = (features[held], codes[held]) if len(held) else None
    head.fit(
        features[train], codes[train], validation=validation, seed=cell.seed or 0, groups=groups,
        folds=fold.inner or None,
    )  # fmt: skip
    classes = [data.classes()[int(code)] for code in head.classes_]

    def target() -> Target:
        backbone = load(cell.backbone).at((cell.height, cell.width))
        return target_of_head(backbone, [(cell.module, cell.pooling)], head, classes, name=cell.method)

    return _made(cell, data, _of_fold(cell, data, probabilities), target, classes)


def map_best(result: CellResult, data: Dataset, features: np.ndarray, store: StudyStore) -> None:
    """Make the maps of a head's run and keep them, unless they are there already."""
    from headstart.methods.heads import make_head

    cell, options = result.cell, first_fold_options(result)
    stored = store.probabilities(cell.id)
    if stored is not None and store.maps(cell.id) is None:
        maps = head_maps(cell, data, features, stored[0], lambda name: make_head(name, **options))
        store.put_maps(cell.id, maps)


@dataclass(frozen=True, eq=False)
class _Errors:
    """Rows of test images, their true classes (-1: not known), what was said of them, and the names of the classes."""

    rows: Sequence[int]
    truth: np.ndarray
    probabilities: np.ndarray
    classes: Sequence[str]

    def surest(self) -> list[tuple[int, str]]:
        """Rows of the surest errors and the class that was named."""
        import numpy as np

        there = np.flatnonzero(self.truth >= 0)
        given = self.probabilities[there]
        wrong = surest_errors(given, self.truth[there])
        return [(self.rows[int(there[at])], self.classes[int(given[at].argmax())]) for at in wrong]


def _of_fold(cell: Cell, data: Dataset, probabilities: np.ndarray) -> _Errors:
    """The test images of a run's first fold."""
    import numpy as np

    test = data.partition(cell.seed, cell.per_class).folds[0].test
    return _Errors(test, data.codes()[list(test)], np.asarray(probabilities)[: len(test)], data.classes())


def _made(
    cell: Cell, data: Dataset, erred: _Errors, make_target: Callable[[], Target], classes: list[str], output: str = ""
) -> tuple[ErrorMap, ...]:  # fmt: skip
    """Coarse maps of the surest errors; a reason that there are none is a warning, which the report shows."""
    kept = [(row, name) for row, name in erred.surest() if name in classes]
    if not kept:
        return ()
    try:
        target = make_target()
        if not target.has_gradient:
            warn(f"{cell.method}: its head has no gradient, so its errors have no maps")
            return ()
        pixels = target.prepared([data.table.item(row) for row, _ in kept])
        from headstart.explain.cam import class_activation
        from headstart.explain.faithful import sanity

        numbers = [classes.index(name) for _, name in kept]
        found = class_activation(target, pixels, numbers, output=output or None)
        with unheard():  # its bar would stand between those of the study
            checked = sanity(target, pixels, found, draws=1)
    except (HeadstartError, RuntimeError) as error:
        warn(
            f"{cell.method}: no maps of its errors could be made: {str(error).strip() or type(error).__name__}"
        )
        return ()
    figures = zip(checked.correlations[0], checked.others[0], strict=True)
    return tuple(
        replace(
            error_map(data.table.paths[row], name, grid),
            checked=True, randomised=_finite(own), other=_finite(other), output=output,
        )
        for (row, name), grid, (own, other) in zip(kept, found.coarse, figures, strict=True)
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return None if value != value else float(value)


def error_map(path: str, said: str, grid: np.ndarray) -> ErrorMap:
    """A map of any scale, at least 0, as it is kept: the largest value is 255."""
    import numpy as np

    top = float(grid.max())
    values = np.round(255 * grid / top if top > 0 else np.zeros_like(grid)).astype(np.uint8)
    rows, columns = values.shape
    return ErrorMap(path, said, rows, columns, base64.b64encode(values.tobytes()).decode("ascii"))
