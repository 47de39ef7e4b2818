"""The commands that an audit prints carry its options: each runs as printed, on the same images and columns."""

from __future__ import annotations

import csv
import html
import json
import re
import shlex
import shutil

import pytest

from headstart.audit import balance
from headstart.testing.scenes import write_scenes

pytest.importorskip("cleanlab")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A ground-truth file beside a folder of images elsewhere, with columns that must be named."""
    root = tmp_path_factory.mktemp("given")
    photos = write_scenes(root / "my photos", 48)
    shutil.copy(photos / "train/a/000.jpg", photos / "test/a/copy.jpg")
    paths = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))
    with (root / "truth.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["where", "person", "part", "kind", "colour"])
        for at, path in enumerate(paths):
            colour = "Blue" if at % 16 == 1 else "blue" if at % 8 == 2 else "green" if at == 3 else "red"
            writer.writerow([path, f"p{at}", path.split("/")[0], path.split("/")[1], colour])
    return root


@pytest.fixture
def options(given, tiny_name):
    return (
        "truth.csv", "--image-root", "my photos", "--path-column", "where", "--label-columns", "kind", "--label-columns",
        "colour", "--split-column", "part", "--group-column", "person", "--target", "colour", "--seed", "3",
        "--backbone", tiny_name,
    )  # fmt: skip


def audited(run, *options):
    ran = run("audit", *options, "--json")
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


def test_every_command_runs_as_it_is_printed(run, given, options, tmp_path, monkeypatch):
    monkeypatch.chdir(given)
    monkeypatch.setattr(balance, "TINY", 5)
    monkeypatch.setattr(balance, "UNEQUAL", 2.0)
    told = audited(run, *options, "--only", "duplicates,balance,drift")
    commands = {each["kind"]: each["command"] for each in told["findings"]}
    assert {"leakage", "spellings", "tiny_classes", "imbalance"} <= set(commands)
    for kind, command in commands.items():
        words = shlex.split(command)
        monkeypatch.chdir(given)
        shutil.rmtree(given / "mended", ignore_errors=True)
        (given / "mended.csv").unlink(missing_ok=True)
        ran = run(*words[1:])
        assert ran.status == 0, (kind, command, ran.err)
        assert command.count("--target colour") == 1 and "--image-root 'my photos'" in command
    built = shlex.split(commands["imbalance"])
    assert built[1:3] == ["dataset", "build"] and "--balance" in built and "--seed" in built


def test_a_split_command_keeps_the_columns_and_the_seed(run, given, options, tmp_path, monkeypatch):
    from headstart.audit.commands import split_command

    monkeypatch.chdir(given)
    pairs = tuple(zip(options[1::2], options[2::2], strict=True))
    command = split_command("truth.csv", pairs)
    assert "--group person" in command and "--target colour" in command and "--seed 3" in command
    ran = run(*shlex.split(command)[1:])
    assert ran.status == 0, ran.err
    with (given / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"path", "kind", "colour", "group", "split"} and len(rows) == 49
    (given / "split.csv").unlink()


def test_the_page_repeats_the_audit_with_its_options(run, given, options, tmp_path, monkeypatch):
    monkeypatch.chdir(given)
    page = tmp_path / "audit.html"
    first = audited(run, *options, "--only", "balance,quality", "--html", page)
    text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8")))
    (again,) = set(re.findall(r"headstart audit truth\.csv [^\n]*--only balance,quality(?=\s)", text)) - {
        each["command"] for each in first["findings"]
    }
    assert "--image-root 'my photos'" in again and "--target colour" in again and "--seed 3" in again
    second = audited(run, *shlex.split(again)[2:])
    assert second["findings"] == first["findings"] and second["targets"] == ["colour"]


def test_alike_classes_show_their_images_and_can_be_merged(run, given, tiny_name, monkeypatch):
    monkeypatch.chdir(given)
    monkeypatch.setattr(balance, "ALIKE", 1.1)
    monkeypatch.setattr(balance, "LEAST_PAIR", 4)
    told = audited(
        run, "my photos", "--only", "balance", "--backbone", tiny_name
    )  # scenes of both classes are alike
    (alike,) = [each for each in told["findings"] if each["kind"] == "alike_classes"]
    assert 2 <= alike["n"] <= 6 and all("rather" in each["remark"] for each in alike["images"])
    shutil.rmtree(given / "mended", ignore_errors=True)
    ran = run(*shlex.split(alike["command"])[1:], "--json")
    assert ran.status == 0, ran.err
    (classes,) = {tuple(counts) for counts in json.loads(ran.out)["counts"].values()}
    assert len(classes) == 1
    shutil.rmtree(given / "mended")


def test_poor_images_without_splits_are_left_out_of_a_mended_table(
    run, given, tiny_name, tmp_path, monkeypatch
):
    from PIL import Image

    flat = tmp_path / "flat"
    flat.mkdir()
    for at, path in enumerate(sorted((given / "my photos").rglob("0*.jpg"))[:30]):
        shutil.copy(path, flat / f"{at:02d}.jpg")
    Image.new("RGB", (160, 120), (90, 90, 90)).save(flat / "30.jpg")
    monkeypatch.chdir(tmp_path)
    told = audited(run, "flat", "--only", "quality", "--backbone", tiny_name)
    (blank,) = told["findings"]
    assert "leaves them out" in blank["advice"]
    assert run(*shlex.split(blank["command"])[1:]).status == 0
    assert "30.jpg" not in (tmp_path / "mended.csv").read_text()


def test_commands_on_a_column_of_numbers_run_and_other_columns_stay(run, tmp_path, monkeypatch, tiny_name):
    place = tmp_path / "data"
    place.mkdir()
    photos = write_scenes(place / "photos", 24)
    monkeypatch.chdir(place)
    rows = [f"photos/{path.relative_to(photos).as_posix()}" for path in sorted(photos.rglob("*.jpg"))]
    lines = [f"{path},{path.split('/')[-2]},{at}.5" for at, path in enumerate(rows)]
    (place / "truth.csv").write_text("\n".join(["path,kind,size", *lines]))
    told = audited(run, "truth.csv", "--target", "size", "--only", "files", "--backbone", tiny_name)
    assert shlex.split(told["again"])[-2:] == ["--only", "files"]
    ran = run("audit", "truth.csv", "--target", "size", "--only", "files", "--mend", "../mended.csv")
    assert ran.status == 0 and "kind" in (tmp_path / "mended.csv").read_text().splitlines()[0].split(",")
    ran = run(
        "split", "truth.csv", "--target", "size", "--no-duplicates", "--no-measure", "--out", "../split.csv"
    )
    assert ran.status == 0, ran.err
    ran = run("dataset", "build", "truth.csv", "--target", "size", "--layout", "csv", "--out", "../built")
    assert ran.status == 0, ran.err


def test_groups_across_splits_are_mended_by_the_split_that_is_printed(run, given, tiny_name, monkeypatch):
    monkeypatch.chdir(given)
    rows = list(csv.DictReader((given / "truth.csv").open(newline="")))
    with (given / "visits.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["where", "kind", "part", "visitor"])
        writer.writerows(
            [row["where"], row["kind"], row["part"], f"v{at % 16}"] for at, row in enumerate(rows)
        )
    named = ("--image-root", "my photos", "--path-column", "where", "--label-columns", "kind", "--split-column", "part",
             "--group-column", "visitor", "--only", "duplicates", "--backbone", tiny_name)  # fmt: skip
    told = audited(run, "visits.csv", *named)
    (parted,) = [each for each in told["findings"] if each["kind"] == "parted_groups"]
    assert parted["severity"] == "high" and "--group visitor" in parted["command"]
    assert {part for part, _ in (one["remark"].split(", ") for one in parted["images"] if one["remark"])} == {
        "test"
    }
    assert run(*shlex.split(parted["command"])[1:]).status == 0
    split = ("--image-root", "my photos", "--label-columns", "kind", "--group-column", "group", "--only", "duplicates",
             "--backbone", tiny_name)  # fmt: skip
    again = audited(run, "split.csv", *split)
    assert not [each for each in again["findings"] if each["kind"] in ("parted_groups", "leakage")]
    (given / "split.csv").unlink()
