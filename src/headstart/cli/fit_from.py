"""`headstart fit --from`: the best method of a study, or of a tuning, fitted again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.base.errors import BadOptions, DataError, UnknownName, UsageError
from headstart.cli.declared import DataOptions, FitOptions
from headstart.cli.flags import build
from headstart.cli.sources import open_table
from headstart.cli.teacher import teacher_of

if TYPE_CHECKING:
    from headstart.images.table import ImageTable
    from headstart.methods.tune.found import Tuning

USABLE = ("refit", "cache_gb")
READING = tuple(field.name for field in dataclasses.fields(DataOptions) if field.name != "target")
NEITHER = "name either DATA or --from STUDY; see headstart fit --help"


def handed_over(given: str, data: str | None, flags: dict[str, Any]) -> tuple[Any, str, str]:
    """The fitted classifier of `--from`, its label column, and the name of its data.

    Parameters
    ----------
    given : str
        A folder, of a study perhaps with a run or a dataset behind a colon.
    data : str, optional
        Where the images of a tuning lie now.
    """
    from headstart.methods.tune.handover import holds_tuning
    from headstart.study.store import FILE

    folder, _, cell = given.rpartition(":") if not Path(given).is_dir() and ":" in given else (given, "", "")
    if (Path(folder) / FILE).is_file():
        return _of_study(folder, cell, data, flags)
    if not holds_tuning(folder):
        raise UsageError(
            f"no study and no tuning in {folder}; give the output folder of headstart study or headstart tune"
        )
    if cell:
        raise UsageError(f"{folder} holds a tuning, whose best method is fitted; leave :{cell} out")
    return _of_tuning(folder, data, flags)


def _of_study(folder: str, cell: str, data: str | None, flags: dict[str, Any]) -> tuple[Any, str, str]:
    from headstart.study.handover import hand_over

    if data is not None:
        raise UsageError(NEITHER)
    _refuse(flags, USABLE, "study")
    options = build(FitOptions, flags)
    found = hand_over(folder, cell=cell, refit=options.refit, cache_gb=options.cache_gb)
    return found.classifier, found.target, found.dataset


def _of_tuning(folder: str, data: str | None, flags: dict[str, Any]) -> tuple[Any, str, str]:
    from headstart.methods.tune.handover import finished_tuning, hand_over

    _refuse(flags, USABLE if data is None else (*USABLE, *READING), "tuning")
    options, found = build(FitOptions, flags), finished_tuning(folder)
    named = found.plan["training"].get("teacher")
    teacher = teacher_of(named)  # what is no model is told before anything is read
    handed = hand_over(
        found, _images(found, folder, data, flags), teacher=None if teacher is named else teacher,
        refit=options.refit, cache_gb=options.cache_gb,
    )  # fmt: skip
    return handed.classifier, handed.target, handed.dataset


def _refuse(flags: dict[str, Any], usable: tuple[str, ...], what: str) -> None:
    odd = [name for name, value in flags.items() if value not in (None, []) and name not in usable]
    if odd:
        raise BadOptions(
            [f"{name.replace('_', '-')}: the {what} decides it; leave it out with --from" for name in odd]
        )


def _images(found: Tuning, folder: str, data: str | None, flags: dict[str, Any]) -> ImageTable:
    """The images of a tuning, read as it read them; from where they lie now if that is named."""
    kept: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.source.items()
    }
    read = kept.pop("data", None)
    if data is not None:
        return open_table(data, build(DataOptions, {**kept, **_given(flags)}))
    if read is None:
        raise UsageError(
            f"the tuning in {folder} was made in Python and does not say where its images lie; name them: "
            f"headstart fit DATA --from {folder}"
        )
    try:
        return open_table(read, DataOptions(**kept))
    except (DataError, UnknownName) as error:
        raise UsageError(
            f"{error} (the tuning in {folder} read {read}; run this where it was run, or name DATA)"
        ) from error


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: flags[name] for name in READING if flags.get(name) not in (None, [])}
