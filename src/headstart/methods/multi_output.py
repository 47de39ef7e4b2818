"""`MultiOutputTransfer`: several label columns, one network with a head a column, in any scenario.

Hard sharing: Caruana, Multitask Learning, Machine Learning 28, 1997. Soft sharing: networks of their own whose
weights are drawn together by an L2 penalty (Duong et al., Low Resource Dependency Parsing: Cross-lingual Parameter
Sharing in a Neural Network Parser, ACL 2015). Separate networks are the baseline that sharing has to better.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from headstart.base.errors import BadOptions, DataError, UnknownName
from headstart.base.events import warn
from headstart.base.options import mistakes, option
from headstart.features.extractor import listed
from headstart.images.table import ImageTable
from headstart.measure.joint import all_right
from headstart.measure.outputs import right
from headstart.methods.heads import HEADS
from headstart.methods.heads_base import cannot_balance
from headstart.methods.output import Output, decode, encode, is_missing
from headstart.methods.output_heads import OWN_HEADS, OutputModel, fit_output_head
from headstart.methods.output_rows import Rows, columns_of, rows_of_arrays, rows_of_table
from headstart.methods.output_scores import mean_score, output_score
from headstart.methods.outputs import outputs_of_columns
from headstart.methods.probe import TransferClassifier
from headstart.methods.sharing_options import SharingOptions

if TYPE_CHECKING:
    from headstart.methods.finetune import FineTuneClassifier


@dataclass(kw_only=True, eq=False, repr=False)
class MultiOutputTransfer(SharingOptions, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """A pretrained network with several outputs: classes, sets of labels, ordered levels, numbers.

    Parameters
    ----------
    estimator : TransferClassifier or FineTuneClassifier, optional
        The scenario with its options; it is cloned, never fitted itself (default: `TransferClassifier()`).
    sharing : {"hard", "soft", "separate"}
        "soft" is for networks that train.
    kinds, levels, separators : dict by output, optional
        See `headstart.methods.outputs.read_outputs`.
    weighting : {"fixed", "uncertainty", "dwa"}
    output_weights : dict by output, optional
        What each loss counts (1 where nothing is said).
    head_rates : dict by output, optional
        Factor on the learning rate of each head (1 where nothing is said).
    class_weights : sequence of str
        Outputs whose classes, labels or levels count alike, however many images each has; with the estimator's
        balance "weights" (of networks that train) all of them. With frozen features the head weighs its images; the
        head knn cannot.
    tie : float
        Of soft sharing.

    Attributes
    ----------
    outputs_ : tuple of Output
    models_ : tuple of OutputModel
        One an output: temperature, thresholds, what was chosen, the head (scenario features).
    network_ : torch.nn.Module
        Of the trained scenarios: images (n, 3, height, width) to the logits of all outputs side by side.
    selection_ : float
        Mean over the outputs of what each reached on the images that chose (`output_score`).
    n_unlabelled_ : int
        Images without any label, left out.
    seconds_ : dict
        "extract" and "fit", wall-clock; of separate networks the sums.

    Examples
    --------
    >>> import numpy as np
    >>> dark, light = np.zeros((4, 32, 32, 3), np.uint8), np.full((4, 32, 32, 3), 250, np.uint8)
    >>> labels = np.array([["dark", "0.1"]] * 4 + [["light", None]] * 3 + [["light", "0.9"]], dtype=object)
    >>> model = MultiOutputTransfer(kinds={"output1": "number"}).fit(np.concatenate([dark, light]), labels)
    >>> model.predict(light[:1])[0, 0]
    'light'
    """

    estimator: Any = option(None, "the scenario with its options")
    kinds: Any = option(None, "kinds of outputs by name")
    levels: Any = option(None, "classes or ordered levels by name")
    separators: Any = option(None, "what parts labels, by name")
    output_weights: Any = option(None, "weights of the losses by name")
    head_rates: Any = option(None, "factors on the learning rate of heads by name")
    class_weights: Any = option((), "outputs whose classes count alike")

    # ---- fitting ---------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        validation: tuple[Any, Any] | None = None,
        groups: Sequence[Any] | None = None,
    ) -> MultiOutputTransfer:
        """Learn on X; choose on `validation`, else on inner folds of X.

        Parameters
        ----------
        X : sequence of paths, PIL images or arrays, or one array (n, height, width[, 3])
        y : array (n, k), list of rows, data frame, or dict of columns
            A column an output; None or NaN where a label is missing. Names are those of the data frame or dict,
            else output0, output1 ...
        validation : (X, y), optional
        groups : sequence, optional
            What inner folds must not part.

        Raises
        ------
        BadOptions, DataError, UnknownName, BackboneError
        """
        self._check()
        return self._fit(rows_of_arrays(X, y, validation, groups, ()))

    def fit_table(self, table: ImageTable, targets: Sequence[str]) -> MultiOutputTransfer:
        """Fit on the table's train split, choose on its validation split if there is one; test is never read."""
        self._check()
        twice = sorted({name for name in targets if list(targets).count(name) > 1})
        if twice or not targets:
            said = f"{', '.join(map(repr, twice))} given twice" if twice else "name one label column or more"
            raise BadOptions([f"target: {said}"])
        return self._fit(rows_of_table(table, targets))

    @property
    def scenario(self) -> str:
        """How the pretrained network is used."""
        return str(getattr(self.estimator, "scenario", TransferClassifier.scenario))

    def _check(self) -> None:
        found = mistakes(self)
        if self.scenario == "features":
            if self.sharing == "soft":
                found.append(
                    "sharing: soft ties networks that train; with frozen features take hard or separate"
                )
            for name in ("output_weights", "head_rates"):
                if getattr(self, name):
                    found.append(f"{name}: is for networks that train; leave it out with features")
            if self.weighting != "fixed":
                found.append(
                    f"weighting: {self.weighting} is for networks that train; leave it out with features"
                )
        elif self.sharing == "separate" and self.weighting != "fixed":
            found.append(
                f"weighting: {self.weighting} weighs outputs of one training; separate networks have none"
            )
        found += self._for_one_output()
        for name in ("output_weights", "head_rates"):
            for output, value in (getattr(self, name) or {}).items():
                if not isinstance(value, int | float) or not 0 <= value < float("inf"):
                    found.append(f"{name} of {output}: a number of at least 0 is expected; got {value!r}")
        if found:
            raise BadOptions(found)

    def _for_one_output(self) -> list[str]:
        """A sentence for each option of the estimator that several outputs have no meaning for."""
        said = {name: getattr(self.estimator, name, None) for name in ("balance", "focal", "teacher")}
        found = []
        if said["balance"] not in (None, "none", "weights"):
            found.append(f"balance: {said['balance']} is for one output; take weights")
        found += [f"{name}: is for one output; leave it out" for name in ("focal", "teacher") if said[name]]
        return found

    def _fit(self, rows: Rows) -> MultiOutputTransfer:
        start = time.perf_counter()
        train = {name: [c for c, h in zip(cells, rows.held, strict=True) if not h]
                 for name, cells in rows.columns.items()}  # fmt: skip
        self.outputs_ = outputs_of_columns(train, self.kinds, levels=self.levels, separators=self.separators)
        self._check_names()
        coded = [self._encoded(output, rows) for output in self.outputs_]
        self.n_unlabelled_ = rows.n_unlabelled
        if self.scenario == "features":
            self._fit_features(rows, coded)
        else:
            self._fit_trained(rows, coded)
        self.selection_ = mean_score([each.score for each in self.models_])
        self.selected_on_ = ", ".join(dict.fromkeys(each.selected_on for each in self.models_))
        self.chosen_ = {each.output.name: each.chosen for each in self.models_}
        self.seconds_["fit"] = time.perf_counter() - start - self.seconds_["extract"]
        return self

    def _check_names(self) -> None:
        known = [output.name for output in self.outputs_]
        found = []
        for name in ("output_weights", "head_rates", "class_weights"):
            for output in getattr(self, name) or ():
                if output not in known:
                    found.append(f"{name}: {UnknownName('output', output, known)}")
        numbers = [
            o.name for o in self.outputs_ if o.kind == "number" and o.name in (self.class_weights or ())
        ]
        found += [f"class_weights: {name!r} is a number and has no classes" for name in numbers]
        head = HEADS[self._probe().head] if self.scenario == "features" else None
        if head is not None and not head.balances:
            own = [
                o.name for o in self.outputs_ if o.kind == "classes" and o.name in (self.class_weights or ())
            ]
            found += [f"class_weights: {name!r}: {cannot_balance(head.name)}" for name in own]
        if found:
            raise BadOptions(found)

    def _encoded(self, output: Output, rows: Rows) -> np.ndarray:
        """Coded labels of all rows; validation labels that train lacks are left out, aloud."""
        cells = rows.columns[output.name]
        coded = encode(output, cells, unknown="missing")
        gone = int((is_missing(output, coded) & np.array([cell is not None for cell in cells])).sum())
        if gone:
            warn(
                f"{output.name}: {gone} validation images have labels that train lacks; left out for this output"
            )
        return coded

    def _fit_features(self, rows: Rows, coded: Sequence[np.ndarray]) -> None:
        probe = self._probe()
        self._tell_own_heads(probe)
        models: list[OutputModel] = []
        self._good: set[int] = set()
        self.problems_: tuple[Any, ...] = ()
        self.seconds_ = {"extract": 0.0}
        alone = self.sharing == "separate"
        for at, output in enumerate(self.outputs_):
            if alone or not at:
                wanted = ~is_missing(output, coded[at]) if alone else np.ones(len(rows.items), bool)
                matrix, ok = self._extracted(probe, rows, wanted)
            train, held = ok & ~rows.held, ok & rows.held
            groups = (
                None if rows.groups is None else [rows.groups[row] for row in np.flatnonzero(train).tolist()]
            )
            models.append(fit_output_head(
                output, matrix[train], coded[at][train],
                (matrix[held], coded[at][held]) if held.any() else None, head=probe.head,
                head_options=probe.head_options, balanced=output.name in (self.class_weights or ()),
                n_folds=probe.n_folds, seed=probe.seed, groups=groups, refit=probe.refit,
            ))  # fmt: skip
        self.models_ = tuple(models)
        self.n_train_, self.n_validation_ = self._counts(rows)

    def _probe(self) -> TransferClassifier:
        return clone(self.estimator) if self.estimator is not None else TransferClassifier()

    def _tell_own_heads(self, probe: TransferClassifier) -> None:
        """Say which outputs do not have the head that was asked for."""
        plain = TransferClassifier()
        if (probe.head, probe.head_options or None) == (plain.head, plain.head_options):
            return
        own = [f"{o.name} has {OWN_HEADS[o.kind].name}" for o in self.outputs_ if o.kind in OWN_HEADS]
        if own:
            warn(
                f"the head {probe.head} is for classes; each other kind has a head of its own: {', '.join(own)}"
            )

    def _extracted(
        self, probe: TransferClassifier, rows: Rows, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Features of the wanted images (zeros for the others), and which of them there are."""
        at = np.flatnonzero(wanted)
        extractor = probe._extractor()
        start = time.perf_counter()
        part = rows.select(at)
        found = extractor.extract(part.items, part.digests, part.paths)
        self.seconds_["extract"] += time.perf_counter() - start
        if rows.strict and found.problems:
            first = "; ".join(f"{each.path}: {each.reason}" for each in found.problems[:3])
            raise DataError(f"{len(found.problems)} of {len(at)} images cannot be read ({first})")
        joined = extractor.joined(found)
        self.extractor_, self.probe_ = extractor, probe
        self._readable(rows, at[np.asarray(found.ok)], found.problems)
        if len(at) == len(wanted):
            return joined, np.asarray(found.ok)
        matrix = np.zeros((len(wanted), joined.shape[1]), np.float32)
        ok = np.zeros(len(wanted), bool)
        matrix[at], ok[at] = joined, found.ok
        return matrix, ok

    def _readable(self, rows: Rows, good: np.ndarray, problems: Any) -> None:
        self._good |= set(good.tolist())
        self.problems_ = tuple(dict.fromkeys((*self.problems_, *problems)))
        self.seen_ = tuple(rows.digests[row] for row in sorted(self._good))

    def _counts(self, rows: Rows) -> tuple[int, int]:
        good = np.array(sorted(self._good), int)
        return int((~rows.held[good]).sum()), int(rows.held[good].sum())

    def _fit_trained(self, rows: Rows, coded: Sequence[np.ndarray]) -> None:
        from headstart.methods.joint_fit import fit_networks

        tuner: FineTuneClassifier = clone(self.estimator)
        found = fit_networks(self, tuner, rows, coded)
        self.network_, self.models_, self.card_ = found.network, found.models, found.card
        self.record_, self.findings_, self.samples_ = found.record, found.findings, found.samples
        self.problems_, self.seen_ = found.problems, found.seen
        self.n_train_, self.n_validation_ = found.n_train, found.n_validation
        self.start_selection_ = found.start_score
        self.seconds_ = {"extract": found.extract_seconds}

    # ---- predicting ------------------------------------------------------------------------------------------

    def predict_outputs(self, X: Any) -> dict[str, np.ndarray]:
        """Probabilities (n, k) of each output by name, columns as in its `levels`; of a number its value (n,)."""
        check_is_fitted(self, "models_")
        if self.scenario == "features":
            features = self.extractor_.transform(X)
            return {each.output.name: each.of_features(features) for each in self.models_}
        from headstart.methods.network import run_network

        logits = run_network(self.network_, listed(X), self.card_.preprocessing)
        parts = split_logits(logits, self.outputs_)
        return {each.output.name: each.of_logits(p) for each, p in zip(self.models_, parts, strict=True)}

    def predict_proba(self, X: Any) -> list[np.ndarray]:
        """Probabilities of each output, in the order of `outputs_`, as scikit-learn's estimators give them."""
        return list(self.predict_outputs(X).values())

    def predict(self, X: Any) -> np.ndarray:
        """What is said of each image: object (n, k); names of classes and levels, joined labels, numbers."""
        found = self.predict_outputs(X)
        columns = [decode(each.output, each.decided(found[each.output.name])) for each in self.models_]
        made = np.empty((len(columns[0]), len(columns)), object)
        for at, column in enumerate(columns):
            made[:, at] = column
        return made

    def score(self, X: Any, y: Any) -> float:
        """Share of the fully labelled images with every output right (of numbers alone: mean R2)."""
        found = self.predict_outputs(X)
        columns = columns_of(y, [output.name for output in self.outputs_])
        coded = {each.output.name: encode(each.output, columns[each.output.name]) for each in self.models_}
        whole = {
            each.output.name: right(
                each.output.kind, coded[each.output.name], found[each.output.name], each.thresholds or None
            )
            for each in self.models_
        }
        if said := {name: column for name, column in whole.items() if column is not None}:
            return float(np.nanmean(all_right(said)))
        plain = [replace(output, centre=0.0, scale=1.0) for output in self.outputs_]
        return mean_score([output_score(o, found[o.name][:, None], coded[o.name]) for o in plain])


def split_logits(logits: np.ndarray, outputs: Sequence[Output]) -> list[np.ndarray]:
    """Logits of each output, out of those of all side by side."""
    return np.split(logits, np.cumsum([output.width for output in outputs])[:-1], axis=1)
