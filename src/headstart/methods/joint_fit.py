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
from headstart.methods.finetune import N_SAMPLES, _options
from headstart.methods.joint_network import JointNet, share_frozen
from headstart.methods.joint_training import JointOutcome, JointTraining, Task, with_heads
from headstart.methods.output import Output, is_missing
from headstart.methods.output_heads import OutputModel, check_left, fit_output_head
from headstart.methods.output_rows import Rows
from headstart.methods.output_scores import mean_score
from headstart.methods.sources import Part
from headstart.methods.starting import Division, Start, divided, kept_start, start_of
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
    division = _divided(part, outputs, columns, ok, tuner)
    train, out, chosen_on = division.train, division.held, division.chosen_on
    for output, column in zip(outputs, columns, strict=True):
        check_left(output, column[train])
    found = [] if matrix is None else _starts(outputs, matrix, columns, division)
    starts = tuple(each.head for each in found)
    whole = tuple(each.whole for each in found if each.whole)
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
        tuner.cache_gb, tuner.seconds, inner=division.inner, task=task,
    )  # fmt: skip
    outcome = run.run()
    assert isinstance(outcome, JointOutcome)
    kept = kept_start(outcome.trained, whole)
    outcome = with_heads(outcome, task.trunks, kept) if kept else _told(outcome, chosen_on)
    outcome.record["epoch_chosen_on"] = chosen_on
    reached = mean_score([each.score for each in starts])
    learned, chose = (division.rows, out[:0]) if kept else (train, out)
    return _Run(outcome, tuner.problems_, at[learned], at[chose], at[ok], reached, extract_seconds)


def _told(outcome: JointOutcome, chosen_on: str) -> JointOutcome:
    return replace(outcome, models=tuple(replace(each, selected_on=chosen_on) for each in outcome.models))


def _starts(
    outputs: Sequence[Output], matrix: np.ndarray, columns: Sequence[np.ndarray], division: Division
) -> list[Start[OutputModel]]:
    """The heads on features that training starts from, an output each."""

    def start(output: Output, column: np.ndarray) -> Start[OutputModel]:
        def fit(rows: np.ndarray, held: np.ndarray | None, options: Any, groups: Any) -> OutputModel:
            validation = None if held is None else (matrix[held], column[held])
            return fit_output_head(
                output, matrix[rows], column[rows], validation, fixed=options, n_folds=division.n_folds,
                seed=division.seed, groups=groups,
            )  # fmt: skip

        return start_of(division, fit, lambda made: made.chosen or {})

    return [start(output, column) for output, column in zip(outputs, columns, strict=True)]


def _part(rows: Rows, at: np.ndarray) -> Part:
    chosen = rows.select(at)
    return Part(chosen.items, chosen.digests, np.zeros(len(at), np.int64))


def _divided(
    part: Rows, outputs: Sequence[Output], columns: Sequence[np.ndarray], ok: np.ndarray, tuner: Any
) -> Division:
    rows = np.flatnonzero(ok & ~part.held)
    if not len(rows):
        raise DataError("no readable training image is left")
    return divided(
        rows, np.flatnonzero(ok & part.held), strata(outputs, [column[rows] for column in columns]),
        None if part.groups is None else [part.groups[row] for row in rows.tolist()],
        n_folds=tuner.n_folds, seed=tuner.seed, alone="every combination of labels",
    )  # fmt: skip


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
        models += [replace(each, chosen=chosen) for each in run.outcome.models]
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
