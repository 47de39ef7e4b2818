"""Where a study's division comes from: kept when it is run, and told by the slide that answers for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.images.table import ImageTable
from headstart.report.division import division_of, division_words, repeats
from headstart.report.paper import build_paper
from headstart.report.talk import build_talk
from headstart.study.execute import run_study
from headstart.study.partition import DRAWN, DRAWN_FOLDS, DRAWN_TEST, GIVEN, GIVEN_FOLDS, make_dataset
from headstart.study.record import load_record
from headstart.testing.images import split_folders
from headstart.testing.plans import table


@pytest.fixture
def study(small, tmp_path):
    """Run a small study and read it back."""

    def run(**options):
        spec = small(**{"layer": ("pool",), "head": ("nearest_mean", "lda"), "seeds": 1, **options})
        run_study(spec, tmp_path / "out", advise=False, audits=False)
        return load_record(tmp_path / "out")

    return run


def slide(record):
    """The words of the slide "Why this split?"."""
    talk = build_talk(record, build_paper(record), picture_bytes=0)
    (points,) = next(each for each in talk.backup if each.id == "why-split").blocks
    return " ".join(points.items)


def older(record):
    """The record as a version before this left it."""
    return replace(record, divided={})


def test_a_given_split_is_told_so_whatever_the_numbers_of_images_a_class(study, tmp_path):
    given = split_folders(tmp_path / "given", counts={"train": 5, "test": 3})
    record = study(data=(str(given),), per_class=(2, 0), seeds=2)
    (name,) = record.divided
    assert record.divided == {name: GIVEN} and len({each.cell.split_digest for each in record.results}) > 1
    assert "the split came with the images, and every run keeps to it" in slide(record)
    assert division_of(older(record), name) == GIVEN


def test_a_split_that_one_seed_drew_did_not_come_with_the_images(study):
    record = study()
    (name,) = record.divided
    assert record.divided == {name: DRAWN}
    said = slide(record)
    assert "so the seed drew one, with the same share of each class; no groups were given" in said
    assert division_of(older(record), name) == ""
    assert "is not in the record" in slide(older(record))
    audited = replace(older(record), audits={name: {"splits": "drawn"}})
    assert division_of(audited, name) == DRAWN


def test_each_of_several_seeds_drew_a_split(study):
    record = study(seeds=2)
    (name,) = record.divided
    assert "so each seed drew one" in slide(record) and division_of(older(record), name) == DRAWN


def test_drawn_folds_are_no_given_split(study):
    record = study(folds=3)
    (name,) = record.divided
    assert record.divided == {name: DRAWN_FOLDS} == {name: division_of(older(record), name)}
    assert "the seed drew the folds, with the same share of each class" in slide(record)


def test_given_folds_are_told_so(study, shapes, tmp_path):
    lines = ["path,label,fold"]
    for folder in sorted(each for each in shapes.iterdir() if each.is_dir()):
        lines += [
            f"{folder.name}/{file.name},{folder.name},{at % 2}"
            for at, file in enumerate(sorted(folder.iterdir()))
        ]
    (tmp_path / "folds.csv").write_text("\n".join(lines))
    record = study(
        data=(str(tmp_path / "folds.csv"),),
        image_root=str(shapes),
        label_columns=("label",),
        fold_column="fold",
    )
    (name,) = record.divided
    assert record.divided == {name: GIVEN_FOLDS} == {name: division_of(older(record), name)}
    assert "the folds came with the images, and each is a run" in slide(record)
    assert repeats(record, name) == "fold"


def test_a_test_split_may_be_drawn_out_of_the_given_train_split():
    data = make_dataset(table(30, ("train", "train", "validation")), "class", seeds=1, folds=0)
    assert data.origin == DRAWN_TEST
    assert make_dataset(table(30), "class", seeds=1, folds=0).origin == DRAWN


def test_groups_that_a_given_split_parts_are_not_said_to_be_kept(study, tmp_path):
    given = split_folders(tmp_path / "given", classes=("disc", "square"), counts={"train": 4, "test": 2})
    record = study(data=(str(given),))
    ((name, images),) = record.tables.items()
    groups = ("one",) * len(images)
    parted = replace(record, tables={name: replace(images, groups=groups)})
    assert division_words(parted, name).endswith("it parts 1 group")
    whole: ImageTable = replace(images, groups=tuple(images.splits))
    assert division_words(replace(record, tables={name: whole}), name).endswith("it parts no group")
