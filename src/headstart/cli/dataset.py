"""`headstart dataset build`: a data set out of folders, ground truth, videos or another data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.base.errors import BadOptions, DataError
from headstart.base.events import Notice, emit
from headstart.base.options import option
from headstart.cli.declared import DataOptions, same
from headstart.cli.flags import Json, build, verb
from headstart.cli.screen import shown
from headstart.cli.sources import read_kinds, scanned_on_target, spoken_of
from headstart.cli.text import printable, say, say_json, table

if TYPE_CHECKING:
    from headstart.audit.finding import AuditFinding
    from headstart.base.findings import Finding
    from headstart.dataset.build import Draft, Recipe
    from headstart.dataset.edit import BalancePlan
    from headstart.dataset.video import Frames
    from headstart.images.table import ImageTable

EXAMPLE = """
headstart dataset build photos/ --out set --layout csv
headstart dataset build photos/ --balance smallest --dry-run
headstart dataset build photos/ --rename top=shirt,t-shirt=shirt --split --out set
headstart dataset build clip.mp4 --rate 2 --out frames
headstart dataset build annotations.json --image-root images --layout parquet --out set
"""
RULES = ("smallest", "median", "largest")
MOST_SHOWN, MOST_FILES = 40, 5

app = typer.Typer(
    help="Make a data set out of images, ground truth, videos or another data set.", rich_markup_mode=None
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        say(context.get_help())


def read_balance(text: Any) -> int | str:
    """`smallest`, `median`, `largest`, or a whole number of at least 1."""
    if text in RULES:
        return str(text)
    if not str(text).isdecimal() or int(text) < 1:
        raise ValueError(f"expected {', '.join(RULES)} or a whole number of at least 1, got {text!r}")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What `dataset build` takes beside its sources."""

    out: str | None = option(None, "a new or empty folder for the data set", metavar="DIR")
    layout: str = option(
        "folders",
        "how it is written: class folders, images and labels.csv, images with metadata.jsonl, Parquet with the "
        "images inside, or COCO annotations",
        choices=("folders", "csv", "imagefolder", "parquet", "coco"),
    )
    ways: str = option(
        "copy", "images as copies or as links; originals stay as they are", choices=("copy", "symlink")
    )
    rename: tuple[str, ...] = option(
        (), "OLD=NEW: give a class another name; several to one name merge them", metavar="OLD=NEW"
    )
    rename_file: str | None = option(
        None, "a CSV with the columns old and new, for many names or names with commas or =", metavar="FILE"
    )
    merge_spellings: bool = option(False, "merge classes that differ in case, spaces, - or _ alone")
    keep: tuple[str, ...] = option(
        (), "classes that stay (new names); the others are left out", metavar="NAMES"
    )
    drop: tuple[str, ...] = option((), "classes that are left out (new names)", metavar="NAMES")
    balance: int | str | None = option(
        None,
        "say which classes lack how many images, then keep at most so many of each: smallest, median, largest or "
        "a number (of train, where there are splits)",
        metavar="GOAL",
        read=read_balance,
    )
    per_class: int | None = option(None, "at most so many images a class", low=1)
    sample: int | None = option(None, "so many images in all, shares of the classes kept", low=1)
    once: bool = option(False, "keep one of exact copies; copies under different labels all go")
    split: bool = option(
        False, "draw train, validation and test (60, 20, 20 %, groups kept whole) where there is no split"
    )
    rate: float = option(1.0, "of videos: frames a second that are looked at", low=0.001, high=1000)
    near: float = option(
        6.0,
        "of videos: grey levels that a part of a frame must differ by to be kept; 0 keeps all",
        low=0,
        high=255,
    )
    audit: bool = option(False, "run the whole audit and put what it finds in the data card")
    kind: tuple[str, ...] = same("kind")
    dry_run: bool = option(False, "say what would be written, and write nothing")
    seed: int = option(0, "of everything random", low=0, high=2**31 - 1)


