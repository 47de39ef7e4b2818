"""The README of an archive, its list of packages, and what repeats it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution

from headstart.report.markdown import code_block, escaped
from headstart.report.verdict import datasets, missing_claims
from headstart.report.wording import count, duration, listed
from headstart.study.records import StudyRecord

PACKAGES = "packages"
NOT_PACKED = "Headstart itself"
NO_PACKAGE = ("python", "system", "headstart")
NAME, VERSION = re.compile(r"[A-Za-z0-9][\w.-]*"), re.compile(r"[\w.+!-]+")
WHAT = {
    "study.toml": "the specification; `headstart study --spec study.toml` reads it",
    "repeat.sh": "installs the packages and runs the study again",
    "requirements.txt": "the versions of the packages",
    f"{PACKAGES}/": "Headstart itself, as it was where the archive was made: no index of packages has it",
    "results.csv": "one row a run: its id, its method, its scores with their intervals, its cost; `per_class` is a number "
    "of images a class or the word `all`",
    "results.parquet": "the same, exact; `per_class` is text here too",
    "methods.csv": "one row a method: means over its seeds",
    "images_a_class.csv": "one row a method and number of images a class, with the law fitted to its scores",
    "crossings.csv": "where fitted laws cross: up to how many images a class which of two methods is better",
    "tricks.csv": "one row an effect of a trick, over all data sets and on each, with its intervals and its cost",
    "splits/": "each image with its digest, its labels and its (first) split",
    "report/": "the report (HTML), the paper (PDF, Markdown with figures), tables (LaTeX), slides, references",
    "images/": "a folder for each dataset: its ground-truth files, and the images where they were asked for",
    "inputs/": "other files that study.toml names: search spaces, policies of augmentation",
    "SHA256SUMS": "digests of all files: `sha256sum -c SHA256SUMS`",
}


def readme(record: StudyRecord, files: Sequence[str], left_out: Sequence[str]) -> str:
    """What the archive holds, what it does not, and how to repeat the study."""
    names = listed(datasets(record)) or "no dataset yet"
    lines = [f"# A study of {escaped(names)}", ""]
    said = f"{len(record.results):,} of {count(record.n_planned, 'planned run')}, {duration(record.seconds_total)}. "
    lines += [
        said
        + "Made by Headstart "
        + escaped(record.versions.get("headstart", "of an unknown version"))
        + ".",
        "",
    ]
    lines += [f"**{escaped(claim.text)}**\n" for claim in missing_claims(record)]
    lines += ["## What is in it", ""]
    present = {name: what for name, what in WHAT.items() if name == "SHA256SUMS" or _holds(files, name)}
    lines += [f"- `{name}`: {what}" for name, what in present.items()]
    lines += ["", "## What is not in it", ""]
    lines += [f"- {escaped(each)}" for each in left_out] or ["Nothing is left out."]
    lines += [
        "- Paths of the machine: folders are named by their last part.",
        "- In CSV, a text that a spreadsheet would run as a formula has a quote (') in front.",
        "",
        "## To repeat it",
        "",
        "Put the images into the folders that `study.toml` names under `data` (`images/NAME`), where they are not in "
        "them already, and run `sh repeat.sh`, in an environment of its own where yours is to stay as it is. "
        f"{'' if _holds(files, f'{PACKAGES}/') else HOW_TO_INSTALL}The command was:",
        "",
        code_block(record.command or "not recorded"),
        "",
        "Equal images give equal digests (`splits/`), and equal runs equal ids (`results.csv`).",
        "",
        "## Before you pass it on",
        "",
        "The names of classes and files are in it, ground-truth files with all their columns, and what the report shows. "
        "Check the licence of the images.",
    ]
    return "\n".join(lines) + "\n"


def _holds(files: Sequence[str], name: str) -> bool:
    return any(file == name or (name.endswith("/") and file.startswith(name)) for file in files)


HOW_TO_INSTALL = (
    "Headstart is not in it, and no index of packages has it: `pip install` its source folder first. "
)
REPEAT = """#!/bin/sh
# Repeats the study, with the images in the folders that study.toml names.
set -e
cd "$(dirname "$0")"
{check}python -m pip install -r requirements.txt
python -m headstart study --spec study.toml --out again
"""
CHECK = """if ! python -c "import headstart.cli.main" 2>/dev/null; then
  echo "Headstart is not installed, and no index of packages has it: pip install its source folder, then run this again" >&2
  exit 1
fi
"""


def repeat_text(*, packed: bool) -> str:
    """The script that repeats a study; where Headstart is not in the archive it stops unless it is installed."""
    return REPEAT.format(check="" if packed else CHECK)


def lock_text(versions: Mapping[str, str], own: str = "") -> str:
    """Pinned packages: those that the study recorded, then the others as they are installed now.

    Parameters
    ----------
    versions : mapping of str to str
    own : str
        Headstart itself, as pip takes it: a file of the archive. It is never named alone, for no index has it.
    """
    recorded = {name: version for name, version in versions.items() if name not in NO_PACKAGE}
    lines = [f"# Python {_checked(VERSION, versions.get('python', ''), 'version not recorded')}"]
    lines += [own] if own else []
    lines += [
        line
        for name, version in sorted(recorded.items())
        if NAME.fullmatch(name) and VERSION.fullmatch(version)
        for line in _pinned(name, version)
    ]
    known = {_plain(name) for name in recorded} | {"headstart"}
    rest = sorted((name, version) for name, version in _needed("headstart").items() if name not in known)
    lines += ["# As installed when the archive was made:"]
    lines += [line for name, version in rest for line in _pinned(name, version)]
    return "\n".join(lines) + "\n"


def _pinned(name: str, version: str) -> list[str]:
    """One version; a build of another index ("2.9.0+cpu") is told and left out, for the usual index has none."""
    public, _, build = version.partition("+")
    return [*([f"# {name} was the build {build}"] if build else []), f"{name}=={public}"]


def _checked(pattern: re.Pattern[str], text: str, other: str) -> str:
    return text if pattern.fullmatch(text) else other


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).casefold()


def _needed(package: str) -> dict[str, str]:
    """Installed versions of all that a package needs, itself left out, by plain name."""
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    waiting = [package]
    seen = {_plain(package)}
    while waiting:
        try:
            one = distribution(waiting.pop())
        except PackageNotFoundError:
            continue
        for line in one.requires or ():
            need = Requirement(line)
            name = _plain(need.name)
            if name in seen or (need.marker is not None and not need.marker.evaluate({"extra": ""})):
                continue
            seen.add(name)
            try:
                found[name] = distribution(need.name).version
            except PackageNotFoundError:
                continue
            waiting.append(need.name)
    return found
