"""`audit` and `split` with what is said of label columns, and label columns that are called as columns of new tables."""

from __future__ import annotations

import csv
import json
import shlex

import pytest

from headstart.audit.commands import build_command, split_command
from headstart.images.scan import scan
from headstart.study.audit_record import command_of
from headstart.testing.images import class_folders

AGED = 40


def write_table(place, columns):
    with place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return place


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A table of images with ages, whole numbers that are hardly ever the same, and a column of two classes."""
    root = tmp_path_factory.mktemp("faces")
    photos = class_folders(root / "photos", classes=("a", "b"), n_per_class=AGED // 2)
    paths = sorted(path.relative_to(root).as_posix() for path in photos.rglob("*.jpg"))
    ages = [str(20 + 7 * at % 41) for at in range(AGED)]
    columns = {"path": paths, "kind": [path.split("/")[1] for path in paths], "age": ages}
    return write_table(root / "faces.csv", columns)


@pytest.fixture
def tiny(run, tiny_name):
    """`tiny("audit", ...)`: with a small network of random weights."""
    return lambda verb, *given: run(verb, *given, "--backbone", tiny_name)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def error_of(ran):
    """The error, which is the last line; lines before it say what was read."""
    *before, last = ran.err.splitlines()
    assert last.startswith("headstart: error: ") and all("images from column" in line for line in before)
    return last


def test_whole_numbers_are_classes_until_it_is_said_that_they_are_numbers(tiny, faces, as_documented):
    classes = json.loads(tiny("audit", faces, "--target", "age", "--only", "balance", "--json").out)
    (many,) = classes["findings"]
    assert many["kind"] == "many_classes" and many["severity"] == "high"
    assert "--kind age=number" in many["advice"]
    ran = tiny("audit", faces, "--target", "age", "--kind", "age=number", "--only", "balance,drift", "--json")
    told = as_documented("audit", ran.out)
    assert told["findings"] == [] and "is of numbers" in told["checked"][0]["skipped"]
    assert "--kind age=number" in told["again"]
    assert json.loads(tiny(*shlex.split(told["again"])[1:-2], "--json").out)["findings"] == []


def test_a_column_of_which_something_is_said_is_read_too(tiny, faces):
    told = json.loads(tiny("audit", faces, "--kind", "age=number", "--only", "balance", "--json").out)
    assert told["targets"] == ["kind", "age"] and told["findings"] == []


def test_numbers_are_split_by_fifths_and_not_forced_into_train(run, faces, tmp_path, as_documented):
    out = tmp_path / "split.csv"
    given = ("split", faces, "--target", "age", "--no-duplicates", "--no-measure")
    ran = run(*given, "--kind", "age=number", "--ratios", "60/20/20", "--out", out, "--json")
    made = as_documented("split", ran.out)
    wanted = {"train": 24, "validation": 8, "test": 8}
    assert all(abs(made["parts"][part] - n) <= 1 for part, n in wanted.items())
    assert set(made["classes"]["age"]["test"]) == {f"fifth {at} of the numbers" for at in range(1, 6)}
    assert made["command"].endswith("--target age --kind age=number")
    assert {row["age"] for row in rows_of(out)} == {row["age"] for row in rows_of(faces)}
    folded = run(*given, "--kind", "age=number", "--folds", "4", "--json")
    assert all(9 <= n <= 11 for n in json.loads(folded.out)["parts"].values())
    plain = run(*given, "--json")
    assert json.loads(plain.out)["parts"]["test"] == 0


def test_ordered_levels_are_measured_as_classes_where_groups_stay_whole(run, faces, tiny_name):
    rows = rows_of(faces)
    columns = {name: [row[name] for row in rows] for name in ("path", "kind")}
    columns["wear"] = [str(at % 2) for at in range(AGED)]
    columns["person"] = [f"p{at // 4}" for at in range(AGED)]
    worn = write_table(faces.parent / "worn.csv", columns)
    given = ("--target", "wear", "--kind", "wear=ordinal", "--group", "person", "--backbone", tiny_name)
    ran = run("split", worn, *given, "--json")
    assert ran.status == 0, ran.err
    assert [each["metric"] for each in json.loads(ran.out)["inflations"]] == ["accuracy"] * 2


def test_printed_commands_carry_what_was_said(run, tiny, faces, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {name: [row[name] for row in rows_of(faces)] for name in ("path", "kind", "age")}
    columns["kind"][3] = "A"
    odd = str(write_table(faces.parent / "odd.csv", columns))
    given = ("--kind", "age=number", "--only", "balance", "--json")
    told = json.loads(tiny("audit", odd, *given).out)
    (spelt,) = [each for each in told["findings"] if each["kind"] == "spellings"]
    assert spelt["command"].count("--kind age=number") == 1
    ran = run(*shlex.split(spelt["command"])[1:])
    assert ran.status == 0 and "--target age" not in ran.out, (
        "the command of a study is about the first column"
    )
    pairs = (("--kind", "age=number"), ("--target", "kind"))
    again = shlex.split(split_command(odd, pairs))
    assert again[again.index("--kind") + 1] == "age=number"
    assert run(*again[1:], "--no-duplicates", "--no-measure").status == 0
    assert {row["age"] for row in rows_of(tmp_path / "split.csv")} == set(columns["age"])
    assert "--kind" not in build_command(odd, pairs, "kind", ("--balance", "median"))
    mended = tmp_path / "aged.csv"
    given = ("--target", "age", "--kind", "age=number", "--only", "balance", "--mend", mended)
    assert json.loads(tiny("audit", faces, *given, "--json").out)["mended"]["command"].endswith(
        "--target age --kind age=number"
    )


def test_a_study_says_kinds_in_the_command_of_its_audit():
    from headstart.study.spec import StudySpec

    spec = StudySpec(data=("x.csv",), target=("age",), kind=("age=number",))
    assert command_of("x.csv", spec) == "headstart audit x.csv --kind age=number --target age"


@pytest.mark.parametrize("verb", ["audit", "split"])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("age", "expected TARGET=VALUE, got 'age'"),
        ("age=numbers", "did you mean 'number'"),
        ("kind=number", "numbers are expected; got 'a'"),
        ("aeg=number", "did you mean 'age'"),
    ],
)
def test_mistakes_are_one_line(run, faces, verb, kind, said):
    ran = run(verb, faces, "--target", "age", "--kind", kind)
    assert ran.status == 2 and said in error_of(ran)


@pytest.mark.parametrize("options", [(), ("--folds", "2")])
@pytest.mark.parametrize("name", ["group", "split", "fold", "path"])
def test_a_label_column_keeps_its_name_and_the_new_one_gets_another_aloud(
    run, faces, tmp_path, monkeypatch, name, options
):
    rows = rows_of(faces)
    columns = {"image": [row["path"] for row in rows], name: [row["kind"] for row in rows]}
    source = write_table(faces.parent / f"named-{name}.csv", columns)
    out = tmp_path / "new.csv"
    given = ("split", source, "--target", name, "--no-duplicates", "--no-measure", *options)
    ran = run(*given, "--out", out, "--json")
    assert ran.status == 0, ran.err
    held = rows_of(out)
    assert [row[name] for row in held] == columns[name]
    new = {"path", "group", "fold" if options else "split"}
    assert (f"is '{name}_2'" in ran.err) == (name in new)
    assert set(held[0]) == {name} | {f"{each}_2" if each == name else each for each in new}
    words = shlex.split(json.loads(ran.out)["command"])
    read = {words[at]: words[at + 1] for at in range(3, len(words), 2)}
    back = scan(
        out, label_columns=(read["--label-columns"],), image_root=read["--image-root"], path_column=read["--path-column"],
        group_column=read["--group-column"], split_column=read.get("--split-column"),
    )  # fmt: skip
    assert list(back.labels[name]) == columns[name] and back.problems == ()


def test_a_label_column_called_as_inner_folds_is_refused(run, faces, tmp_path):
    rows = rows_of(faces)
    columns = {"path": [row["path"] for row in rows], "inner_1": [row["kind"] for row in rows]}
    source = write_table(faces.parent / "inner.csv", columns)
    given = ("--target", "inner_1", "--no-duplicates", "--no-measure", "--folds", "2")
    ran = run("split", source, *given, "--inner", "2", "--out", tmp_path / "new.csv")
    assert ran.status == 2 and "as inner folds are" in error_of(ran)
    assert run("split", source, *given).status == 0


def test_a_mended_table_keeps_a_label_column_called_group(tiny, faces, tmp_path):
    rows = rows_of(faces)
    columns = {
        "path": [row["path"] for row in rows],
        "group": [row["kind"] for row in rows],
        "patient": [f"p{at}" for at in range(AGED)],
    }
    source = write_table(faces.parent / "group.csv", columns)
    out = tmp_path / "mended.csv"
    ran = tiny("audit", source, "--target", "group", "--only", "balance", "--mend", out, "--json")
    assert ran.status == 0 and "is 'group_2'" in ran.err
    assert [row["group"] for row in rows_of(out)] == columns["group"]
    assert [row["group_2"] for row in rows_of(out)] == columns["patient"]
    assert "--group-column group_2" in json.loads(ran.out)["mended"]["command"]


def test_what_is_one_class_is_mended_as_one(tmp_path):
    from dataclasses import replace

    import numpy as np

    from headstart.audit.mend import write_mended
    from headstart.audit.run import audit

    table = scan(class_folders(tmp_path / "photos", classes=("a", "b"), n_per_class=6))
    table = replace(table, labels={"marks": ("x; y",) * 5 + ("X; y",) * 7})
    features = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    found = audit(table, only=("balance",), features=features, kinds={"marks": "classes"})
    made = write_mended(found, tmp_path / "mended.csv")
    assert made.n_renamed == 5
    assert {row["marks"] for row in rows_of(tmp_path / "mended.csv")} == {"X; y"}
