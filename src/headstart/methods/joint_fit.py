"""Networks with several outputs, fitted: one run for all outputs (hard, soft), or one an output (separate)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.backbones.classic import require_pretrained
from headstart.backbones.freeze import find_cut
from headstart.backbones.load import load
from headstart.base.errors import BadOptions, DataError
from headstart.base.runtime import n_processes
from headstart.images.prepare import prepare
from headstart.methods.contradictions import check_paths
from headstart.methods.finetune import N_SAMPLES, _options, learned_nothing, on_inner_fold
from headstart.methods.heads_select import inner_folds
from headstart.methods.joint_network import JointNet, share_frozen
from headstart.methods.joint_training import JointOutcome, JointTraining, Task, with_heads
from headstart.methods.output import Output, is_missing
from headstart.methods.output_heads import OutputModel, check_left, fit_output_head
from headstart.methods.output_rows import Rows
from headstart.methods.output_scores import mean_score
from headstart.methods.sources import Part
from headstart.methods.strata import strata

if TYPE_CHECKING:
    from headstart.backbones.card import BackboneCard
    from headstart.backbones.load import Backbone
    from headstart.images.table import Problem
    from headstart.methods.finetune import FineTuneClassifier
    from headstart.methods.multi_output import MultiOutputTransfer


@dataclass(frozen=True, eq=False)
class FittedNetworks:
    """What fitting gave; see the attributes of `MultiOutputTransfer`."""

    network: JointNet
    models: tuple[OutputModel, ...]
    card: BackboneCard
    record: dict[str, Any]
    findings: tuple[Any, ...]
    samples: np.ndarray
    problems: tuple[Problem, ...]
    seen: tuple[str, ...]
    n_train: int
    n_validation: int
    start_score: float
    extract_seconds: float


@dataclass(frozen=True, eq=False)
class _Run:
    """One run: what it gave, on which images."""

    outcome: JointOutcome
    problems: tuple[Problem, ...]
    train: np.ndarray
    held: np.ndarray
    good: np.ndarray
    selected_on: str
    start_score: float
    extract_seconds: float


def fit_networks(
    estimator: MultiOutputTransfer, tuner: FineTuneClassifier, rows: Rows, coded: Sequence[np.ndarray]
) -> FittedNetworks:
    """Train the network or networks of an estimator.

    Parameters
    ----------
    estimator : MultiOutputTransfer
        With `outputs_`.
    tuner : FineTuneClassifier
        The scenario with its options (a clone, which is spoilt).
    rows : Rows
    coded : sequence of ndarray
        Labels of all rows, a column an output.

    Raises
    ------
    BadOptions, DataError, BackboneError
    """
    tuner._check()
    if n_processes() > 1 and estimator.weighting != "fixed":
        raise BadOptions([f"weighting: {estimator.weighting} needs one process; give fixed under torchrun"])
    backbone: Backbone = load(tuner.backbone).at(tuner.input_size)
    if tuner.scenario != "scratch":
        require_pretrained(backbone.card)
    cut = find_cut(backbone, tuner.trainable if tuner.scenario == "finetune" else "all")
    check_paths(backbone, cut, tuner)  # what cannot be is told before anything is computed
    if estimator.sharing != "separate":
        run = _run(estimator, tuner, backbone, rows, estimator.outputs_, coded, np.arange(len(rows.items)))
        runs = [run]
    else:
        runs = []
        for output, column in zip(estimator.outputs_, coded, strict=True):
            at = np.flatnonzero(~is_missing(output, column))
            runs.append(_run(estimator, tuner, backbone, rows, (output,), [column], at))
    return _merged(runs, estimator.outputs_, backbone, rows)


def _run(
    estimator: MultiOutputTransfer,
    tuner: FineTuneClassifier,
    backbone: Backbone,
    rows: Rows,
    outputs: Sequence[Output],
    coded: Sequence[np.ndarray],
    at: np.ndarray,
) -> _Run:
    part, columns = rows.select(at), [column[at] for column in coded]
    start = time.perf_counter()
    matrix, ok = tuner._seen(backbone, part.items, part.digests, part.paths, part.strict)
    extract_seconds = time.perf_counter() - start
    train, out, selected_on = _divided(part, outputs, columns, ok, tuner)
    for output, column in zip(outputs, columns, strict=True):
        check_left(output, column[train])
    starts: tuple[OutputModel, ...] = ()
    if matrix is not None:
        starts = _heads(outputs, matrix, columns, train, out, tuner.seed)
    names = {output.name for output in outputs}
    task = Task(
        tuple(outputs), tuple(column[train] for column in columns),
        tuple(column[out] for column in columns) if len(out) else None,
        "soft" if estimator.sharing == "soft" and len(outputs) > 1 else "hard", estimator.weighting,
        {k: float(v) for k, v in (estimator.output_weights or {}).items() if k in names},
        {k: float(v) for k, v in (estimator.head_rates or {}).items() if k in names},
        tuple(name for name in estimator.class_weights or () if name in names), float(estimator.tie), starts,
    )  # fmt: skip
    run = JointTraining(
        tuner.scenario, backbone, _options(tuner, {}), _part(part, train),
        _part(part, out) if len(out) else None, [output.name for output in outputs], None, tuner.seed,
        tuner.cache_gb, tuner.seconds, inner=on_inner_fold(selected_on), task=task,
    )  # fmt: skip
    outcome = run.run()
    assert isinstance(outcome, JointOutcome)
    if starts and learned_nothing(outcome.trained, selected_on):
        assert matrix is not None
        again = _heads(outputs, matrix, columns, train, out, tuner.seed, refit=True)
        outcome = with_heads(outcome, task.trunks, again)
    reached = mean_score([each.score for each in starts])
    return _Run(outcome, tuner.problems_, at[train], at[out], at[ok], selected_on, reached, extract_seconds)


def _heads(
    outputs: Sequence[Output],
    matrix: np.ndarray,
    columns: Sequence[np.ndarray],
    train: np.ndarray,
    out: np.ndarray,
    seed: int,
    *,
    refit: bool = False,
) -> tuple[OutputModel, ...]:
    """The heads on features that training starts from; with `refit`, fitted on what chose their options too."""
    return tuple(
        fit_output_head(
            output, matrix[train], column[train], (matrix[out], column[out]) if len(out) else None,
            seed=seed, refit=refit,
        )
        for output, column in zip(outputs, columns, strict=True)
    )  # fmt: skip


def _part(rows: Rows, at: np.ndarray) -> Part:
    chosen = rows.select(at)
    return Part(chosen.items, chosen.digests, np.zeros(len(at), np.int64))


def _divided(
    part: Rows, outputs: Sequence[Output], columns: Sequence[np.ndarray], ok: np.ndarray, tuner: Any
) -> tuple[np.ndarray, np.ndarray, str]:
    """Rows that train, rows that choose, and what these are called."""
    rows = np.flatnonzero(ok & ~part.held)
    if not len(rows):
        raise DataError("no readable training image is left")
    held = np.flatnonzero(ok & part.held)
    if len(held):
        return rows, held, "validation"
    codes = strata(outputs, [column[rows] for column in columns])
    groups = None if part.groups is None else [part.groups[row] for row in rows.tolist()]
    folds = inner_folds(codes, tuner.n_folds, seed=tuner.seed, groups=groups)
    if not folds:
        return (
            rows,
            rows[:0],
            "nothing (every combination of labels has a single image): the last epoch is kept",
        )
    train, out = folds[0]
    return rows[train], rows[out], f"1 of {len(folds)} inner folds"


def _merged(
    runs: Sequence[_Run], outputs: Sequence[Output], backbone: Backbone, rows: Rows
) -> FittedNetworks:
    towers = [tower for run in runs for tower in run.outcome.towers]
    if len(runs) > 1:
        share_frozen(towers, backbone, str(runs[0].outcome.record["after"]))
    models = []
    for run in runs:
        trained = run.outcome.trained
        chosen = {
            "epoch": trained.kept_epoch, "learning_rate": run.outcome.record["learning_rate"],
        }  # fmt: skip
        models += [replace(each, selected_on=run.selected_on, chosen=chosen) for each in run.outcome.models]
    train = np.unique(np.concatenate([run.train for run in runs]))
    held = np.unique(np.concatenate([run.held for run in runs]))
    good = np.unique(np.concatenate([run.good for run in runs]))
    shown = train[:: max(1, len(train) // N_SAMPLES)][:N_SAMPLES]
    how = backbone.card.preprocessing
    samples = np.stack([prepare(rows.items[row], how) for row in shown.tolist()])
    record = dict(runs[0].outcome.record)
    if len(runs) > 1:
        record["sharing"] = "separate"
        record["runs"] = {
            run.outcome.models[0].output.name: run.outcome.record for run in runs
        }  # fmt: skip
        record["n_trained"] = sum(run.outcome.record["n_trained"] for run in runs)
    return FittedNetworks(
        JointNet(towers).eval(), tuple(models), backbone.card, record,
        tuple(each for run in runs for each in run.outcome.findings), samples,
        tuple(dict.fromkeys(each for run in runs for each in run.problems)),
        tuple(rows.digests[row] for row in good.tolist()), len(train), len(held),
        mean_score([run.start_score for run in runs]), sum(run.extract_seconds for run in runs),
    )  # fmt: skip
