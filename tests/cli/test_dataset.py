"""dataset build: what it prints, its JSON, what it writes, and its mistakes, each one line."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from headstart.images.scan import scan


def test_the_balance_is_said_before_the_set(run, photos, tmp_path):
    extra = shutil.copytree(photos, tmp_path / "photos")
    for at in range(4):
        (extra / "disc" / f"{at:03d}.jpg").unlink()
    ran = run("dataset", "build", extra, "--balance", "median", "--out", tmp_path / "set")
    assert ran.status == 0, ran.err
    out = ran.out.splitlines()
    assert out[0] == "balance: 10 images a class; 1 of 3 classes lack some"
    assert out[2].split() == ["disc", "6", "6", "4"]
    assert ran.out.index("balance:") < ran.out.index("data set:")
    assert len(scan(tmp_path / "set")) == 26 and (tmp_path / "set" / "README.md").is_file()


def test_a_dry_run_writes_nothing_and_needs_no_folder(run, photos, tmp_path, as_documented):
    before = sorted(tmp_path.iterdir())
    ran = run("dataset", "build", photos, "--balance", "5", "--dry-run", "--json")
    value = as_documented("dataset build", ran.out)
    assert value["n"] == 15 and value["out"] is None and value["balance"]["goal"] == 5
    assert sorted(tmp_path.iterdir()) == before


def test_classes_are_renamed_merged_and_drawn(run, photos, tmp_path, as_documented):
    names = tmp_path / "names.csv"
    names.write_text('old,new\nstripes,"lines, thin"\n')
    given = ("--rename", "disc=round,square=round", "--rename-file", names, "--sample", "18", "--split")
    out = tmp_path / "set"
    value = as_documented(
        "dataset build",
        run("dataset", "build", photos, *given, "--layout", "csv", "--out", out, "--json").out,
    )
    assert value["n"] == 18 and set(value["counts"]) == {"train", "validation", "test"}
    back = scan(out)
    assert back.classes() == ("lines, thin", "round") and len(back) == 18


def test_a_ground_truth_file_with_every_mistake(run, photos, tmp_path, as_documented):
    flat = tmp_path / "flat"
    flat.mkdir()
    for at, path in enumerate(sorted(photos.rglob("*.jpg"))):
        shutil.copy(path, flat / f"{at:02d}.jpg")
    shutil.copy(flat / "00.jpg", flat / "copy.jpg")
    rows = [
        "00.jpg,Cat",
        "copy.jpg,dog",
        "01.jpg,cat ",
        "02.jpg,cat",
        "03.jpg,dog",
        "none.jpg,dog",
        "04.jpg,cat",
        "04.jpg,dog",
    ]
    (flat / "labels.csv").write_text("\n".join(["path,label", *rows]))
    ran = run(
        "dataset",
        "build",
        flat,
        "--merge-spellings",
        "--once",
        "--out",
        tmp_path / "set",
        "--layout",
        "csv",
        "--json",
    )
    value = as_documented("dataset build", ran.out)
    said = {each["kind"]: each["message"] for each in value["findings"]}
    assert "none.jpg: no such image file" in said["left_out"] and value["n_left_out"] > 20
    assert "contradiction" in said and value["counts"] == {"all": {"cat": 2, "dog": 1}}
    card = (tmp_path / "set" / "README.md").read_text()
    assert "no such image file" in card and "spellings merged" in card


def test_frames_of_a_video(run, tmp_path, as_documented):
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for at in range(20):
            picture = np.full((64, 64, 3), 40 + 60 * (at // 10), np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    ran = run("dataset", "build", path, "--rate", "5", "--out", tmp_path / "frames", "--json")
    value = as_documented("dataset build", ran.out)
    assert value["n"] == 2 and value["videos"][0]["n_looked"] == 20
    assert len(scan(tmp_path / "frames")) == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["clip.mp4", "frames"]
    shown = run("dataset", "build", path, "--dry-run").out
    assert "frames looked at" in shown and "near-identical ones dropped" in shown


def test_what_the_audit_finds_is_in_the_card(run, photos, tmp_path, monkeypatch):
    from headstart.audit import run as auditing

    extra = shutil.copytree(photos, tmp_path / "photos")
    Image.new("RGB", (48, 40)).save(extra / "disc" / "000.jpg")
    real = auditing.audit
    monkeypatch.setattr(auditing, "audit", lambda table, **given: real(table, only=("quality",), **given))
    ran = run("dataset", "build", extra, "--audit", "--out", tmp_path / "set")
    assert ran.status == 0 and "go into the data card" in ran.err, ran.err
    found = real(scan(tmp_path / "set"), only=("quality",)).findings
    limits = (tmp_path / "set" / "README.md").read_text().split("## Known limits")[1]
    assert found and limits.count("What to do:") == len(found)


def test_a_truncated_file_is_in_the_card_and_what_was_left_out_is_there_once(
    run, photos, tmp_path, tiny_name, monkeypatch
):
    from headstart.audit import run as auditing

    pytest.importorskip("cleanlab")
    real = auditing.audit
    monkeypatch.setattr(
        auditing, "audit", lambda table, **given: real(table, backbone=tiny_name, **given)
    )  # every check, on a small network
    extra = shutil.copytree(photos, tmp_path / "photos")
    whole = (extra / "disc" / "000.jpg").read_bytes()
    (extra / "disc" / "000.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (extra / "disc" / "notes.txt").write_text("mine")
    ran = run("dataset", "build", extra, "--audit", "--out", tmp_path / "set")
    assert ran.status == 0, ran.err
    limits = (tmp_path / "set" / "README.md").read_text().split("## Known limits")[1]
    assert "1 file or row is unusable: disc/000.jpg" in limits and "truncated" in limits
    assert limits.count("notes.txt") == 1


def test_spaces_of_the_source_are_in_the_card_once_and_not_as_a_fault_of_the_new_set(
    run, photos, tmp_path, tiny_name, monkeypatch
):
    from headstart.audit import run as auditing

    real = auditing.audit
    monkeypatch.setattr(
        auditing, "audit", lambda table, **given: real(table, only=("balance",), backbone=tiny_name, **given)
    )
    paths = sorted(photos.rglob("*.jpg"))
    rows = "".join(
        f"{path.relative_to(photos).as_posix()},{'' if at else ' '}{path.parent.name}\n"
        for at, path in enumerate(paths)
    )
    (tmp_path / "truth.csv").write_text(f"path,label\n{rows}")
    ran = run(
        "dataset",
        "build",
        tmp_path / "truth.csv",
        "--image-root",
        photos,
        "--audit",
        "--out",
        tmp_path / "set",
    )
    assert ran.status == 0, ran.err
    limits = (tmp_path / "set" / "README.md").read_text().split("## Known limits")[1]
    assert limits.count("spaces about them") == 1


def test_the_audit_is_told_what_a_column_holds(run, photos, tmp_path, monkeypatch):
    from headstart.audit import run as auditing

    heard = []
    real = auditing.audit

    def noted(table, **given):
        heard.append(given["kinds"])
        return real(table, only=("quality",), **given)

    monkeypatch.setattr(auditing, "audit", noted)
    paths = sorted(photos.rglob("*.jpg"))
    rows = "".join(f"{path.relative_to(photos).as_posix()},{at % 4}\n" for at, path in enumerate(paths))
    (tmp_path / "truth.csv").write_text(f"path,stars\n{rows}")
    build = ("dataset", "build", tmp_path / "truth.csv", "--image-root", photos, "--kind", "stars=ordinal")
    ran = run(*build, "--audit", "--out", tmp_path / "set")
    assert ran.status == 0 and heard == [{"stars": "ordinal"}], ran.err
    ran = run(*build, "--out", tmp_path / "other")
    assert ran.status == 2 and "give --audit too" in ran.err and ran.err.count("\n") == 1
    ran = run(*build[:-1], "size=ordinal", "--audit", "--out", tmp_path / "other")
    assert ran.status == 2 and "size" in ran.err and not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "given, said",
    [
        ((), "name a new folder"),
        (("--out", "{full}"), "not empty"),
        (("--out", "{photos}/set"), "in the folder of the images"),
        (("--out", "{full}/mine.txt"), "is a file"),
        (("--layout", "tar", "--dry-run"), "'tar' is not one of folders"),
        (("--layout", "parquet", "--ways", "symlink", "--dry-run"), "nothing can be linked"),
        (("--rename", "disc", "--dry-run"), "expected OLD=NEW"),
        (("--rename", "disk=x", "--dry-run"), "did you mean 'disc'"),
        (("--rename", "disc=x,disc=y", "--dry-run"), "two new names"),
        (("--keep", "disc", "--drop", "square", "--dry-run"), "without drop"),
        (("--drop", "disc,square,stripes", "--dry-run"), "nothing is left"),
        (("--balance", "least", "--dry-run"), "smallest, median, largest"),
        (("--balance", "0", "--dry-run"), "at least 1"),
        (("--per-class", "0", "--dry-run"), "below 1"),
        (("--rename-file", "{full}/mine.txt", "--dry-run"), "columns old and new"),
    ],
)
def test_mistakes_are_one_line(run, photos, tmp_path, given, said):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine\nx")
    ran = run("dataset", "build", photos, *[each.format(full=full, photos=photos) for each in given])
    assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1, ran.err
    assert (full / "mine.txt").read_text() == "mine\nx" and len(list(photos.rglob("*.*"))) == 30


def test_sources_that_are_none_are_one_line(run, photos, tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"no video")
    (tmp_path / "x.json").write_text("{}")
    mixed = shutil.copytree(photos, tmp_path / "mixed")
    (mixed / "clip.mp4").write_bytes(b"never opened")
    for given, said in (
        ((tmp_path / "none",), "no file, folder or packaged set"),
        ((tmp_path / "x.mp4",), "no video that can be read"),
        ((tmp_path / "x.json",), "no COCO file"),
        ((photos, tmp_path / "x.mp4"), "cannot be joined in one go"),
        ((mixed,), "holds videos and images (clip.mp4, disc/000.jpg), which cannot be joined in one go"),
        ((photos, photos), "two of the sources"),
    ):
        ran = run("dataset", "build", *given, "--out", tmp_path / "set")
        assert ran.status == 2 and said in ran.err and ran.err.count("\n") == 1, ran.err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mixed", "x.json", "x.mp4"]
