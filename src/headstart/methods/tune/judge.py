"""From the storage to the record: best trial, what mattered, borders, and the worth on the test images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headstart.measure.intervals import accuracy_of
from headstart.measure.paired import paired_accuracy
from headstart.methods.heads_shared import shared_spaces
from headstart.methods.training_options import TRAINED
from headstart.methods.tune.ended import DEFAULT, KEPT, finished
from headstart.methods.tune.found import DONE, FAILED, PRUNED, SearchRecord, TrialRecord, Worth
from headstart.methods.tune.job import Job, Search
from headstart.methods.tune.storage import load_optuna
from headstart.methods.tune.work import in_full, study_of

FEWEST = 4
"""Different trials behind an importance."""


def search_record(job: Job, storage: Any, search: Search) -> SearchRecord:
    """The trials of a search with what they say."""
    study = study_of(job, storage, search, job.trials(search))
    trials = tuple(_trial(search, each) for each in finished(study))
    best = best_of(trials)
    importance, cannot_tell = _importance(study, search)
    borders = () if best is None else tuple(
        {"name": each.name, "value": best.params[each.name], "end": end}
        for each in search.space.free
        if (end := each.border(best.params[each.name]))
    )  # fmt: skip
    return SearchRecord(
        search.method, search.fold, search.space.to_dict(), trials, None if best is None else best.number,
        study.user_attrs[DEFAULT], importance, cannot_tell, borders,
    )  # fmt: skip


def _trial(search: Search, each: Any) -> TrialRecord:
    names = {"COMPLETE": DONE, "PRUNED": PRUNED, "FAIL": FAILED}
    told = each.intermediate_values
    attrs = each.user_attrs.get(KEPT, {})
    value = each.value if each.state.name == "COMPLETE" else told[max(told)] if told else None
    return TrialRecord(
        each.number, names[each.state.name], in_full(search.space, each.params), value, attrs.get("loss"),
        float(attrs.get("seconds", 0.0)), bool(each.user_attrs.get(DEFAULT)), str(attrs.get("error", "")),
        str(attrs.get("given_up", "")),
    )  # fmt: skip


def best_of(trials: tuple[TrialRecord, ...]) -> TrialRecord | None:
    """Highest value; of equals the lowest log loss, then the defaults, then the earliest."""

    def rank(each: TrialRecord) -> tuple[float, float, bool, int]:
        loss = math.inf if each.loss is None else round(each.loss, 6)
        return (-(each.value or 0.0), loss, not each.default, each.number)

    return min((each for each in trials if each.state == DONE), key=rank, default=None)


def _importance(study: Any, search: Search) -> tuple[dict[str, float], str]:
    """fANOVA (Hutter, Hoos and Leyton-Brown 2014, ICML) of the dimensions, or why it cannot be told."""
    optuna = load_optuna()
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    different = {tuple(sorted(map(str, each.params.items()))) for each in done}
    if len(different) < FEWEST:
        return {}, f"only {len(different)} different configurations were tried to the end"
    if len({each.value for each in done}) == 1:
        return {}, "every trial scored the same"
    try:
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
        )
    except (ValueError, RuntimeError) as error:
        return {}, str(error)
    return {name: float(share) for name, share in found.items()}, ""


def worth_of(job: Job, searches: list[Search], records: list[SearchRecord]) -> Worth:
    """Fit a method as tuned and with its defaults in every fold, and read the test images."""
    tuned, default, params, values = [], [], [], []
    seeds = job.plan.test_seeds if searches[0].method in TRAINED else 1
    same = True
    for search, record in zip(searches, records, strict=True):
        best, trials = record.best_trial, job.trials(search)
        truth = job.codes[list(job.parts[search.fold].test)]
        chosen = dict(record.default["params"] if best is None else best.params)
        equal = best is None or best.default
        with shared_spaces():
            right = [_right(trials, {}, seed, truth) for seed in range(seeds)]
            default.append(right)
            tuned.append(right if equal else [_right(trials, chosen, seed, truth) for seed in range(seeds)])
        same = same and equal
        params.append(chosen)
        values.append((record.default["value"] if best is None else best.value, record.default["value"]))
    a, b = np.concatenate(tuned, axis=1), np.concatenate(default, axis=1)
    found = paired_accuracy(a, b)
    chosen_by, default_by = (float(each) for each in np.mean(np.array(values, float), axis=0))
    return Worth(
        searches[0].method, chosen_by, default_by, _score(a), _score(b),
        {name: getattr(found, name) for name in ("value", "low", "high", "p", "test", "n_differ")},
        a.shape[1], seeds, tuple(params), same,
    )  # fmt: skip


def _right(trials: Any, params: dict[str, Any], seed: int, truth: np.ndarray) -> np.ndarray:
    probabilities, _ = trials.probabilities(params, seed)
    right: np.ndarray = probabilities.argmax(1) == truth
    return right


def _score(right: np.ndarray) -> dict[str, float]:
    found = accuracy_of(right)
    return {"value": found.value, "low": found.low, "high": found.high}