def build_(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="Folders, ground-truth files, COCO files, videos or the name of a packaged set.",
            show_default=False,
        ),
    ],
    json: Json = False,
    **flags: Any,
) -> None:
    """Make a data set: joined, with classes renamed, merged, balanced or sampled, and a data card.

    Nothing of the sources is changed: images are copied or linked into a new folder.
    """
    options, source = build(BuildOptions, flags), build(DataOptions, flags)
    if options.out is None and not options.dry_run:
        raise BadOptions(["out: name a new folder, e.g. --out set; or use --dry-run"])
    if options.kind and not options.audit:
        raise BadOptions(["kind: it is the audit that asks what a column holds; give --audit too"])
    from headstart.dataset.build import drafted, write_dataset

    recipe = _recipe(options, source)
    images = _check_out(options, data)
    with shown(), _sources(data, options, source) as (made, videos):
        draft = drafted(made, recipe, None if json else lambda plan: _say_all(balance_lines(plan)))
        more = _audited(draft, options) if options.audit else []
        out = None
        if options.out is not None and not options.dry_run:
            out, draft = write_dataset(draft, options.out, recipe, images=images, more=more)
    if json:
        facts = {**draft.to_dict(), "out": None if out is None else str(out), "layout": options.layout}
        say_json({**facts, "videos": [vars(each) for each in videos]})
        return
    _say_all(lines(draft, videos, out))


def _recipe(options: BuildOptions, source: DataOptions) -> Recipe:
    from headstart.dataset.build import Recipe
    from headstart.dataset.edit import Edits

    names = ("keep", "drop", "balance", "per_class", "sample", "seed")
    edits = Edits(rename=_renames(options), **{name: getattr(options, name) for name in names})
    return Recipe(
        layout=options.layout, ways=options.ways, target=source.target or None, edits=edits,
        merge_spellings=options.merge_spellings, once=options.once, split=options.split,
    )  # fmt: skip


def _renames(options: BuildOptions) -> dict[str, str]:
    pairs = [tuple(text.partition("=")[::2]) for text in options.rename]
    wrong = [f"rename: expected OLD=NEW, got {text!r}" for text in options.rename if "=" not in text]
    if options.rename_file is not None:
        pairs += _rename_file(Path(options.rename_file).expanduser())
    made: dict[str, str] = {}
    for old, new in ((old.strip(), new.strip()) for old, new in pairs):
        if made.setdefault(old, new) != new:
            wrong.append(f"rename: {old!r} is given two new names, {made[old]!r} and {new!r}")
    if wrong:
        raise BadOptions(wrong)
    return made


def _rename_file(path: Path) -> list[tuple[str, ...]]:
    from headstart.images.table_file import read_table_file
    from headstart.images.whereabouts import Whereabouts

    columns = read_table_file(path, Whereabouts(path.parent, ())).columns
    if not {"old", "new"} <= set(columns):
        raise DataError(f"{path}: expected the columns old and new, got {', '.join(columns)}")
    return [(old or "", new or "") for old, new in zip(columns["old"], columns["new"], strict=True)]


def _check_out(options: BuildOptions, data: list[str]) -> Path | None:
    """Refuse a bad folder before anything is read; the folder of the images, if there is one alone."""
    from headstart.base.new_folder import check_new_folder

    folders = [place for each in data if (place := Path(each).expanduser()).is_dir()]
    if options.out is not None:
        check_new_folder(options.out)
        for folder in folders:
            check_new_folder(options.out, folder)
    return folders[0] if len(folders) == 1 else None


@contextmanager
def _sources(
    data: list[str], options: BuildOptions, source: DataOptions
) -> Iterator[tuple[ImageTable, list[Frames]]]:
    """The table of all sources; frames of videos lie in a temporary folder while the block runs."""
    from tempfile import TemporaryDirectory

    from headstart.dataset.build import joined
    from headstart.dataset.video import frames_table, videos_in

    by_source = [videos_in(each) for each in data]
    if not any(by_source):
        yield joined([scanned_on_target(each, source, spoken_of(options.kind)) for each in data]), []
        return
    if not all(by_source):
        raise DataError(
            "videos and images cannot be joined in one go; build the frames first, then join them"
        )
    near = Path(options.out).expanduser().resolve().parent if options.out is not None else None
    if near is not None:
        near.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".headstart-frames.", dir=near) as place:
        videos = [video for some in by_source for video in some]
        name = Path(data[0]).stem if len(data) == 1 else "frames"
        yield frames_table(videos, Path(place), rate=options.rate, near=options.near, name=name)


def _audited(draft: Draft, options: BuildOptions) -> list[Finding]:
    """What the whole audit finds; files left out and spaces of the source are among the draft's own findings."""
    from dataclasses import replace

    from headstart.audit.run import audit
    from headstart.base.findings import Finding

    images = replace(draft.table, problems=(), spaced={})
    found = audit(images, seed=options.seed, kinds=read_kinds(options.kind, images))
    emit(Notice(f"audit: {len(found.findings)} findings, which go into the data card"))
    return [
        Finding(each.kind, f"{each.message}{_files_of(each)} ({each.effect})", each.advice)
        for each in found.findings
    ]


def _files_of(finding: AuditFinding) -> str:
    """The first files of a finding about files, with what is wrong with each."""
    if finding.check != "files":
        return ""
    first = "; ".join(f"{path}: {reason}" for path, reason in finding.details[:MOST_FILES])
    more = len(finding.details) - MOST_FILES
    return f": {first}" + (f"; and {more:,} more" if more > 0 else "")


def balance_lines(plan: BalancePlan) -> list[str]:
    """Which classes lack how many, as text."""
    part = "" if plan.split == "all" else f" of {plan.split}"
    lacking = [each for each in plan.classes if each.n_lacking]
    head = [
        f"balance: {plan.goal:,} images a class{part}; {len(lacking):,} of {len(plan.classes):,} classes lack some"
    ]
    rows = [
        (each.name, f"{each.n:,}", f"{each.n_kept:,}", f"{each.n_lacking:,}")
        for each in plan.classes[:MOST_SHOWN]
    ]
    more = len(plan.classes) - MOST_SHOWN
    return [
        *head,
        *table(("class", "has", "kept", "lacks"), rows, right=(1, 2, 3)),
        *([f"... and {more:,} classes more"] if more > 0 else []),
        "",
    ]


def lines(draft: Draft, videos: list[Frames], out: Path | None) -> list[str]:
    """What was made, as text."""
    said = []
    for video in videos:
        dropped = video.n_looked - video.n_kept
        said.append(
            f"{video.video}: {video.n_looked:,} frames looked at in {video.seconds:.1f} s of video, "
            f"{dropped:,} near-identical ones dropped, {video.n_kept:,} kept"
        )
    counts = draft.counts()
    said.append(f"{draft.table.name}: {len(draft.table):,} images")
    names = sorted({name for split in counts.values() for name in split})
    if names != [""]:
        rows = [
            (name, *(f"{split.get(name, 0):,}" for split in counts.values())) for name in names[:MOST_SHOWN]
        ]
        said += table(("class", *counts), rows, right=tuple(range(1, len(counts) + 1)))
        said += [f"... and {len(names) - MOST_SHOWN:,} classes more"] if len(names) > MOST_SHOWN else []
    said += [f"done: {step}" for step in draft.steps]
    said += [f"finding: {finding}" for finding in draft.findings]
    said.append(
        "nothing was written (--dry-run)" if out is None else f"data set: {out} (its card: README.md)"
    )
    return [printable(line) for line in said]


def _say_all(said: list[str]) -> None:
    for line in said:
        say(line)


verb(app, BuildOptions, DataOptions, example=EXAMPLE)(build_)
